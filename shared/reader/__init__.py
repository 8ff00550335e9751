"""One pass over a drop in a child process with limits: files in, canonical batches, parts and a profile out."""

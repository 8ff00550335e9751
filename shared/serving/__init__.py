"""Azure ML's endpoints, how they are scaled, and what they were asked: the log and the collector."""

"""One module a page: what it shows, read in a bounded number of storage calls, as a value that is also its JSON."""

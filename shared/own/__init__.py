"""Code of a loop's own, its metrics and checks: run in a process that can reach nothing."""

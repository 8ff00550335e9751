"""What runs inside a batch job's own environment, never in the workspace's process."""

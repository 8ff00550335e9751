"""What runs inside a deployment's own environment, never in the workspace's process."""

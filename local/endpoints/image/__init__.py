"""What runs inside a deployment's own environment (.venv-ml), never in the workspace's process."""

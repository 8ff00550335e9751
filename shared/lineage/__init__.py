"""What became of which data, told as OpenLineage events."""

"""Answers the Log Analytics queries that the unmodified `LogsQueryClient` sends, from the traffic log."""

"""Managed online endpoints for the unmodified SDK, with deployments that really serve behind one router."""

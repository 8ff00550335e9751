"""Batch endpoints of Azure ML: a deployment is a recipe, and each call of an endpoint is a job that follows it."""

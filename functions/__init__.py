"""Adapters between Azure Functions and the engine: parse, one call, map the result."""

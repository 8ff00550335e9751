"""Data, environments, code, components and models: named, versioned, and immutable where Azure ML's are."""

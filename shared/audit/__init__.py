"""The audit: what the chained ledger proves, whether it is whole, and where the rest of the world differs from it."""

"""The gate: champion and challenger compared on holdout rows at 0 % traffic."""

"""The canary: champion and challenger compared under live traffic, and the bake after promotion."""

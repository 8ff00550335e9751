"""The pure core: decides everything, does nothing. No I/O, no clock, no randomness, no environment."""

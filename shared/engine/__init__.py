"""The engine: reads stored state and the actual world, takes one step, writes it down, returns."""

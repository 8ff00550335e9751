"""Statistics without side effects: numbers in, numbers out. No I/O and no clock; a seed is part of what is asked."""

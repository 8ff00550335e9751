"""What came in from outside: read, checked, and put on record once before it is acknowledged."""

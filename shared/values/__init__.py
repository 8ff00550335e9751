"""What a text or a number in a file means: missing values, numbers, dates, types, and every doubt about them."""

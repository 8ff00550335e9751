"""Two versions, two releases or two definitions of one loop, side by side."""

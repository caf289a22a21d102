"""Each has a function `write(rows)`."""

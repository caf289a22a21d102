"""One module a kind of unit."""

"""The embedded micro language model: recipe, weights, card."""

PEBBLES = ("pebble", "pebble-numpy")
"""The addresses of the embedded model, which reads the compact style alone."""

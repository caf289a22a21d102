"""The embedded micro language model: recipe, weights, card."""

"""The embedded micro language model: recipe and measurement."""

"""The micro reasoning model: problems, recipe, weights, card."""

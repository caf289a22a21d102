"""Recipes: how the embedded models were trained.  Nothing imports it at run time."""

"""Rows of fields, as spreadsheets write them."""

from fields.split import split


def read(text, comma=","):
    """Return the rows of a text."""
    return [split(line, comma) for line in text.splitlines() if line]

"""Rows with names."""

from fields.read import read


def records(text, comma=","):
    """Return a dict a row, named by the first."""
    names, *rows = read(text, comma)
    return [dict(zip(names, row)) for row in rows]

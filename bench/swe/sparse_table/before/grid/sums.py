"""Sums over a table."""


def by_row(table):
    """Return the sum of each row."""
    found = [0] * table.height
    for (row, _), value in table.cells.items():
        found[row] += value
    return found

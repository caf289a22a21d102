"""Columns of equal width."""

from exports.values import text


def write(rows):
    """Return a line a row."""
    cells = [[text(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() + "\n" for line in cells)

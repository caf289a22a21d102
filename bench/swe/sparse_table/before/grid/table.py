"""Tables of which most cells are 0."""


class Table:
    """Cells by (row, column)."""

    def __init__(self, height, width, cells=None):
        self.height, self.width = height, width
        self.cells = dict(cells or {})

    @classmethod
    def from_rows(cls, rows):
        """Make a table of lists of equal lengths."""
        width = len(rows[0]) if rows else 0
        cells = {(i, j): value for i, row in enumerate(rows) for j, value in enumerate(row) if value}
        return cls(width, len(rows), cells)

    def transposed(self):
        """Return it with rows and columns exchanged."""
        return Table(self.width, self.height, {(j, i): value for (i, j), value in self.cells.items()})

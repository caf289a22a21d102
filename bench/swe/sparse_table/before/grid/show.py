"""Tables as text."""


def show(table):
    """Return a line a row."""
    rows = [["."] * table.width for _ in range(table.height)]
    for (row, column), value in table.cells.items():
        rows[row][column] = str(value)
    return "\n".join(" ".join(row) for row in rows)

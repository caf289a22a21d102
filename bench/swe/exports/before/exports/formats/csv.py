"""Values with commas between them."""

from exports.values import text


def write(rows):
    """Return a line of names and a line a row."""
    if not rows:
        return ""
    lines = [",".join(rows[0])]
    lines += [",".join(text(value) for value in row.values()) for row in rows]
    return "\n".join(lines) + "\n"

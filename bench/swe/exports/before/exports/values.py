"""Values as text."""

from datetime import date


def text(value):
    """Return a value as people write it."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)

"""Lengths, in metres."""

UNITS = {"m": 1.0, "km": 1000.0, "cm": 0.01}


def to_base(value, unit):
    """Return it in metres."""
    return value * UNITS[unit]


def from_base(value, unit):
    """Return metres in a unit."""
    return value / UNITS[unit]

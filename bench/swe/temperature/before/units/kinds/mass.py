"""Masses, in grams."""

UNITS = {"g": 1.0, "kg": 1000.0}


def to_base(value, unit):
    """Return it in grams."""
    return value * UNITS[unit]


def from_base(value, unit):
    """Return grams in a unit."""
    return value / UNITS[unit]

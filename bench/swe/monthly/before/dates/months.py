"""Months and their lengths."""

from calendar import monthrange
from datetime import date


def next_month(day):
    """Return the same day of the next month, or its last."""
    year, month = day.year, day.month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))

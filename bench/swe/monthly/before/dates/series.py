"""Dates that come back."""

from datetime import timedelta

from dates.months import next_month


def weekly(start, count):
    """Return so many dates, a week apart."""
    return [start + timedelta(weeks=number) for number in range(count)]


def monthly(start, count):
    """Return so many dates, a month apart."""
    found = []
    day = start
    for _ in range(count):
        found.append(day)
        day = next_month(day)
    return found

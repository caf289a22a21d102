from datetime import date

from dates.series import monthly, weekly


def test_weekly():
    assert weekly(date(2023, 12, 25), 2) == [date(2023, 12, 25), date(2024, 1, 1)]


def test_monthly():
    assert monthly(date(2023, 1, 15), 3) == [date(2023, month, 15) for month in (1, 2, 3)]


def test_none():
    assert monthly(date(2023, 1, 15), 0) == []

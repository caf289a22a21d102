import pytest
from booking.room import Room


def room(*bookings):
    made = Room()
    for start, end in bookings:
        made.book(start, end)
    return made


def test_apart():
    assert room((9, 10), (11, 12)).busy() == [(9, 10), (11, 12)]
    assert room((9, 10), (11, 12)).free() == [(8, 9), (10, 11), (12, 18)]


def test_overlapping():
    assert room((10, 12), (9, 11)).busy() == [(9, 12)]


def test_outside():
    with pytest.raises(ValueError):
        room((7, 9))

import pytest
from units.convert import convert


def test_lengths_and_masses():
    assert convert("1.5", "km", "cm") == 150000
    assert convert("250", "g", "kg") == 0.25


def test_kinds_do_not_mix():
    with pytest.raises(ValueError):
        convert("1", "km", "kg")

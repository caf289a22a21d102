from app.layers import overlay


def test_above_hides_below():
    assert overlay({"a": 1, "b": {"c": 2}}, {"b": {"c": 3, "d": 4}}) == {"a": 1, "b": {"c": 3, "d": 4}}


def test_none_takes_away():
    assert overlay({"a": 1, "b": 2}, {"a": None}) == {"b": 2}

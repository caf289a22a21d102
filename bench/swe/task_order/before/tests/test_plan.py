from build.plan import plan
from build.render import render


def test_needs_come_first():
    assert plan("a: b c\nc: b")[0] == ["b", "c", "a"]


def test_a_plan_is_indented():
    assert render(plan("a: b\nb: c")) == "c\n  b\n    a"


def test_empty_lines_are_nothing():
    assert plan("\n\na:\n")[0] == ["a"]

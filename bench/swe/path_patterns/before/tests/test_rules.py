from ignore.patterns import matches
from ignore.walk import kept


def test_star():
    assert matches("*.py", "a.py") and not matches("*.py", "a.md")


def test_question_mark():
    assert matches("a?c", "abc") and not matches("a?c", "ac")


def test_later_rules_take_back():
    assert kept(["a.py", "b.py", "c.md"], ["*.py", "!b.py"]) == ["b.py", "c.md"]

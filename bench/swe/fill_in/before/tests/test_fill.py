from letters.letter import letter
from letters.names import names


def test_a_letter():
    assert letter("Ada", "you owe {sum} Euro.", sum=5) == "Dear Ada,\nyou owe 5 Euro."


def test_names():
    assert names("{a} {b} {a}") == ["a", "b"]

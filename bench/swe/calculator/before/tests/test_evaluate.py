import pytest
from calculator.evaluate import evaluate


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("1+2*3", 7), ("(1+2)*3", 9), ("8/2/2", 2), ("1 - 2", -1)])
def test_values(text, value):
    assert evaluate(text) == value


@pytest.mark.parametrize("text", ["", "1+", "(1", "1)", "x", "*2"])
def test_what_is_no_formula(text):
    with pytest.raises(SyntaxError):
        evaluate(text)

"""The one function that users call."""

from calculator.parser import Parser


def evaluate(text):
    """Return the value of a formula."""
    parser = Parser(text)
    value = parser.sum()
    if parser.rest:
        raise SyntaxError(f"did not expect {parser.rest[-1]!r}")
    return value

"""Formulas, by recursive descent."""

from calculator.tokens import tokens


class Parser:
    """Reads one formula."""

    def __init__(self, text):
        self.rest = tokens(text)[::-1]

    def next(self):
        """Return the next token and go on."""
        return self.rest.pop() if self.rest else None

    def sees(self, *signs):
        """Say whether one of these signs is next."""
        return bool(self.rest) and self.rest[-1] in signs

    def sum(self):
        """Terms with + and - between them."""
        value = self.product()
        while self.sees("+", "-"):
            value = value + self.product() if self.next() == "+" else value - self.product()
        return value

    def product(self):
        """Factors with * and / between them."""
        value = self.factor()
        while self.sees("*", "/"):
            value = value * self.factor() if self.next() == "*" else value / self.factor()
        return value

    def factor(self):
        """A number, or a formula in brackets."""
        token = self.next()
        if token == "(":
            value = self.sum()
            if self.next() != ")":
                raise SyntaxError("a bracket is not closed")
            return value
        if not isinstance(token, float):
            raise SyntaxError(f"expected a number, found {token!r}")
        return token

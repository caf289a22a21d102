"""Amounts of money, exact to any number of places."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Money:
    """An amount in one currency."""

    amount: Decimal

    @classmethod
    def parse(cls, text: str) -> "Money":
        """Read an amount."""
        return cls(Decimal(text))

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + other.amount)

    def rounded(self) -> "Money":
        """Return it in whole cents."""
        return Money(self.amount.quantize(CENT, rounding=ROUND_HALF_EVEN))

    def __str__(self) -> str:
        return str(self.amount)

"""Lines and their total."""

from ledger.money import Money


class Invoice:
    """Lines that somebody pays for."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Money]] = []

    def add(self, name: str, price: Money) -> None:
        """Add a line."""
        self.lines.append((name, price))

    def total(self) -> Money:
        """Return what is to be paid, in whole cents."""
        found = Money.parse("0.00")
        for _, price in self.lines:
            found = found + price.rounded()
        return found

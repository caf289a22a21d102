from ledger.invoice import Invoice
from ledger.money import Money


def total(*prices: str) -> str:
    invoice = Invoice()
    for price in prices:
        invoice.add("x", Money.parse(price))
    return str(invoice.total())


def test_nothing_costs_nothing() -> None:
    assert total() == "0.00"


def test_whole_cents_add_up() -> None:
    assert total("1.10", "2.20") == "3.30"

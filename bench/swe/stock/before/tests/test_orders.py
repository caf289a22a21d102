import pytest
from stock.errors import NotEnough, Unknown
from stock.orders import Orders
from stock.shelf import Shelf


def test_reserve_and_ship():
    shelf = Shelf(cup=5)
    orders = Orders(shelf)
    orders.ship(orders.reserve("cup", 3))
    assert shelf.pieces["cup"] == shelf.free("cup") == 2


def test_too_many():
    with pytest.raises(NotEnough):
        Orders(Shelf(cup=5)).reserve("cup", 6)


def test_nobody_knows_it():
    with pytest.raises(Unknown):
        Orders(Shelf()).release(0)

from grid.show import show
from grid.sums import by_row
from grid.table import Table


def test_a_square_is_shown():
    assert show(Table.from_rows([[1, 0], [0, 2]])) == "1 .\n. 2"


def test_sums_of_a_square():
    assert by_row(Table.from_rows([[1, 2], [0, 2]])) == [3, 2]


def test_nothing():
    assert show(Table.from_rows([])) == ""


def test_sizes_given_by_hand():
    assert show(Table(1, 3, {(0, 2): 5})) == ". . 5"

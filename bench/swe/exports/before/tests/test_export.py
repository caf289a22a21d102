from datetime import date

from exports.export import export

ROWS = [{"name": "Ren\u00e9", "born": date(1990, 1, 2)}, {"name": "Bo", "born": None}]


def test_csv():
    assert export(ROWS, "csv") == "name,born\nRen\u00e9,1990-01-02\nBo,\n"


def test_table():
    assert export(ROWS, "table") == "Ren\u00e9  1990-01-02\nBo\n"


def test_no_rows():
    assert export([], "csv") == export([], "table") == ""

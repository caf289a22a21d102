from fields.read import read
from fields.records import records


def test_rows():
    assert read("a,b\nc,d\n") == [["a", "b"], ["c", "d"]]


def test_quotes():
    assert read('a,"b,c"\n') == [["a", "b,c"]]


def test_records():
    assert records("x;y\n1;2\n", ";") == [{"x": "1", "y": "2"}]


def test_empty_fields():
    assert read("a,,b\n,\n") == [["a", "", "b"], ["", ""]]

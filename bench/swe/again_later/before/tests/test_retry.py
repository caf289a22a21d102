from later.counted import Counted
from later.retry import retry


def test_no_wait_if_it_works():
    waited = []
    assert retry(Counted(0), tries=3, sleep=waited.append) == 1
    assert waited == []


def test_it_works_the_second_time():
    waited = []
    assert retry(Counted(1), tries=3, sleep=waited.append) == 2
    assert waited == [1.0]

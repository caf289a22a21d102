"""Rates and times left, by a clock of the test's own: nothing is told that was not seen."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.serving.dashboard.pace import BLOCKS, FEWEST_S, SEEN_S, JobPace


def seen(*looks: tuple[float, int]) -> JobPace:
    pace = JobPace()
    for at_s, step in looks:
        pace.look(at_s, step)
    return pace


def steady(seconds: int, steps_s: float, start: float = 1000.0) -> JobPace:
    return seen(*((start + at, round(at * steps_s)) for at in range(seconds + 1)))


def test_nothing_is_told_before_a_second_was_seen() -> None:
    for pace in (JobPace(), seen((5.0, 3)), seen((5.0, 3), (5.5, 90))):
        assert (pace.rate(60), pace.course(), pace.left(100)) == (None, [], None)


def test_a_rate_says_over_which_time() -> None:
    pace = steady(100, 10.0)
    minute, ten = pace.rate(60), pace.rate(600)
    assert minute is not None and ten is not None
    assert (minute.steps_s, minute.over_s) == (pytest.approx(10), 60)
    assert (ten.steps_s, ten.over_s) == (pytest.approx(10), 100)


def test_the_last_minute_forgets_what_was_before() -> None:
    pace = seen(*((at, 10 * at) for at in range(300)), *((300 + at, 3000 + at) for at in range(100)))
    minute, ten = pace.rate(60), pace.rate(SEEN_S)
    assert minute is not None and ten is not None
    assert minute.steps_s == pytest.approx(1) and 7 < ten.steps_s < 8


def test_a_steady_job_is_done_when_it_will_be() -> None:
    pace = steady(600, 50.0)
    left = pace.left(5000)
    assert left is not None and left.most is not None
    assert left.seconds == pytest.approx(100)
    assert left.least == pytest.approx(100) and left.most == pytest.approx(100)


def test_the_interval_of_the_time_left_holds_as_often_as_it_says() -> None:
    """Jobs whose rate is drawn anew every 30 s, by the law that goes on: 95 of 100 intervals hold its mean."""
    draw, held, jobs = random.Random(7), 0, 400
    for _ in range(jobs):
        pace, step = JobPace(), 0.0
        for at in range(601):
            if at % 30 == 0:
                rate = draw.gauss(100, 20)
            step += rate
            pace.look(float(at), round(step))
        left = pace.left(100_000)
        assert left is not None and left.most is not None
        held += left.least <= 1000 <= left.most
    assert 0.91 < held / jobs < 0.985


def test_a_standstill_has_no_end_in_sight() -> None:
    assert steady(100, 0.0).left(10) is None
    stops = seen(*((at, 10 * min(at, 30)) for at in range(600)))
    left = stops.left(1000)
    assert left is not None and left.most is None


def test_steps_that_are_taken_back_are_no_progress() -> None:
    pace = seen((0.0, 1000), (10.0, 1000), (20.0, 0), (30.0, 0))
    rate = pace.rate(60)
    assert rate is not None and rate.steps_s == 0
    assert pace.course() == [0.0] * BLOCKS


@given(st.lists(st.tuples(st.floats(0.01, 400), st.integers(0, 10**6)), max_size=60))
def test_what_is_told_is_bounded_and_finite(looks: list[tuple[float, int]]) -> None:
    pace, at_s = JobPace(), 0.0
    for after_s, step in looks:
        at_s += after_s
        pace.look(at_s, step)
    assert len(pace._looks) <= SEEN_S + 3
    course, rate, left = pace.course(), pace.rate(60), pace.left(1000)
    assert len(course) in (0, BLOCKS) and all(math.isfinite(each) and each >= 0 for each in course)
    assert rate is None or (math.isfinite(rate.steps_s) and 0 < rate.over_s <= 60 + 1e-6)
    assert left is None or 0 <= left.least <= left.seconds <= (left.most or math.inf)


def test_a_short_time_has_no_course() -> None:
    assert steady(int(FEWEST_S) - 1, 5).course() == []
    assert len(steady(int(FEWEST_S), 5).course()) == BLOCKS

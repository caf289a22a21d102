import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.orchestration.engine.depth import Acceptance, Pace, best_depth


def expected_run(acceptance: float, depth: int) -> float:
    """Return the steps of use among `depth` asked ahead and the certain one: (1 - a^(d+1)) / (1 - a)."""
    if acceptance >= 1:
        return depth + 1.0
    return float((1 - acceptance ** (depth + 1)) / (1 - acceptance))


@given(a=st.floats(0, 0.999), depth=st.integers(0, 200))
def test_the_expected_run_is_the_sum_of_the_chances_to_get_so_far(a: float, depth: int) -> None:
    assert expected_run(a, depth) == pytest.approx(sum(a**reached for reached in range(depth + 1)))


def test_a_draft_that_is_always_right_is_of_use_as_far_as_it_goes() -> None:
    assert expected_run(1.0, 30) == 31


def test_the_expected_run_agrees_with_a_simulation() -> None:
    rng = random.Random(4)
    runs = []
    for _ in range(20_000):
        run = 1
        while run <= 12 and rng.random() < 0.8:
            run += 1
        runs.append(run)
    assert sum(runs) / len(runs) == pytest.approx(expected_run(0.8, 12), rel=0.02)


def seen(*shares: float, each: int = 500) -> Acceptance:
    """An acceptance that has seen `each` proposals at each distance, the given shares of them right."""
    acceptance = Acceptance()
    for distance, share in enumerate(shares, start=1):
        for number in range(each):
            acceptance.learn(distance, number < share * each)
    return acceptance


def test_with_one_acceptance_everywhere_the_runs_are_those_of_the_formula() -> None:
    runs = seen(*[0.9] * 64).runs(40)
    assert runs == pytest.approx([expected_run(0.9, depth) for depth in range(41)], rel=1e-3)


def test_acceptance_is_measured_apart_for_each_distance() -> None:
    runs = seen(1.0, 1.0, 0.1).runs(5)
    assert runs[2] == pytest.approx(3, rel=0.02)
    assert runs[5] - runs[2] < 0.25


def test_old_observations_lose_their_weight() -> None:
    acceptance = Acceptance()
    for right in (True, False):
        for _ in range(6000):
            acceptance.learn(1, right)
    assert acceptance.mean < 0.1


def timed(least_s: float, sample_s: float) -> Pace:
    pace = Pace()
    for samples in (3, 30, 60, 9, 90):
        pace.learn(samples, least_s + sample_s * samples)
    return pace


def test_the_line_through_the_calls_is_found() -> None:
    assert timed(0.1, 0.002).line() == pytest.approx((0.1, 0.002))


def test_a_line_is_not_made_up_from_one_kind_of_call() -> None:
    pace = Pace()
    for _ in range(50):
        pace.learn(30, 0.2)
    assert pace.line() == (1.0, 0.0)


def test_old_calls_lose_their_weight() -> None:
    pace = timed(0.1, 0.01)
    for number in range(2000):
        samples = 3 + 27 * (number % 3)
        pace.learn(samples, 0.1 + 0.002 * samples)
    assert pace.line() == pytest.approx((0.1, 0.002), rel=0.05)


def test_a_server_with_room_to_spare_is_asked_as_far_ahead_as_the_draft_is_worth() -> None:
    waits = timed(0.1, 0.0)
    depths = [best_depth(seen(*[share] * 64), waits, 3, 256, 512) for share in (0.3, 0.7, 0.95, 0.999)]
    assert depths == sorted(depths)
    assert depths[0] <= 4
    assert 8 <= depths[1] <= 16
    assert 70 <= depths[2] <= 110
    assert depths[3] > 400


def test_a_server_whose_cores_are_busy_is_asked_less_far_ahead() -> None:
    good = seen(*[0.95] * 64)
    busy, idle = timed(0.01, 0.001), timed(0.01, 0.00001)
    assert 1 <= best_depth(good, busy, 3, 10_000, 512) < best_depth(good, idle, 3, 10_000, 512)


def test_a_run_never_stops_asking_ahead_and_so_goes_on_learning() -> None:
    """Calls of nearly one size, the smaller ones faster by chance: no reason to believe that samples cost everything."""
    pace = Pace()
    for number in range(300):
        pace.learn(3 - number % 10 // 9, 0.15 - 0.1 * (number % 10 // 9))
    least_s, sample_s = pace.line()
    assert least_s >= 3 * sample_s * 0.9
    assert best_depth(seen(*[0.9] * 64), pace, 3, 10_000, 512) >= 1
    assert best_depth(seen(*[0.999] * 64), pace, 3, 10_000, 512) >= 20


def test_no_depth_exceeds_the_largest() -> None:
    assert best_depth(Acceptance(), timed(0.1, 0.0), 3, 256, 5) <= 5

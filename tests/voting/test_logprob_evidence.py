"""What log-probabilities tell: the area, its interval, the calibration error, and a threshold that keeps its promise."""

import math
import random
from collections.abc import Callable
from statistics import NormalDist, fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import BadInput
from surefoot.voting import LogprobEvidence, Uncalibrated

JudgedState = list[tuple[float | None, bool]]

logprobs = st.one_of(st.floats(-20, 0), st.sampled_from([0.0, -1.0, -2.0]))
some_states = st.lists(st.lists(st.tuples(logprobs, st.booleans()), max_size=4), min_size=1, max_size=12)


def world(seed: int, states: int, apart: float = 0.0, error: float = 0.1, each: int = 3) -> list[JudgedState]:
    """Draw states whose right samples are `apart` standard deviations above the wrong ones."""
    dice = random.Random(seed)

    def sample() -> tuple[float, bool]:
        right = dice.random() >= error
        return -math.exp(-dice.gauss(apart if right else 0.0, 1.0)), right

    return [[sample() for _ in range(each)] for _ in range(states)]


def alone(*samples: tuple[float, bool]) -> list[JudgedState]:
    """Put each sample into a state of its own."""
    return [[sample] for sample in samples]


def ordered(states: list[JudgedState]) -> float | None:
    """Compare every right sample with every wrong one, states weighing the same."""
    rights = [own for state in states if (own := [value for value, right in state if right])]
    wrongs = [own for state in states if (own := [value for value, right in state if not right])]
    pairs = [
        fmean((high > low) + (high == low) / 2 for high in right for low in wrong)
        for right in rights
        for wrong in wrongs
    ]
    return fmean(pairs) if pairs else None


@given(some_states)
def test_the_area_is_the_share_of_pairs_in_order(states: list[JudgedState]) -> None:
    if not any(states):
        with pytest.raises(Uncalibrated):
            LogprobEvidence.of(states)
        return
    found = LogprobEvidence.of(states)
    expected = ordered(states)
    assert (found.auc is None) == (expected is None)
    if found.auc is not None:
        assert found.auc == pytest.approx(expected)
        assert 0 <= found.auc_low <= found.auc <= found.auc_high <= 1


def test_the_interval_holds_the_true_area_as_often_as_it_says() -> None:
    apart = 1.0
    truth = NormalDist().cdf(apart / math.sqrt(2))
    found = [LogprobEvidence.of(world(seed, 60, apart)) for seed in range(200)]
    assert sum(one.auc_low <= truth <= one.auc_high for one in found) >= 186


def test_a_perfect_order_of_few_is_no_certainty() -> None:
    few = LogprobEvidence.of(alone((-1, False), (-2, False), *[(-0.1, True)] * 20))
    assert few.auc == few.auc_high == 1
    assert few.auc_low < 0.8


def test_many_wrong_samples_of_one_state_weigh_as_one() -> None:
    stubborn: JudgedState = [(-0.1, False)] * 1000
    found = LogprobEvidence.of([*alone(*[(-5.0, False)] * 9, *[(-1.0, True)] * 9), stubborn])
    assert found.auc == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (world(1, 300), "nothing beyond chance"),
        (world(1, 300, apart=2.0), "tell right from wrong"),
        (world(1, 300, apart=-2.0), "mislead"),
        (alone((-1, True), (-2, True)), "all 2 samples are right"),
        (alone((-1, False)), "all 1 samples are wrong"),
        (alone(*[(-9.0, False)] * 30, *[(-1.0, True)] * 30), "too few states have both"),
    ],
)
def test_it_says_what_it_found(states: list[JudgedState], words: str) -> None:
    assert words in LogprobEvidence.of(states).why


def test_what_tells_hard_steps_but_not_their_samples_is_told_apart() -> None:
    dice = random.Random(3)
    hard: list[JudgedState] = [
        [(dice.uniform(-9, -8), True), (dice.uniform(-9, -8), False)] for _ in range(60)
    ]
    easy: list[JudgedState] = [[(-0.1, True)] for _ in range(600)]
    found = LogprobEvidence.of([*hard, *easy])
    assert found.auc_low > 0.9
    assert found.within is not None
    assert found.within.low < 0.5 < found.within.high
    assert "mend none" in found.why


def test_calibrated_samples_have_no_calibration_error() -> None:
    dice = random.Random(4)
    states = alone(*[(math.log(p), dice.random() < p) for p in (dice.uniform(0.3, 1) for _ in range(20_000))])
    found = LogprobEvidence.of(states)
    assert found.calibration_error < 0.015
    assert sum(row.samples for row in found.bins) == found.samples
    assert all(row.high < after.low for row, after in zip(found.bins, found.bins[1:], strict=False))
    boasting = LogprobEvidence.of([[(-1e-9, right) for _, right in samples] for samples in states])
    assert boasting.calibration_error == pytest.approx(1 - boasting.right / boasting.samples)
    assert len(boasting.bins) == 1


@pytest.mark.parametrize("lost", [0.01, 0.1])
def test_no_more_right_samples_are_lost_than_was_promised(lost: float) -> None:
    apart, kept = 1.5, 0
    for seed in range(100):
        threshold = LogprobEvidence.of(world(seed, 400, apart, each=1)).threshold(lost)
        assert threshold is not None
        kept += NormalDist(apart).cdf(-math.log(-threshold)) <= lost
    assert kept >= 88


def test_the_threshold_is_the_highest_that_may_be_promised() -> None:
    # With none of n below, 1 - 0.05^(1/n) may lie there at most: 299 states for 1 %.
    values = [-1 - number for number in range(299)]
    assert LogprobEvidence.of(alone(*[(value, True) for value in values[:298]])).threshold(0.01) is None
    assert LogprobEvidence.of(alone(*[(value, True) for value in values])).threshold(0.01) == -299


def test_samples_of_one_state_promise_no_more_than_one() -> None:
    assert LogprobEvidence.of([[(-1.0, True)] * 1000]).threshold(0.1) is None


def test_a_threshold_of_0_is_none() -> None:
    assert LogprobEvidence.of(alone(*[(0.0, True)] * 500)).threshold(0.1) is None


def test_samples_without_one_are_left_out() -> None:
    found = LogprobEvidence.of([[(None, True), (-1.0, True)], [(None, False)]])
    assert (found.samples, found.states) == (1, 1)


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: LogprobEvidence.of([]), Uncalibrated),
        (lambda: LogprobEvidence.of([[(None, True)]]), Uncalibrated),
        (lambda: LogprobEvidence.of(alone((0.1, True))), BadInput),
        (lambda: LogprobEvidence.of(alone((math.nan, True))), BadInput),
        (lambda: LogprobEvidence.of(alone((-math.inf, True))), BadInput),
        (lambda: LogprobEvidence.of(alone((-1, True)), confidence=1.0), BadInput),
        (lambda: LogprobEvidence.of(alone((-1, True))).threshold(0.0), BadInput),
        (lambda: LogprobEvidence.of(alone((-1, True))).threshold(1.0), BadInput),
    ],
)
def test_what_says_nothing_is_refused(ask: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        ask()


@pytest.mark.parametrize(
    "states",
    [3, [5], [-1.0], [[-1.0]], [(-1.0, True)], [[(-1.0, True, 2)]], [[("a", True)]], [[(0.1, True)]]],
)
def test_what_is_no_list_of_judged_samples_is_refused_in_a_sentence(states: Any) -> None:
    with pytest.raises(BadInput, match="log-probability"):
        LogprobEvidence.of(states)

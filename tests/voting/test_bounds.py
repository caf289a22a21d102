"""The confidence bounds: exact where they claim to be, and true as often as they say."""

import math
import random
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import binomial_lower, binomial_upper, count_needed, mean_upper

confidences = st.sampled_from([0.5, 0.9, 0.95, 0.999])


def at_most(hits: int, trials: int, p: float) -> float:
    """Return P(X <= hits) for X ~ Binomial(trials, p) in exact arithmetic."""
    q = Fraction(p)
    return float(sum(math.comb(trials, i) * q**i * (1 - q) ** (trials - i) for i in range(hits + 1)))


@given(st.integers(1, 60), st.data(), confidences)
def test_the_upper_bound_is_where_so_few_hits_become_that_unlikely(
    trials: int, data: st.DataObject, confidence: float
) -> None:
    hits = data.draw(st.integers(0, trials - 1))
    bound = binomial_upper(hits, trials, confidence)
    assert at_most(hits, trials, bound) == pytest.approx(1 - confidence, rel=1e-9)


@given(st.integers(1, 60), st.data(), confidences)
def test_the_lower_bound_is_where_so_many_hits_become_that_unlikely(
    trials: int, data: st.DataObject, confidence: float
) -> None:
    hits = data.draw(st.integers(1, trials))
    bound = binomial_lower(hits, trials, confidence)
    assert 1 - at_most(hits - 1, trials, bound) == pytest.approx(1 - confidence, rel=1e-9)


@pytest.mark.parametrize(
    ("hits", "trials", "upper"),
    [(0, 100, 0.0295130), (2, 1000, 0.0062823), (22, 10_000, 0.0031400), (50_000, 100_000, 0.5026057)],
)
def test_known_upper_bounds(hits: int, trials: int, upper: float) -> None:
    assert binomial_upper(hits, trials) == pytest.approx(upper, abs=1e-7)


def test_nothing_seen_is_the_rule_of_three() -> None:
    assert binomial_upper(0, 1_000_000) == pytest.approx(3 / 1_000_000, rel=0.002)
    assert (binomial_lower(0, 10), binomial_upper(10, 10)) == (0, 1)


def test_a_hundred_thousand_trials_are_bounded() -> None:
    assert 0.5 < binomial_upper(50_000, 100_000) < 0.51


@given(st.integers(1, 10_000), st.floats(0, 1), confidences)
def test_the_bound_of_a_mean_is_never_tighter_than_the_exact_one_for_coins(
    count: int, share: float, confidence: float
) -> None:
    hits = round(share * count)
    assert mean_upper(hits / count, count, confidence) >= binomial_upper(hits, count, confidence) * (1 - 1e-9)


@given(st.integers(1, 10**6), confidences)
def test_with_nothing_seen_both_bounds_are_the_same(count: int, confidence: float) -> None:
    assert mean_upper(0.0, count, confidence) == pytest.approx(binomial_upper(0, count, confidence))


@given(st.floats(0, 0.45), st.floats(0.01, 0.5), confidences)
def test_so_many_are_needed_and_one_less_is_not_enough(mean: float, more: float, confidence: float) -> None:
    target = mean + more
    count = count_needed(mean, target, confidence)
    assert count is not None
    assert mean_upper(mean, count, confidence) <= target * (1 + 1e-9)
    if count > 2:
        assert mean_upper(mean, count - 2, confidence) > target


@pytest.mark.parametrize("target", [0.1, 0.2])
def test_no_number_of_values_brings_the_bound_down_to_the_mean_itself(target: float) -> None:
    assert count_needed(0.2, target) is None


@pytest.mark.parametrize(
    "value",
    [
        lambda rng: float(rng.random() < 0.02),
        lambda rng: rng.betavariate(0.1, 4.9),
        lambda rng: 0.02,
        lambda rng: 0.9 if rng.random() < 0.02 / 0.9 else 0.0,
        lambda rng: 0.5 if rng.random() < 0.04 else 0.0,
    ],
    ids=["coins", "beta", "constant", "bimodal", "halves"],
)
def test_the_bound_of_a_mean_holds_whatever_the_distribution(value: Callable[[random.Random], float]) -> None:
    """Every one of these has mean 0.02; at most 5 % of the bounds may lie below it."""
    rng = random.Random(7)
    experiments = 1000
    missed = sum(mean_upper(sum(value(rng) for _ in range(50)) / 50, 50) < 0.02 for _ in range(experiments))
    assert missed <= 0.05 * experiments + 4 * math.sqrt(0.05 * 0.95 * experiments)


@pytest.mark.parametrize(("hits", "trials"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(hits: int, trials: int) -> None:
    for bound in (binomial_upper, binomial_lower):
        with pytest.raises(BadInput, match="cannot bound"):
            bound(hits, trials)


@pytest.mark.parametrize(("mean", "count"), [(-0.1, 10), (1.1, 10), (math.nan, 10), (0.5, 0)])
def test_impossible_means_are_refused(mean: float, count: int) -> None:
    with pytest.raises(BadInput, match="cannot bound"):
        mean_upper(mean, count)


@pytest.mark.parametrize("confidence", [0.0, 0.49, 1.0, 95, math.nan])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(BadInput, match=repr(confidence)):
        binomial_upper(1, 10, confidence)
    with pytest.raises(BadInput, match=repr(confidence)):
        mean_upper(0.1, 10, confidence)

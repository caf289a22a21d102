"""Two ways on the same things: the sign test is exact, and Student's interval is Student's."""

import math
import random
from fractions import Fraction

import pytest

from surefoot.errors import BadInput
from surefoot.voting import beats, mean_interval


def exact(won: int, lost: int) -> Fraction:
    """Return P(X >= won) of so many fair coins."""
    coins = won + lost
    return Fraction(sum(math.comb(coins, i) for i in range(won, coins + 1)), 2**coins)


@pytest.mark.parametrize("confidence", [0.8, 0.975, 0.999])
def test_the_sign_test_is_exact(confidence: float) -> None:
    for won in range(40):
        for lost in range(40):
            assert beats(won, lost, confidence) == (won > lost and exact(won, lost) <= 1 - confidence)


def test_no_pairs_say_nothing() -> None:
    assert not beats(0, 0)


@pytest.mark.parametrize(
    ("values", "confidence", "half"),
    [
        # Quantiles of Student's t from the tables: 2.2622, 2.0930, 3.3554... times s / sqrt(n)
        (10, 0.95, 2.2622),
        (20, 0.95, 2.0930),
        (31, 0.99, 2.7500),
        (121, 0.95, 1.9799),
    ],
)
def test_the_interval_has_the_width_of_students_tables(values: int, confidence: float, half: float) -> None:
    found = mean_interval([-1.0, 1.0] * (values // 2) + [0.0] * (values % 2), confidence)
    deviation = math.sqrt(2 * (values // 2) / (values - 1))
    assert found.mean == pytest.approx(0)
    assert found.high == -found.low == pytest.approx(half * deviation / math.sqrt(values), rel=5e-4)


def test_values_that_are_all_the_same_leave_no_doubt() -> None:
    assert mean_interval([-3.0] * 20) == (-3, -3, -3)


def test_it_holds_as_often_as_it_says() -> None:
    rng = random.Random(1)
    held = 0
    for _ in range(2000):
        low, high = mean_interval([rng.gauss(5, 2) for _ in range(20)])[1:]
        held += low <= 5 <= high
    assert 0.935 <= held / 2000 <= 0.965


@pytest.mark.parametrize(
    ("count", "confidence"), [(9, 0.95), (20, 1.0), (20, 1 - 2**-53), (20, 0.4), (0, 0.9)]
)
def test_what_cannot_be_bounded_is_refused(count: int, confidence: float) -> None:
    with pytest.raises(BadInput, match="an interval needs 10 values"):
        mean_interval([1.0] * count, confidence)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_has_no_interval(value: float) -> None:
    with pytest.raises(BadInput, match=f"finite values, not {value!r}"):
        mean_interval([*range(20), value])

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.draft_length import best_length, expected_runs

shares = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(a=st.floats(0, 0.999), length=st.integers(0, 60))
def test_with_one_acceptance_everywhere_the_run_is_that_of_the_formula(a: float, length: int) -> None:
    assert expected_runs([a] * length)[-1] == pytest.approx((1 - a ** (length + 1)) / (1 - a))


@given(shares)
def test_a_run_has_one_token_more_than_what_is_proposed_at_most(acceptances: list[float]) -> None:
    runs = expected_runs(acceptances)
    assert len(runs) == len(acceptances) + 1 and runs[0] == 1
    assert all(0 <= later - earlier <= 1 + 1e-9 for earlier, later in pairwise(runs))


def simulated(acceptances: list[float], length: int, cost: float, rng: random.Random) -> float:
    """Tokens a second of 20,000 rounds, one drawn after the other."""
    tokens, rounds = 0, 20_000
    for _ in range(rounds):
        tokens += 1
        for chance in acceptances[:length]:
            if rng.random() >= chance:
                break
            tokens += 1
    return tokens / (rounds * (1 + cost * length))


@pytest.mark.parametrize("acceptances", [[0.9] * 8, [0.6] * 8, [0.95, 0.9, 0.5, 0.2, 0.9, 0.9, 0.9, 0.9]])
@pytest.mark.parametrize("cost", [0.02, 0.15, 0.7])
def test_the_best_length_is_the_fastest_of_all_when_rounds_are_simulated(
    acceptances: list[float], cost: float
) -> None:
    rng = random.Random(1)
    rates = [simulated(acceptances, length, cost, rng) for length in range(9)]
    chosen = best_length(expected_runs(acceptances), [1 + cost * length for length in range(9)])
    assert rates[chosen] >= 0.99 * max(rates)


def test_a_draft_that_costs_more_than_it_brings_is_not_asked() -> None:
    assert best_length(expected_runs([0.5] * 8), [1 + 0.6 * length for length in range(9)]) == 0


def test_where_little_is_gained_the_shorter_draft_is_enough() -> None:
    runs, seconds = expected_runs([0.9] * 60), [1.0] * 61
    assert best_length(runs, seconds) == 60
    assert best_length(runs, seconds, enough=0.99) < 45

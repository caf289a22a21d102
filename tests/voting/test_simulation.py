"""Real elections over seeded random samples agree with the formulas."""

import math
import random
from collections.abc import Callable
from statistics import fmean, stdev

import pytest

from surefoot.voting import (
    Election,
    FirstToAheadBy,
    RedFlag,
    Verdict,
    expected_samples,
    expected_votes,
    p_step,
    p_vote,
)

Draw = Callable[[random.Random], str | RedFlag]

ELECTIONS = 4000
SIGMAS = 4
"""Chance of a deviation this large: 6 in 100,000.  The seeds are fixed besides."""


def hold(k: int, draw: Draw, seed: int) -> list[Verdict[str]]:
    rng = random.Random(seed)
    verdicts = []
    for _ in range(ELECTIONS):
        election: Election[str] = Election(FirstToAheadBy(k), limit=100_000)
        while wanted := election.wanted:
            for number in election.submit(wanted):
                election.cast(number, draw(rng))
        verdicts.append(election.verdict())
    return verdicts


def right(verdicts: list[Verdict[str]]) -> float:
    return fmean(verdict.winner == "right" for verdict in verdicts)


def sigma_of_share(p: float) -> float:
    return math.sqrt(p * (1 - p) / ELECTIONS)


def agrees(values: list[int], expected: float) -> bool:
    return abs(fmean(values) - expected) <= SIGMAS * stdev(values) / math.sqrt(len(values))


def one_rival(p: float) -> Draw:
    return lambda rng: "right" if rng.random() < p else "wrong"


def rivals(p: float, weights: list[int]) -> Draw:
    names = [f"wrong {n}" for n in range(len(weights))]
    return lambda rng: "right" if rng.random() < p else rng.choices(names, weights)[0]


@pytest.mark.parametrize(("p", "k"), [(0.7, 1), (0.7, 3), (0.55, 4), (0.9, 2), (0.4, 2)])
def test_with_one_rival_the_formulas_are_exact(p: float, k: int) -> None:
    verdicts = hold(k, one_rival(p), seed=1)
    expected = p_step(p, k)
    assert abs(right(verdicts) - expected) <= SIGMAS * sigma_of_share(expected)
    assert agrees([verdict.votes for verdict in verdicts], expected_votes(p, k))


@pytest.mark.parametrize("weights", [[1, 1], [5, 1, 1], [1] * 20])
@pytest.mark.parametrize(("p", "k"), [(0.6, 2), (0.6, 4), (0.75, 3)])
def test_with_several_rivals_p_step_is_a_lower_bound_and_votes_keep_to_the_papers_limit(
    p: float, k: int, weights: list[int]
) -> None:
    verdicts = hold(k, rivals(p, weights), seed=2)
    worst = p_step(p, k)
    assert right(verdicts) >= worst - SIGMAS * sigma_of_share(worst)
    votes = [verdict.votes for verdict in verdicts]
    assert fmean(votes) <= k / (2 * p - 1) + SIGMAS * stdev(votes) / math.sqrt(ELECTIONS)


def test_below_one_half_the_right_answer_still_wins_as_long_as_it_is_the_mode() -> None:
    verdicts = hold(8, rivals(0.4, [1] * 6), seed=3)
    assert right(verdicts) > 0.99
    assert p_step(0.4, 8) < 0.05


@pytest.mark.parametrize(("p", "m", "k"), [(0.8, 2, 2), (0.9, 3, 3), (0.7, 4, 2)])
def test_several_steps_per_sample_make_the_lazy_walk(p: float, m: int, k: int) -> None:
    """Answers that are neither right nor the rival are thrown away, so that they neither help nor hinder."""

    def draw(rng: random.Random) -> str | RedFlag:
        wrong = [step for step in range(m) if rng.random() >= p]
        return "right" if not wrong else "rival" if wrong == [m - 1] else RedFlag("stray")

    verdicts = hold(k, draw, seed=4)
    expected = p_step(p, k)
    assert abs(right(verdicts) - expected) <= SIGMAS * sigma_of_share(expected)
    assert agrees([verdict.samples for verdict in verdicts], expected_votes(p, k, m))


@pytest.mark.parametrize(("p", "m", "k"), [(0.8, 2, 2), (0.9, 3, 3), (0.7, 4, 3)])
def test_several_steps_per_sample_with_every_stray_counted_are_no_less_reliable(
    p: float, m: int, k: int
) -> None:
    def draw(rng: random.Random) -> str:
        errors = [str(rng.randrange(5)) if rng.random() >= p else "-" for _ in range(m)]
        return "right" if set(errors) == {"-"} else "".join(errors)

    assert p_vote(p, m) > 0.2
    worst = p_step(p, k)
    assert right(hold(k, draw, seed=5)) >= worst - SIGMAS * sigma_of_share(worst)


def test_red_flags_cost_samples_and_no_reliability() -> None:
    p, k, valid_rate = 0.7, 3, 0.6

    def draw(rng: random.Random) -> str | RedFlag:
        return one_rival(p)(rng) if rng.random() < valid_rate else RedFlag("malformed")

    verdicts = hold(k, draw, seed=6)
    expected = p_step(p, k)
    assert abs(right(verdicts) - expected) <= SIGMAS * sigma_of_share(expected)
    assert agrees([verdict.samples for verdict in verdicts], expected_samples(p, k, valid_rate=valid_rate))

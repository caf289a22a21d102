"""Lowest of n: what is kept, and how many runs are drawn for it."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.monitor.selection import PRICE, Kept, NothingScored, expected_gain, lowest_of_n
from surefoot.errors import BadInput

SIMULATIONS = 2000


async def kept(
    scores: Sequence[float | None], most: int = 4, price: float = PRICE, earlier: Sequence[float] = ()
) -> Kept[str]:
    """Draw runs with these scores, in this order."""

    async def run(number: int) -> str:
        return f"run {number}"

    async def score(run: str) -> float | None:
        return scores[int(run.removeprefix("run "))]

    return await lowest_of_n(run, score, most, price=price, earlier=earlier)


async def test_the_lowest_score_is_kept_and_the_first_of_equals() -> None:
    found = await kept([9, 4, 7, 4])
    assert (found.run, found.position, found.score) == ("run 1", 1, 4)
    assert found.scores == (9, 4, 7, 4)[: len(found.scores)]


async def test_no_more_runs_are_drawn_once_they_promise_less_than_they_cost() -> None:
    assert len((await kept([0, 9, 9, 9])).scores) == 1
    assert len((await kept([2, 0, 0, 0])).scores) == 1
    assert len((await kept([8, 1, 0, 0])).scores) == 2
    assert len((await kept([10, 10, 10, 10, 0], most=4)).scores) == 4
    assert len((await kept([10, 10, 10, 10, 0], most=9, price=5.0)).scores) == 1


async def test_a_run_without_a_score_is_never_kept_before_one_with_the_worst() -> None:
    found = await kept([None, 10, None, None])
    assert (found.run, found.score, found.scores) == ("run 1", 10, (None, 10, None, None))


async def test_nothing_is_chosen_where_nothing_could_be_scored() -> None:
    with pytest.raises(NothingScored, match="none of 4 runs"):
        await kept([None] * 4)


async def test_scores_of_earlier_runs_tell_whether_better_ones_are_to_be_had() -> None:
    hopeless, hopeful = [4.0] * 40, [0.0, 8.0] * 20
    assert len((await kept([4, 4, 4, 4], earlier=hopeless)).scores) == 1
    assert len((await kept([4, 4, 4, 4], earlier=hopeful)).scores) == 4


@pytest.mark.parametrize(
    "most, price, score", [(0, 0.1, 1.0), (2, -1.0, 1.0), (2, 0.1, 11.0), (2, 0.1, math.nan)]
)
async def test_bad_values_are_refused(most: int, price: float, score: float) -> None:
    with pytest.raises(BadInput):
        await kept([score] * 2, most, price)


def test_the_gain_is_that_of_the_scores_seen_and_one_spread_evenly() -> None:
    assert expected_gain(10, []) == 5
    assert expected_gain(6, [6]) == 36 / 20 / 2
    assert expected_gain(6, [6, 8, 9]) == 36 / 20 / 4
    assert expected_gain(5, [1, 9]) == pytest.approx((25 / 20 + 4) / 3)
    source = random.Random(1)
    many = [source.uniform(0, 10) for _ in range(20_000)]
    assert expected_gain(4, many) == pytest.approx(4**2 / 20, rel=0.03)


@given(st.lists(st.none() | st.integers(0, 10), min_size=1, max_size=8), st.floats(0, 3))
async def test_what_is_kept_is_the_lowest_of_what_was_drawn(scores: list[int | None], price: float) -> None:
    known = [score for score in scores if score is not None]
    if not known:
        return
    try:
        found = await kept(scores, most=len(scores), price=price)
    except NothingScored:
        pytest.fail("there was a score, and drawing ended before it")
    drawn = [score for score in found.scores if score is not None]
    assert found.score == min(drawn)
    assert found.scores == tuple(scores[: len(found.scores)])
    assert len(found.gains) == len(found.scores)
    assert all(gain >= price for gain in found.gains[:-1])


def exact(chances: dict[int, float], most: int, price: float) -> tuple[float, float]:
    """The expected score kept and the expected number of runs, by going through every sequence of scores."""

    def go(best: float, drawn: int) -> tuple[float, float]:
        # For the scores of one task alone the rule depends on the best of them and their number.
        if drawn == most or (drawn and best**2 / (20 * (drawn + 1)) < price):
            return best, float(drawn)
        parts = [(chance, go(min(best, score), drawn + 1)) for score, chance in chances.items()]
        return sum(chance * part[0] for chance, part in parts), sum(
            chance * part[1] for chance, part in parts
        )

    return go(10.0, 0)


@pytest.mark.parametrize(
    "chances",
    [
        {0: 0.5, 10: 0.5},  # the case for drawing again: half of the runs go astray
        {2: 0.3, 5: 0.4, 8: 0.3},
        dict.fromkeys(range(11), 1 / 11),
        {1: 1.0},
        {7: 1.0},
    ],
)
async def test_picks_and_counts_are_those_that_the_distribution_of_scores_predicts(
    chances: dict[int, float],
) -> None:
    source = random.Random(20)
    drawn = (source.choices([*chances], [*chances.values()], k=4) for _ in range(SIMULATIONS))
    found = [await kept(scores) for scores in drawn]
    scores, counts = [one.score for one in found], [len(one.scores) for one in found]
    score, count = exact(chances, 4, PRICE)
    for values, expected in ((scores, score), (counts, count)):
        mean = sum(values) / SIMULATIONS
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / SIMULATIONS)
        assert abs(mean - expected) <= 4 * spread / math.sqrt(SIMULATIONS) + 1e-9


def test_easy_tasks_cost_fewer_runs_than_hard_ones() -> None:
    easy, mixed, hard = (exact(chances, 4, PRICE)[1] for chances in ({1: 1.0}, {0: 0.5, 10: 0.5}, {9: 1.0}))
    assert (easy, mixed, hard) == (1.0, 1.875, 4.0)

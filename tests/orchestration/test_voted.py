"""`surefoot.voted`: an election around an async function that asks a model."""

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import surefoot
from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.models.doubles import Double
from surefoot.voting import Election, FirstToAheadBy, RedFlag, Stalled, Verdict

MODEL = Double(
    lambda prompt: "Paris", lambda prompt, which: f"City {which % 3}", error=0.2, invalid=0.2, seed=3
)


async def said(prompt: str, seed: int) -> str:
    """Ask the double for one sample; raise NotAnAnswer for one that is no answer."""
    async with aclosing(MODEL.sample([Ask(prompt, 0.5, 20, seed)])) as samples:
        _, sample = await anext(samples)
    if sample.finish != "stop" or not sample.text.replace(" ", "").isalnum():
        raise surefoot.NotAnAnswer("no city")
    return sample.text


async def test_a_function_that_is_wrong_one_time_in_five_decides_right_and_its_verdict_is_told() -> None:
    verdicts: list[Verdict[str]] = []

    @surefoot.voted(k=4, number="seed", on_verdict=verdicts.append)
    async def capital(country: str, *, seed: int = 0) -> str:
        return await said(f"The capital of {country}:", seed)

    assert await capital("France") == "Paris"
    (verdict,) = verdicts
    others = max((votes for ballot, votes in verdict.tally.items() if ballot != "Paris"), default=0)
    assert verdict.tally["Paris"] == others + 4
    assert set(verdict.flags) <= {"malformed"}


async def test_the_verdict_is_that_of_an_election_over_the_same_samples() -> None:
    outcomes = []
    for seed in range(40):
        try:
            outcomes.append(await said("The capital of France:", seed))
        except surefoot.NotAnAnswer:
            outcomes.append(RedFlag("malformed"))
    election: Election[Any] = Election(FirstToAheadBy(3), limit=40)
    while wanted := election.wanted:
        for number in election.submit(wanted):
            election.cast(number, outcomes[number])

    verdicts: list[Verdict[str]] = []

    @surefoot.voted(k=3, number="seed", on_verdict=verdicts.append)
    async def capital(seed: int = 0) -> str:
        return await said("The capital of France:", seed)

    await capital()
    assert (verdicts[0].tally, verdicts[0].flags) == (election.verdict().tally, election.verdict().flags)


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=12, max_size=12), st.permutations(range(12)))
def test_the_order_of_completion_changes_nothing(ballots: list[str | None], order: list[int]) -> None:
    def decided(delays: Callable[[int], int]) -> Any:
        verdicts: list[Verdict[str]] = []

        @surefoot.voted(k=2, limit=12, number="sample", on_verdict=verdicts.append)
        async def vote(sample: int = 0) -> str:
            for _ in range(delays(sample)):
                await asyncio.sleep(0)
            if (ballot := ballots[sample]) is None:
                raise surefoot.NotAnAnswer("nothing")
            return ballot

        try:
            asyncio.run(vote())
        except Stalled as stall:
            return stall.tally, stall.flags
        return verdicts[0]

    assert decided(lambda _: 0) == decided(order.__getitem__)


async def test_as_many_calls_as_could_decide_run_at_once_and_no_more() -> None:
    running, most, calls = 0, 0, 0

    @surefoot.voted(k=3)
    async def yes() -> bool:
        nonlocal running, most, calls
        running, calls = running + 1, calls + 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return True

    assert await yes()
    assert (most, calls) == (3, 3)


async def test_without_a_decision_no_ballot_wins() -> None:
    answers = iter("ABABABAB")

    @surefoot.voted(k=2, limit=8)
    async def undecided() -> str:
        return next(answers)

    with pytest.raises(Stalled, match="no ballot got far enough ahead") as stalled:
        await undecided()
    assert Counter(stalled.value.tally) == {"A": 4, "B": 4}


async def test_a_failure_is_no_red_flag_and_ends_the_calls_beside_it() -> None:
    ended = []

    @surefoot.voted(k=3, number="sample")
    async def asked(sample: int = 0) -> str:
        if sample == 1:
            raise ConnectionError("the server is gone")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(sample)
        return "never"

    with pytest.raises(ConnectionError, match="the server is gone"):
        await asked()
    assert sorted(ended) in ([0], [0, 2])


async def test_a_ballot_that_cannot_be_counted_is_refused_in_a_sentence() -> None:
    @surefoot.voted(k=1)
    async def listed() -> Any:
        return ["a", "list"]

    @surefoot.voted(k=1)
    async def nothing() -> Any:
        return None

    with pytest.raises(BadInput, match=r"\['a', 'list'\] cannot be"):
        await listed()
    with pytest.raises(BadInput, match="raises NotAnAnswer"):
        await nothing()


def test_what_cannot_decide_is_refused_where_it_is_written() -> None:
    with pytest.raises(BadInput, match="at least 1, not 0"):
        surefoot.voted(k=0)
    with pytest.raises(BadInput, match="at least k = 3 samples, not 2"):
        surefoot.voted(k=3, limit=2)


async def test_it_stays_the_function_that_it_was_a_method_too() -> None:
    class Clerk:
        def __init__(self, word: str) -> None:
            self.word = word

        @surefoot.voted(k=2)
        async def repeat(self, times: int = 1) -> str:
            """Say it again."""
            return self.word * times

    assert await Clerk("ha").repeat(times=3) == "hahaha"
    assert Clerk.repeat.__doc__ == "Say it again."
    assert inspect.iscoroutinefunction(Clerk.repeat)

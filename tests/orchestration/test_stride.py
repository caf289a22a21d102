import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from surefoot import Options, Stalled, Towers
from surefoot.models.base import Ask, Sampling
from surefoot.models.doubles import Garbage, Latency, towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.openai import OpenAIModel
from surefoot.orchestration.engine.open_step import Terms, seed_of
from surefoot.orchestration.engine.stride import Stride
from surefoot.voting import FirstToAheadBy, Flag, Reading, RedFlag, Sample, Usage

TASK = Towers(6, "compact")


def terms(k: int, **options: object) -> Terms:
    options.setdefault("sampling", TASK.sampling)
    return Terms(TASK, FirstToAheadBy(k), **options)  # type: ignore[arg-type]


class Recorder:
    """Passes asks on to a double and remembers them."""

    name = "recorder"

    def __init__(self, inner: object) -> None:
        self.inner = inner
        self.rounds: list[list[Ask]] = []

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        self.rounds.append(list(asks))
        async for entry in self.inner.sample(asks):  # type: ignore[attr-defined]
            yield entry


async def test_the_fewest_samples_that_could_decide_are_asked_for_at_once() -> None:
    model = Recorder(towers_double())
    await Stride(terms(3), model).decide(TASK.start(), 0)
    assert [len(asks) for asks in model.rounds] == [3]


class Thoughtful(Flag):
    """Throws away what took much reasoning: a flag sees the whole sample."""

    def raised_by(self, reading: Reading[Any]) -> RedFlag | None:
        return RedFlag("long thought") if reading.sample.usage.reasoning else None


@pytest.mark.parametrize("backwards", [False, True])
async def test_what_a_flag_says_of_a_sample_does_not_depend_on_which_came_first(backwards: bool) -> None:
    class Billed:
        name = "billed"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            right = towers_double().draw(asks[0]).text
            for place in reversed(range(len(asks))) if backwards else range(len(asks)):
                yield place, Sample(right, usage=Usage(1, 0, 9, reasoning=7 if place == 1 else 0))

    task = Towers(6, "compact")
    task.views, task.flags = 1, Thoughtful()
    decision = await Stride(Terms(task, FirstToAheadBy(2), task.sampling, limit=9), Billed()).decide(
        task.start(), 0
    )
    assert decision.verdict.flags == {"long thought": 1}
    assert decision.verdict.votes == 2


async def test_ballots_take_the_views_in_turn() -> None:
    model = Recorder(towers_double())
    await Stride(terms(5), model).decide(TASK.start(), 0)
    shown = [TASK.ask(TASK.start(), view) for view in range(3)]
    assert [ask.prompt for ask in model.rounds[0]] == [shown[0], shown[1], shown[2], shown[0], shown[1]]


async def test_the_first_ballot_is_drawn_at_its_own_temperature() -> None:
    model = Recorder(towers_double())
    stride = Stride(terms(3, sampling=Sampling(temperature=0.4, first_temperature=0.0)), model)
    await stride.decide(TASK.start(), 0)
    assert [ask.temperature for ask in model.rounds[0]] == [0.0, 0.4, 0.4]


async def test_a_flagged_sample_is_replaced_and_never_repaired() -> None:
    model = Recorder(towers_double(invalid=0.4, seed=1))
    decision = await Stride(terms(4), model).decide(TASK.start(), 0)
    verdict = decision.verdict
    assert sum(verdict.flags.values()) > 0
    assert verdict.votes == 4
    flagged = [outcome for _, _, outcome in decision.drawn if isinstance(outcome, RedFlag)]
    assert len(flagged) == sum(verdict.flags.values())
    assert sum(map(len, model.rounds)) == verdict.samples


async def test_no_two_samples_of_a_job_share_a_seed() -> None:
    seeds = {seed_of(job, step, number) for job in range(3) for step in range(300) for number in range(20)}
    assert len(seeds) == 3 * 300 * 20


async def test_short_answers_get_no_advantage() -> None:
    """The wrong ballots come first, the right ones were submitted first: order of submission decides."""

    class Hasty:
        name = "hasty"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            for place in reversed(range(len(asks))):
                right = towers_double().draw(asks[place])
                yield place, right if place < 2 else Sample("bAB;AacdefBbC")

    task = Towers(6, "compact")
    task.views = 1
    stride = Stride(Terms(task, FirstToAheadBy(2), task.sampling, spare=3), Hasty())
    verdict = (await stride.decide(task.start(), 0)).verdict
    assert verdict.winner[0] == (1, 0, 1)
    assert dict(verdict.tally) == {verdict.winner: 2}


async def test_samples_that_no_longer_matter_are_cancelled_on_the_server() -> None:
    slow = towers_double(latency=Latency(0.02, 5.0), seed=4)
    async with DoubleServer(slow) as server, OpenAIModel(server.url, options=Options(max_batch=1)) as model:
        stride = Stride(terms(2, spare=20), model)
        verdict = (await stride.decide(TASK.start(), 0)).verdict
        assert verdict.votes == 2
        async with asyncio.timeout(5):
            while server.stats.in_flight:
                await asyncio.sleep(0.01)
        assert server.stats.aborted > 0


async def test_a_stall_carries_the_tally_and_the_last_samples() -> None:
    with pytest.raises(Stalled, match="step 7 stalled") as stalled:
        await Stride(terms(3, limit=12), Garbage()).decide(TASK.start(), 7)
    assert sum(stalled.value.flags.values()) == 12
    assert len(stalled.value.examples) == 5

"""Short answers that agree are taken, others lead to thinking, and both are paid for."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.agents.reasoning.route import NoThinking, Route, majority_chance
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.doubles import Double
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import ScriptedThought, overthinker, scripted
from surefoot.models.openai import OpenAIModel
from surefoot.models.streaming import Draw, Token
from surefoot.models.tags import THINK, Tags
from surefoot.voting.samples import Sample, Usage


def right(prompt: Prompt) -> str:
    return f"{prompt} is 12"


def wrong(prompt: Prompt, which: int) -> str:
    return f"{prompt} is {which}"


class Recorded:
    """Remembers what a double was asked, and what it has cost."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.asks: list[Ask] = []
        self.spent = Usage()

    @property
    def name(self) -> str:
        return self.double.name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        self.asks += asks
        async for position, sample in self.double.sample(asks):
            self.spent += sample.usage
            yield position, sample


def short(**chances: float) -> Recorded:
    return Recorded(Double(right, wrong, name="short", **chances))  # type: ignore[arg-type]


def thinking() -> Recorded:
    return Recorded(Double(lambda prompt: f"thought: {prompt} is 12", wrong, name="thinking"))


async def drawn(route: Route, asks: Sequence[Ask]) -> dict[int, Sample]:
    return {position: sample async for position, sample in route.sample(asks)}


def asks(count: int, max_tokens: int = 100) -> list[Ask]:
    return [Ask(f"question {number}", 0.0, max_tokens, 7) for number in range(count)]


async def test_short_answers_that_agree_are_taken_without_thinking() -> None:
    fast, slow = short(), thinking()
    route = Route(fast, slow)
    samples = await drawn(route, asks(5))
    assert {place: sample.text for place, sample in samples.items()} == {
        place: f"question {place} is 12" for place in range(5)
    }
    assert (route.asked, route.thought, slow.asks) == (5, 0, [])
    assert all(sample.usage.completion == 4 * (sample.tokens or 0) for sample in samples.values())


async def test_short_answers_that_differ_lead_to_thinking_and_both_are_on_the_bill() -> None:
    fast, slow = short(error=1.0), thinking()
    route = Route(fast, slow)
    samples = await drawn(route, asks(5))
    assert {sample.text for sample in samples.values()} == {f"thought: question {n} is 12" for n in range(5)}
    assert (route.asked, route.thought) == (5, 5)
    spent = Usage()
    for sample in samples.values():
        spent += sample.usage
    assert spent == fast.spent + slow.spent
    assert [ask.seed for ask in slow.asks] == [7] * 5


async def test_hard_questions_are_thought_about_and_easy_ones_are_not() -> None:
    fast, slow = short(hard=0.3, hard_error=0.9), thinking()
    route = Route(fast, slow)
    samples = await drawn(route, asks(200))
    assert 0.2 < route.thought / route.asked < 0.4
    assert all(sample.text.endswith("is 12") for sample in samples.values())


async def test_short_answers_are_drawn_at_a_temperature_and_with_seeds_of_their_own() -> None:
    fast = short()
    await drawn(Route(fast, thinking(), temperature=0.9), [Ask("q", 0.0, 9, seed) for seed in range(10)])
    assert len({ask.seed for ask in fast.asks}) == 40
    assert {ask.temperature for ask in fast.asks} == {0.9}


async def test_answers_are_compared_in_their_canonical_form() -> None:
    fast = Recorded(Double(right, lambda prompt, which: f"it is {'  ' * (which % 5)}12", error=0.5))
    route = Route(fast, thinking(), canonical=lambda text: text.split()[-1])
    await drawn(route, asks(20))
    assert (route.asked, route.thought) == (20, 0)


async def test_what_is_no_answer_or_was_cut_off_is_no_vote() -> None:
    unreadable = Route(short(), thinking(), canonical=lambda text: None)
    await drawn(unreadable, asks(3))
    cut = Route(short(), thinking())
    await drawn(cut, asks(3, max_tokens=2))
    assert (unreadable.thought, cut.thought) == (3, 3)


async def test_a_tie_is_no_agreement() -> None:
    fast = Recorded(Double(right, lambda prompt, which: f"{which}", error=1.0))
    route = Route(fast, thinking(), samples=2, agree=0.5)
    await drawn(route, asks(5))
    assert route.thought == 5


async def test_leaving_early_stops_what_still_runs() -> None:
    before = asyncio.all_tasks()
    route = Route(Double(right, wrong, latency=60), thinking())
    answers = route.sample(asks(3))
    first = asyncio.ensure_future(anext(answers))
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await answers.aclose()
    assert asyncio.all_tasks() == before


def test_unanimity_that_can_never_be_sure_enough_is_refused_with_what_it_reaches() -> None:
    with pytest.raises(BadInput, match=r"3 short answers that all agree reach 0\.9375"):
        Route(short(), thinking(), samples=3)
    with pytest.raises(BadInput, match="temperature above 0"):
        Route(short(), thinking(), temperature=0)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_chance_of_a_majority_is_that_of_the_beta_distribution(first: int, second: int) -> None:
    """Compared with the integral itself, by the midpoint rule."""
    cells = 4000
    density = [((i + 0.5) / cells) ** first * (1 - (i + 0.5) / cells) ** second for i in range(cells)]
    assert majority_chance(first, second) == pytest.approx(
        sum(density[cells // 2 :]) / sum(density), abs=1e-5
    )


def test_adaptive_consistency_needs_these_votes_for_95_percent() -> None:
    needed = [
        next(first for first in range(50) if majority_chance(first, second) >= 0.95) for second in range(6)
    ]
    assert needed == [4, 6, 8, 9, 11, 12]


async def test_one_reasoning_model_can_be_both_without_thinking_and_with() -> None:
    double = ThinkingDouble(
        overthinker(lambda prompt: "12", lambda prompt, which: f"{which}", error=0.1, rechecks=3)
    )
    route = Route(Reasoner(double, NoThinking()), Reasoner(double))
    samples = await drawn(route, [Ask(f"question {number}", 0.7, 20, number) for number in range(30)])
    at_once = [sample for sample in samples.values() if not sample.usage.reasoning]
    assert len(at_once) == route.asked - route.thought
    assert 0 < route.thought < route.asked
    assert {sample.text for sample in at_once} == {"12"}


class Deaf(ThinkingDouble):
    """A model whose chat template knows no `enable_thinking`, as R1's."""

    def written(self, draw: Draw) -> tuple[list[Token], str]:
        return super().written(replace(draw, think=None))


@pytest.mark.parametrize("style", ["content", "reasoning"])
@pytest.mark.parametrize("tags", [THINK, Tags(opened=True)])
async def test_who_is_not_to_think_answers_even_if_the_template_cannot_be_told(
    style: str, tags: Tags
) -> None:
    steps = [ScriptedThought(f"Wait, it is {number}, or is it not?", "12") for number in range(9)]
    double = Deaf(scripted(steps, direct="at once"), tags=tags)
    async with DoubleServer(double, thoughts=style) as server, OpenAIModel(server.url) as model:  # type: ignore[arg-type]
        await model.ready()
        server.bodies.clear()
        reasoner = Reasoner(model, NoThinking(), answer_tokens=16, tags=tags)
        state = await reasoner.think(Ask((Message("user", "?"),), 0.5, 16, 0))
        asked = len(server.bodies)
    assert (state.text.strip(), state.thought, state.finish) == ("at once", "", "stop")
    assert (state.ended_by, asked) == ("budget", 2)
    assert state.tokens < 8, "it has thought for a while"

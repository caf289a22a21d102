"""Budgets from uncertainty: the measures, the map to tokens, and the control that books its short answer."""

import asyncio
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.reasoning.adapt import Adapt, Ramp, entropy_uncertainty, margin_uncertainty
from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.reasoner import Control, Reasoner, StreamState
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import ScriptedThought, Segment, Writer, scripted
from surefoot.models.openai import OpenAIModel
from surefoot.models.streaming import Draw, Streaming, Token

STEPS = [
    ScriptedThought("First, it is 5.", "5"),
    ScriptedThought("Wait, it is 4.", "4"),
    ScriptedThought("Hmm, 4.", "4"),
]
ASK = Ask("2 + 2?", 0.6, 64, 1)


def token(*probabilities: float) -> Token:
    top = tuple((str(number), math.log(p)) for number, p in enumerate(probabilities))
    return Token("0", top[0][1], top)


tokens = st.lists(
    st.lists(st.floats(0.001, 1), min_size=1, max_size=5).map(lambda ps: token(*(p / sum(ps) for p in ps))),
    min_size=1,
    max_size=20,
)


def test_the_margin_is_between_the_two_likeliest() -> None:
    assert margin_uncertainty([token(1.0)]) == 0
    assert margin_uncertainty([token(0.5, 0.5)]) == 1
    assert margin_uncertainty([token(0.2, 0.7, 0.1)]) == pytest.approx(0.5)
    assert margin_uncertainty([token(1.0), token(0.5, 0.5)]) == 0.5


def test_entropy_looks_at_the_most_uncertain_fifth() -> None:
    sure, even = token(1.0), token(0.5, 0.5)
    assert entropy_uncertainty([sure] * 8 + [even] * 2) == pytest.approx(math.log(2))
    assert entropy_uncertainty([sure] * 9 + [even]) == pytest.approx(math.log(2) / 2)
    assert entropy_uncertainty([token(0.5)]) == pytest.approx(math.log(2))


@given(tokens)
def test_measures_keep_their_range(drawn: list[Token]) -> None:
    assert -1e-9 <= margin_uncertainty(drawn) <= 1 + 1e-9
    assert -1e-9 <= entropy_uncertainty(drawn) <= math.log(6) + 1e-9


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50, unique=True), st.floats(-1, 2), st.floats(-1, 2))
def test_a_ramp_rises_from_0_to_1_and_reaches_them_at_the_deciles(
    seen: list[float], one: float, other: float
) -> None:
    ramp = Ramp.of(seen)
    low, high = sorted((one, other))
    assert 0 <= ramp.share(low) <= ramp.share(high) <= 1
    assert ramp.share(ramp.sure) == 0 and ramp.share(ramp.unsure) == 1
    assert min(seen) <= ramp.sure < ramp.unsure <= max(seen)


@pytest.mark.parametrize("seen", [[], [0.5], [0.5, 0.5, 0.5]])
def test_a_ramp_needs_values_that_differ(seen: list[float]) -> None:
    with pytest.raises(BadInput, match="ramp needs"):
        Ramp.of(seen)


def knowing(probability: float) -> Writer:
    """A script whose answer without any thought is `probability` likely, token by token."""
    write = scripted(STEPS, direct="4")

    def told(prompt: object, raw: str, dice: object) -> Segment | None:
        segment = write(prompt, raw, dice)  # type: ignore[arg-type]
        thought = any(step.thought in raw for step in STEPS)
        return segment._replace(probability=probability) if segment and not thought else segment

    return told


async def test_easy_and_sure_is_short_and_the_short_answer_is_booked() -> None:
    budgets = {}
    for probability in (0.99, 0.8, 0.5):
        double = ThinkingDouble(knowing(probability))
        state = await Reasoner(double, Adapt(least=10, most=110)).think(ASK)
        short, stream, *_ = double.draws
        assert (short.temperature, short.max_tokens) == (0.0, 20)
        assert short.begun == "<think></think>\n\n**Final answer:** "
        assert state.usage.completion == double.streamed.tokens
        budgets[probability] = stream.max_tokens
    assert 10 <= budgets[0.99] < budgets[0.8] < budgets[0.5] <= 110


async def test_a_budget_that_the_server_enforces_is_lowered_too() -> None:
    double = ThinkingDouble(knowing(0.8), enforces_budget=True)
    state = await Reasoner(double, Elastic(80, 32), Adapt(ramp=Ramp(0.0, 4.0))).think(ASK)
    budget = double.draws[-1].thinking_budget
    assert budget is not None and 0 < budget < 10
    assert state.tokens <= budget + 2 and state.text.strip() != ""


async def test_without_a_most_the_budget_of_the_draw_is_the_limit() -> None:
    double = ThinkingDouble(knowing(0.5))
    await Reasoner(double, Adapt(ramp=Ramp(0.0, 0.1)), think_tokens=200).think(ASK)
    assert double.draws[1].max_tokens == 200


async def test_who_is_sure_enough_answers_without_thinking() -> None:
    state = await Reasoner(ThinkingDouble(knowing(0.99)), Adapt(ramp=Ramp(0.5, 0.9))).think(ASK)
    assert (state.thought.strip(), state.text.strip()) == ("", "4")


async def test_who_is_sure_enough_answers_without_thinking_whatever_the_template_does() -> None:
    class Deaf(ThinkingDouble):
        def written(self, draw: Draw) -> tuple[list[Token], str]:
            return super().written(replace(draw, think=None))

    chat = ASK._replace(prompt=(Message("user", "2 + 2?"),), max_tokens=8)
    async with DoubleServer(Deaf(knowing(0.99))) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.bodies.clear()
        state = await Reasoner(model, Adapt(ramp=Ramp(0.5, 0.9))).think(chat)
        assert len(server.bodies) == 3, "not a short answer, thinking that is closed, and the answer"
    assert (state.thought, state.text.strip(), state.ended_by) == ("", "4", "budget")


async def test_who_has_no_short_answer_thinks_as_long_as_allowed() -> None:
    double = ThinkingDouble(lambda prompt, raw, dice: None)
    uncertainty, _ = await Adapt().uncertainty(double, Reasoner(double).draw(ASK))
    assert uncertainty == 1.0


async def test_two_samples_with_the_same_seed_at_the_same_time_are_both_booked() -> None:
    double = ThinkingDouble(knowing(0.8))
    reasoner = Reasoner(double, Adapt(most=50))
    one, other = await asyncio.gather(reasoner.think(ASK), reasoner.think(ASK))
    assert one.usage == other.usage
    assert one.usage.completion + other.usage.completion == double.streamed.tokens


class Asks(Control):
    """Puts the question in other words, or fails to."""

    name = "asks"

    def __init__(self, *prompts: str) -> None:
        self.prompts = list(prompts)

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        if not self.prompts:
            raise BadInput("no words left")
        state.draw = replace(state.draw, prompt=self.prompts.pop())


async def test_a_later_control_may_change_the_question_or_fail_and_every_sample_pays_for_itself() -> None:
    double = ThinkingDouble(knowing(0.8))
    reasoner = Reasoner(double, Adapt(most=50), Asks("2 + 2 is?"))
    state = await reasoner.think(ASK)
    assert state.prompt == "2 + 2 is?"
    assert state.usage.completion == double.streamed.tokens
    with pytest.raises(BadInput, match="no words left"):
        await reasoner.think(ASK)


@pytest.mark.parametrize(("least", "most"), [(-1, None), (10, 9)])
def test_a_budget_that_is_none_is_refused(least: int, most: int | None) -> None:
    with pytest.raises(BadInput, match="least <= most"):
        Adapt(least, most)

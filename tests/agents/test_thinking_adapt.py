"""Budgets from uncertainty: the measures, the map to tokens, and the control that books its short answer."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.reasoning.adapt import Adapt, Ramp, entropy_uncertainty, length_score, margin_uncertainty
from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.reasoner import Control, ControlFailed, Reasoner, StreamState
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt
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


def hard_by(**difficulties: float) -> Callable[[Prompt], float]:
    """Return a difficulty that is told in the prompt's first word."""
    return lambda prompt: difficulties[str(prompt).split()[0]]


def about(word: str) -> Ask:
    return ASK._replace(prompt=f"{word} 2 + 2?")


@pytest.mark.parametrize("probability", [0.9, 0.6, 0.3])
async def test_the_budget_is_the_product_of_difficulty_and_uncertainty_on_the_ramp(
    probability: float,
) -> None:
    double = ThinkingDouble(knowing(probability))
    others = (1 - probability) / 19
    uncertainty = 1 - (probability - others)
    hard = hard_by(easy=0.25, hard=1.0)
    for word, difficulty in (("easy", 0.25), ("hard", 1.0)):
        control = Adapt(10, 210, ramp=Ramp(0.1, 0.9), difficulty=hard)
        draw = Reasoner(double).draw(about(word))
        demand, usage = await control.demand(double, draw)
        assert demand == pytest.approx(difficulty * uncertainty) and usage.completion > 0
        share = min(1.0, max(0.0, (difficulty * uncertainty - 0.1) / 0.8))
        budget, _ = await control.budget(double, draw)
        assert budget == round(10 + 200 * share)
        state = await Reasoner(double, control).think(about(word))
        assert state.draw.max_tokens == budget


async def test_a_difficulty_alone_draws_no_short_answer() -> None:
    double = ThinkingDouble(knowing(0.5))
    control = Adapt(10, 110, measure=None, difficulty=hard_by(easy=0.3))
    state = await Reasoner(double, control).think(about("easy"))
    assert [draw.max_tokens for draw in double.draws][:1] == [40] == [state.draw.max_tokens]
    assert not any(draw.top_logprobs for draw in double.draws)
    assert state.usage.completion == double.streamed.tokens


async def test_what_is_not_hard_at_all_is_not_asked_about_first() -> None:
    double = ThinkingDouble(knowing(0.5))
    state = await Reasoner(double, Adapt(difficulty=hard_by(none=0))).think(about("none"))
    assert len(double.draws) == 1 and not double.draws[0].top_logprobs
    assert (state.thought.strip(), state.text.strip()) == ("", "4")


async def test_without_a_short_answer_what_is_hard_enough_is_thought_about_as_long_as_allowed() -> None:
    double = ThinkingDouble(lambda prompt, raw, dice: None)
    control = Adapt(0, 100, ramp=Ramp(0.0, 0.25), difficulty=hard_by(easy=0.1, hard=0.5))
    budgets = {
        word: (await control.budget(double, Reasoner(double).draw(about(word))))[0]
        for word in ("easy", "hard")
    }
    assert budgets == {"easy": 40, "hard": 100}


async def test_a_chat_has_a_difficulty_too() -> None:
    chat = ASK._replace(prompt=(Message("system", "Add."), Message("user", "2 + 2?")))
    control = Adapt(0, 100, measure=None, difficulty=lambda prompt: 0.2 * len(prompt))
    state = await Reasoner(ThinkingDouble(knowing(0.5)), control).think(chat)
    assert state.draw.max_tokens == 40


@pytest.mark.parametrize("found", [1.01, -0.1, 7, math.nan, "0.5", None])
async def test_a_difficulty_that_is_none_is_refused(found: Any) -> None:
    reasoner = Reasoner(ThinkingDouble(knowing(0.5)), Adapt(difficulty=lambda prompt: found))
    with pytest.raises(BadInput, match=f"a number from 0 to 1, not {found!r}"):
        await reasoner.think(ASK)


@pytest.mark.parametrize("found", [Fraction(1, 2), np.float32(0.5), np.float64(0.5)])
async def test_a_number_of_another_library_is_a_difficulty(found: Any) -> None:
    control = Adapt(0, 100, measure=None, difficulty=lambda prompt: found)
    double = ThinkingDouble(knowing(0.5))
    assert (await control.budget(double, Reasoner(double).draw(ASK)))[0] == 50


async def test_a_difficulty_that_fails_says_whose_it_is() -> None:
    with pytest.raises(ControlFailed, match=r"control 'adapt\(0-\)' failed in `prepare`: KeyError: '2'"):
        await Reasoner(ThinkingDouble(knowing(0.5)), Adapt(difficulty=hard_by())).think(ASK)


def test_a_control_goes_by_something() -> None:
    with pytest.raises(BadInput, match="a measure of uncertainty, a difficulty, or both"):
        Adapt(measure=None)
    with pytest.raises(BadInput, match=r"a function of the prompt that returns 0 to 1, not 0\.7"):
        Adapt(difficulty=0.7)  # type: ignore[arg-type]


def test_the_length_score_falls_from_the_budget_on() -> None:
    scores = [length_score(tokens, 100) for tokens in (0, 100, 101, 225, 600, 10**9)]
    assert scores == [1.0, 1.0, 1 - 1 / 500, 0.75, 0.0, 0.0]
    assert length_score(150, 100, tolerance=100) == 0.5
    for tolerance in (0, -1, math.nan):
        with pytest.raises(BadInput, match="more than 0"):
            length_score(1, 1, tolerance)


async def test_the_length_score_says_how_far_a_model_left_alone_went_beyond_a_budget() -> None:
    double = ThinkingDouble(knowing(0.95))
    control, reasoner = Adapt(0, 100), Reasoner(double)
    budget, _ = await control.budget(double, reasoner.draw(ASK))
    left_alone = await reasoner.think(ASK)
    assert left_alone.tokens > budget
    assert length_score(left_alone.tokens, budget) == 1 - (left_alone.tokens - budget) / 500
    within = await Reasoner(double, control).think(ASK)
    assert length_score(within.tokens, budget) == 1.0

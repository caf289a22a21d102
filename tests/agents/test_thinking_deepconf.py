"""Confidence: its convention and windows, who is broken off, and what a weighted vote says."""

import math
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.reasoning.deepconf import (
    FLOOR,
    Confident,
    DeepConf,
    Groups,
    confidence,
    confident_vote,
    percentile,
)
from surefoot.agents.reasoning.reasoner import DROPPED, Control, Reasoner
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, ModelUnavailable
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.streams import ThoughtField
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import overthinker
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.options import Options
from surefoot.models.streaming import Draw, Piece, Token

ASK = Ask("2 + 2?", 0.6, 64, 7)
values = st.lists(st.floats(0.01, 30), min_size=1, max_size=40)


def token(*probabilities: float) -> Token:
    top = tuple((str(number), math.log(p)) for number, p in enumerate(probabilities))
    return Token("0", top[0][1] if top else None, top)


def test_a_peaked_distribution_is_surer_than_a_flat_one() -> None:
    peaked, flat = confidence(token(0.97, 0.02, 0.01), 3), confidence(token(0.34, 0.33, 0.33), 3)
    assert peaked is not None and flat is not None and peaked > flat
    assert flat == pytest.approx(-math.log(0.34 * 0.33 * 0.33) / 3)


def test_only_the_first_k_count_and_what_is_not_listed_or_impossible_counts_the_floor() -> None:
    assert confidence(token(0.5, 0.25, 0.25), 2) == confidence(token(0.5, 0.25), 2)
    alone = Token("0", 0.0, (("0", 0.0),))
    assert confidence(alone, 2) == confidence(Token("0", 0.0, (("0", 0.0), ("1", -9999.0))), 2) == -FLOOR / 2
    assert confidence(Token("0", -0.1), 2) is None


@given(values, st.integers(1, 50))
def test_groups_are_the_means_of_all_full_windows(trace: list[float], window: int) -> None:
    groups = Groups(window)
    for value in trace:
        groups.add(value)
    starts = range(max(1, len(trace) - window + 1))
    means = [sum(trace[start : start + window]) / len(trace[start : start + window]) for start in starts]
    assert groups.lowest == pytest.approx(min(means))
    assert groups.now == pytest.approx(means[-1])
    assert groups.full == (len(trace) >= window)


@given(values, st.floats(0, 100))
def test_a_percentile_lies_among_the_values_with_so_many_below(seen: list[float], share: float) -> None:
    found = percentile(seen, share)
    assert min(seen) <= found <= max(seen)
    assert sum(value < found for value in seen) <= share / 100 * (len(seen) - 1) + 1
    assert percentile([1, 2, 3, 4, 5], 50) == 3 and percentile([1, 2], 25) == 1.25


def sometimes_lost(right: str = "42") -> ThinkingDouble:
    """A double whose wrong thoughts are less probable."""
    return ThinkingDouble(
        overthinker(lambda _: right, lambda _, dice: str(dice % 40), error=0.4, repair=0.2, rechecks=3)
    )


async def test_samples_are_dropped_only_after_the_warm_up_and_only_below_its_threshold() -> None:
    confide = DeepConf(warm_up=8, eta=50, window=10, k=5)
    reasoner = Reasoner(sometimes_lost(), confide)
    minds = [await reasoner.think(ASK._replace(seed=seed)) for seed in range(40)]
    assert all(state.finish == "stop" for state in minds[:8])
    lowest = [confide.finished[seed] for seed in range(8)]
    assert confide.threshold == percentile(lowest, 50)
    dropped = [seed for seed, state in enumerate(minds) if state.finish == DROPPED]
    assert dropped and not set(dropped) & set(confide.finished)
    assert all(confide.finished[seed] >= confide.threshold for seed in confide.finished if seed >= 8)
    assert "is below" in minds[dropped[0]].reason
    assert minds[dropped[0]].ended_by == "deepconf(50)"
    kept = [state.text.strip() for state in minds[8:] if state.finish != DROPPED]
    everyone = [state.text.strip() for state in minds[:8]]
    assert kept.count("42") / len(kept) > everyone.count("42") / len(everyone)


async def test_samples_that_are_broken_off_cost_less() -> None:
    async def tokens(control: Control) -> int:
        reasoner = Reasoner(sometimes_lost(), control)
        minds = [await reasoner.think(ASK._replace(seed=seed)) for seed in range(30)]
        return sum(state.usage.completion for state in minds)

    never, often = DeepConf(warm_up=100, k=5), DeepConf(warm_up=5, eta=20, window=10, k=5)
    assert await tokens(often) < 0.8 * await tokens(never)


async def test_a_server_that_lists_nothing_is_named() -> None:
    class Silent(ThinkingDouble):
        async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
            async for piece in super().stream(draw):
                yield piece._replace(tokens=tuple(token._replace(top=()) for token in piece.tokens))

    reasoner = Reasoner(Silent(overthinker(lambda _: "4", lambda _, dice: "5")), DeepConf())
    with pytest.raises(ModelUnavailable, match="max-logprobs"):
        await reasoner.think(ASK)


BARE = Options(extra={"logprobs": False, "top_logprobs": 0})
"""What it is like where log-probabilities are asked for and ignored."""
CHAT = ASK._replace(prompt=(Message("user", "2 + 2?"),))


@pytest.mark.parametrize("style", ["content", "reasoning"])
async def test_a_server_that_sends_no_tokens_at_all_is_named_at_once(style: ThoughtField) -> None:
    confide = DeepConf(warm_up=2, window=10, k=5)
    async with (
        DoubleServer(sometimes_lost(), thoughts=style) as server,
        OpenAIModel(server.url, options=BARE) as model,
    ):
        with pytest.raises(ModelUnavailable, match="max-logprobs"):
            await confident_vote(lambda control: Reasoner(model, control), CHAT, confide, canonical=str.strip)
        assert model.usage.completion <= 3 * confide.warm_up
    assert confide.finished == {}


@pytest.mark.parametrize("style", ["content", "reasoning"])
async def test_a_server_that_sends_tokens_is_believed(style: ThoughtField) -> None:
    confide = DeepConf(warm_up=2, window=10, k=5)
    async with DoubleServer(sometimes_lost(), thoughts=style) as server, OpenAIModel(server.url) as model:
        found = await confident_vote(
            lambda control: Reasoner(model, control), CHAT, confide, canonical=str.strip, most=4
        )
    assert found.vote is not None and len(confide.finished) >= 2


async def test_a_sample_that_is_empty_has_no_confidence_and_no_vote() -> None:
    confide = DeepConf(warm_up=2, window=10, k=5)
    silent = ThinkingDouble(lambda prompt, raw, dice: None)
    found: Confident[str] = await confident_vote(
        lambda control: Reasoner(silent, control), ASK, confide, canonical=str.strip, most=4
    )
    assert (found.vote, found.samples, found.dropped, confide.finished) == (None, 4, 4, {})


async def vote(confide: DeepConf, **settings: int) -> Confident[str]:
    double = sometimes_lost()
    return await confident_vote(
        lambda control: Reasoner(double, control), ASK, confide, canonical=str.strip, **settings
    )


async def test_a_vote_stops_once_it_is_sure_and_says_what_it_has_cost() -> None:
    found = await vote(DeepConf(warm_up=6, eta=50, window=10, k=5), most=60, at_once=3)
    again = await vote(DeepConf(warm_up=6, eta=50, window=10, k=5), most=60, at_once=3)
    assert found == again
    assert found.vote is not None and found.vote.answer == "42"
    assert found.vote.share >= 0.95 or found.samples == 60
    assert found.samples >= 6 and 0 < found.dropped < found.samples
    assert found.usage.completion > 0


async def test_a_vote_never_draws_more_than_the_most() -> None:
    found = await vote(DeepConf(warm_up=8, window=10, k=5), most=5)
    assert (found.samples, found.dropped) == (5, 0)


async def test_samples_without_an_answer_make_no_vote_but_are_paid_for() -> None:
    double = sometimes_lost()
    found: Confident[str] = await confident_vote(
        lambda control: Reasoner(double, control),
        ASK,
        DeepConf(2, 90, 10, 5),
        canonical=lambda _: None,
        most=4,
    )
    assert found.vote is None
    assert (found.samples, found.dropped) == (4, 4)
    assert found.usage.completion > 0


async def test_a_confide_serves_one_vote() -> None:
    confide = DeepConf(warm_up=2, window=10, k=5)
    await vote(confide, most=2)
    with pytest.raises(BadInput, match="make a new one"):
        await vote(confide)


@pytest.mark.parametrize("settings", [{"warm_up": 0}, {"eta": 0.0}, {"eta": 101.0}, {"window": 0}, {"k": 1}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="confidence needs"):
        DeepConf(**settings)  # type: ignore[arg-type]

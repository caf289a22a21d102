"""Separate budgets: natively where the server enforces them, by hand elsewhere."""

import pytest

from surefoot.agents.reasoning.budget import Elastic
from surefoot.agents.reasoning.control import StreamState
from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import ScriptedThought, scripted
from surefoot.models.offers import Offer
from surefoot.models.openai import OpenAIModel
from surefoot.models.streaming import Streaming

ANSWER = "the answer has six tokens"
WRITER = scripted(
    [ScriptedThought("First thought.", ANSWER), ScriptedThought("Wait, second thought.", ANSWER)],
    direct=ANSWER,
)
CHAT: Prompt = (Message("user", "?"),)


def double(enforces_budget: bool = False) -> ThinkingDouble:
    return ThinkingDouble(WRITER, enforces_budget=enforces_budget)


async def thought_out(
    model: Streaming, elastic: Elastic, prompt: Prompt = CHAT, max_tokens: int = 100
) -> StreamState:
    reasoner = Reasoner(model, elastic)
    return await reasoner.think(Ask(prompt, 0.5, max_tokens, 0))


@pytest.mark.parametrize("enforces", [True, False])
@pytest.mark.parametrize("thinking", [0, 1, 4, 8])
async def test_a_native_budget_is_one_request_and_one_by_hand_two_with_the_same_end(
    thinking: int, enforces: bool
) -> None:
    asked = double(enforces)
    state = await thought_out(asked, Elastic(thinking, 10))
    assert (state.text.strip(), state.finish, state.ended_by) == (ANSWER, "stop", "budget")
    assert state.tokens in range(thinking, thinking + 3)  # the tags are counted if the model writes them
    assert asked.streamed.begun == (1 if enforces or thinking == 0 else 2)
    assert state.usage.completion == asked.streamed.tokens
    budgets = [draw.thinking_budget for draw in asked.draws]
    assert budgets == ([thinking] if enforces else [None] * len(budgets))


async def test_thinking_within_its_budget_is_left_alone() -> None:
    for enforces in (True, False):
        asked = double(enforces)
        state = await thought_out(asked, Elastic(50, 10))
        assert (state.text.strip(), state.ended_by, asked.streamed.begun) == (ANSWER, None, 1)


async def test_the_answers_share_is_the_smaller_of_the_controls_and_the_asks() -> None:
    for solution, max_tokens in ((3, 100), (100, 3)):
        state = await thought_out(double(), Elastic(4, solution), max_tokens=max_tokens)
        assert (state.answer_tokens, state.finish) == (3, "length")


@pytest.mark.parametrize("enforces", [True, False])
@pytest.mark.parametrize(
    ("solution", "max_tokens", "words"), [(1000, 4096, 900), (1000, 700, 700), (300, 4096, 300)]
)
async def test_the_reasoners_own_share_is_no_limit_for_the_controls(
    solution: int, max_tokens: int, words: int, enforces: bool
) -> None:
    long = scripted([ScriptedThought("So.", " ".join(["word"] * 900))])
    async with (
        DoubleServer(ThinkingDouble(long, enforces_budget=enforces)) as server,
        OpenAIModel(server.url) as model,
    ):
        reasoner = Reasoner(model, Elastic(1000, solution, native=enforces))
        ((_, sample),) = [pair async for pair in reasoner.sample([Ask(CHAT, 0.5, max_tokens, 0)])]
    assert sample.text.count("word") in range(words - 2, words + 1)
    assert sample.finish == ("stop" if words == 900 else "length")


async def test_the_server_is_not_asked_what_the_caller_knows() -> None:
    asked = double(enforces_budget=True)
    await thought_out(asked, Elastic(4, 10, native=False))
    assert [draw.thinking_budget for draw in asked.draws] == [None, None]


@pytest.mark.parametrize("enforces", [True, False])
@pytest.mark.parametrize("prompt", ["?", CHAT])
async def test_over_http_the_probe_decides(prompt: Prompt, enforces: bool) -> None:
    async with DoubleServer(double(enforces)) as server, OpenAIModel(server.url) as model:
        elastic = Elastic(4, 10)
        assert (await thought_out(model, elastic, prompt)).text.strip() == ANSWER
        server.bodies.clear()
        assert (await thought_out(model, elastic, prompt)).ended_by == "budget"
        assert len(server.bodies) == (1 if enforces else 2)


@pytest.mark.parametrize(("thinking", "solution"), [(-1, 5), (5, 0)])
def test_impossible_budgets_are_refused(thinking: int, solution: int) -> None:
    with pytest.raises(BadInput, match=f"{thinking!r} and {solution!r}"):
        Elastic(thinking, solution)


@pytest.mark.parametrize("enforces", [True, False])
@pytest.mark.parametrize(("share", "tokens"), [(1.0, 8), (0.5, 4), (0.0, 0)])
async def test_an_ask_may_leave_a_share_of_the_thinking(share: float, tokens: int, enforces: bool) -> None:
    """Of what the controls allow: this is how the monitor's policy cuts an agent's budget."""
    asked = double(enforces)
    ask = Ask(CHAT, 0.5, 100, 0, offer=Offer((), thinking=share))
    state = await Reasoner(asked, Elastic(8, 10)).think(ask)
    assert (state.text.strip(), state.ended_by) == (ANSWER, "budget")
    assert state.tokens in range(tokens, tokens + 3)
    without = double(enforces)
    await Reasoner(without, think_tokens=8, answer_tokens=10).think(ask)
    assert without.draws[0].max_tokens == (tokens or 10)

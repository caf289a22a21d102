"""The window of an agent's model: as the server says, in tokens as it counts them."""

from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

import surefoot
from surefoot import Agent, BadInput, Budget
from surefoot.agents.agent.context import LEAST, MOST, SPARE, counted
from surefoot.agents.agent.state import BYTES_A_TOKEN, Conversation
from surefoot.agents.agent.task import LARGEST_WINDOW, WINDOW, AgentTask
from surefoot.agents.tasks.guarded import guarded
from surefoot.models import Ask, Call, Prompt, write_calls
from surefoot.models.base import Sampling
from surefoot.models.doubles import DoubleServer, Scripted
from surefoot.orchestration.journal.jobs import load
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.reporting import state_reached
from surefoot.tools.environments import Nowhere
from surefoot.voting import Sample, Usage

ANSWER = 1000
"""Tokens."""


def length(prompt: Prompt) -> int:
    assert not isinstance(prompt, str)
    return sum(len(message.content) for message in prompt)


class Counting:
    """Reads page after page, and counts the tokens of its prompts in its own way."""

    name = "counting"

    def __init__(self, pages: int, count: Callable[[Prompt], int | None], context: int | None = None) -> None:
        self._pages, self._count, self._context = pages, count, context
        self._read = 0
        self.tokens: list[int] = []

    async def context(self) -> int | None:
        return self._context

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            tokens = self._count(ask.prompt)
            self.tokens.append(tokens or 0)
            if ask.offer is None:
                text = "I have read some pages."
            else:
                self._read += 1
                text = write_calls("", [Call("page", "{}")]) if self._read < self._pages else "read"
            yield place, Sample(text, usage=Usage(prompt=tokens or 0), prompt_tokens=tokens)


@pytest.mark.parametrize(
    ("letter", "a_token", "fills"),
    [
        ("x", 4, 0.75),  # English prose: more of it fits than is reckoned before anything is counted
        ("x", 1.5, 0.6),  # numbers, base64
        ("字", 1, 0.5),  # a script of which every letter is a token, three bytes
        ("é", 1, 0.5),
    ],
)
async def test_a_prompt_fills_the_window_and_never_passes_it(
    redis_url: str, letter: str, a_token: float, fills: float
) -> None:
    """Whatever a token is, as soon as one prompt was counted; the first ones are short."""

    @surefoot.tool(effect="reads")
    async def page() -> str:
        """Read a page."""
        return letter * 2500

    window = 16_000
    model = Counting(40, lambda prompt: int(length(prompt) / a_token))
    agent = Agent(model, [page], window=window, sampling=Sampling(max_tokens=ANSWER))
    report = await agent.run("Read all the pages.", redis=redis_url)
    assert (report.status, report.turns) == ("answered", 40)
    assert fills * (window - ANSWER) < max(model.tokens) <= window - ANSWER


@pytest.mark.parametrize("counts", [True, False])
async def test_what_a_server_counts_is_in_the_journal(redis_url: str, counts: bool) -> None:
    """So that a run that is taken up again makes the same of it; one whose server counts nothing goes by the estimate."""

    @surefoot.tool(effect="reads")
    async def page() -> str:
        """Read a page."""
        return "x" * 2500

    model = Counting(8, lambda prompt: length(prompt) // 2 if counts else None)
    report = await Agent(model, [page]).run("Read.", redis=redis_url)
    async with open_redis(redis_url) as store:
        task = guarded(AgentTask("Read.", [page], world=Nowhere()))
        state: Conversation = await state_reached(store, await load(store, report.job), task)
    found = state.bytes_a_token
    assert 2 * SPARE <= found < 2.2 if counts else found == BYTES_A_TOKEN


def test_a_count_is_believed_within_reason() -> None:
    """Some servers cut what is longer than their context, and count what is left: that is no reason to send more."""
    assert counted(100_000, 25_000) == 4 * SPARE
    assert counted(100_000, 20_000) == MOST * SPARE
    assert counted(100_000, 4_096) == BYTES_A_TOKEN
    assert counted(100, 100_000) == LEAST * SPARE


@pytest.mark.parametrize(
    ("window", "context", "used"),
    [
        (None, None, WINDOW),
        (None, 9_000, 9_000),
        (None, 1_000_000, LARGEST_WINDOW),
        (12_000, 9_000, 9_000),
        (12_000, 1_000_000, 12_000),
        (12_000, None, 12_000),
    ],
)
async def test_the_window_is_what_the_model_has_unless_less_is_wanted(
    redis_url: str, window: int | None, context: int | None, used: int
) -> None:
    pages: list[str] = []

    @surefoot.tool(effect="reads")
    async def page() -> str:
        """Read a page."""
        pages.append("x" * (used // 6))
        return pages[-1]

    model = Counting(40, lambda prompt: length(prompt) // 3, context)
    agent = Agent(model, [page], window=window, sampling=Sampling(max_tokens=ANSWER))
    await agent.run("Read all the pages.", redis=redis_url)
    assert (used - ANSWER) / 2 < max(model.tokens) <= used - ANSWER


async def test_a_context_that_is_too_small_is_said_before_anything_is_asked(redis_url: str) -> None:
    model = Counting(3, lambda prompt: None, context=2_000)
    with pytest.raises(BadInput, match="a window of 2,000 tokens is too small for this agent"):
        await Agent(model, sampling=Sampling(max_tokens=ANSWER)).run("Read.", redis=redis_url)
    assert not model.tokens


async def test_a_server_that_says_how_long_its_context_is_never_has_to_refuse(redis_url: str) -> None:
    @surefoot.tool(effect="reads")
    async def page() -> str:
        """Read a page."""
        return "x" * 3000

    reader = Scripted([write_calls("", [Call("page", "{}")])])
    async with DoubleServer(reader, context=6_000) as server:
        agent = Agent(server.url, [page], sampling=Sampling(max_tokens=ANSWER), budget=Budget(turns=30))
        report = await agent.run("Read all the pages.", redis=redis_url)
        assert (report.status, report.turns, server.stats.failed) == ("turn_limit", 30, 0)

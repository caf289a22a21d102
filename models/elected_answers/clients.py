"""An answer elected among the replies of somebody else's client: a chat model of LangChain, say, that is no `Model`."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Generic, NamedTuple, TypeVar

from surefoot.models.base import Ask
from surefoot.models.gather import as_they_end
from surefoot.voting.samples import Sample

from .ballots import Ballots
from .vote import Poll, Vote

R = TypeVar("R")


class Elected(NamedTuple, Generic[R]):
    """The reply that won, and what there was besides."""

    reply: R
    vote: Vote
    replies: Sequence[R]
    """All that were drawn and paid for, those that were thrown away included, in the order in which they came."""


async def elect(
    draw: Callable[[], Awaitable[R]],
    sample_of: Callable[[R], Sample],
    *,
    ballots: Ballots,
    votes: int = 3,
    limit: int = 24,
    accuracy: float | None = None,
) -> Elected[R]:
    """Draw replies until one is elected; see `Poll` for the numbers, which `check_vote` checks.

    `draw` asks once more for the same, several times at a time; `sample_of` says what of a reply is voted on: its text, with its calls
    as `surefoot.models.write_calls` writes them, why it ended, and what it took.  Raises `AnswerStalled` if no reply gets far
    enough ahead, and what `draw` raises.
    """
    client = _Client(draw, sample_of)
    vote = Vote(Poll(ask=_ask, ballots=ballots, votes=votes, limit=limit, accuracy=accuracy))
    await vote.decide(client)
    assert vote.number is not None
    return Elected(client.drawn[vote.number], vote, list(client.drawn.values()))


class _Client(Generic[R]):
    """Somebody else's client at the `Model` seam: what is asked is its own affair, and the seed of an ask is its number."""

    name = "client"

    def __init__(self, draw: Callable[[], Awaitable[R]], sample_of: Callable[[R], Sample]) -> None:
        self._draw, self._sample_of = draw, sample_of
        self.drawn: dict[int, R] = {}

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        async with aclosing(as_they_end(map(self._one, range(len(asks))))) as replies:
            async for position, reply in replies:
                self.drawn[asks[position].seed] = reply
                yield position, self._sample_of(reply)

    async def _one(self, position: int) -> tuple[int, R]:
        return position, await self._draw()


def _ask(number: int) -> Ask:
    return Ask("", 0.0, 0, number)

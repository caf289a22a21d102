"""A perceiver in this process: one picture and one question go in, text comes out."""

import asyncio
import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncGenerator, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import NamedTuple

from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.models.gather import as_they_end
from surefoot.tools.pictures.picture import Picture
from surefoot.voting.samples import Sample, Usage

KNOWN_LOOKS = 512
"""Answers that a reader remembers, the latest."""
MOST_THREADS = 4
CHARACTERS_PER_TOKEN = 4


class ReaderLook(NamedTuple):
    """What an ask wants to know."""

    picture: Picture
    question: str
    ask: Ask


class Reader(ABC):
    """A `Model` of which a subclass says how it looks.

        class Blank(Reader):
            def look(self, picture: Picture, question: str, ask: Ask) -> str:
                return "yes" if ink_box(picture) is None else "no"

    An ask has one picture, in its last message, whose text is the question; other messages are not read.  `look` runs in
    `threads` threads of the reader's own (None: one a core, at most four), which end with it.  A token is four characters,
    and a picture costs none.
    """

    def __init__(self, name: str, *, threads: int | None = None) -> None:
        count = min(os.cpu_count() or 1, MOST_THREADS) if threads is None else threads
        if count < 1:
            raise BadInput(f"threads must be at least 1, not {count!r}")
        self._name = name
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._known: OrderedDict[Hashable, str] = OrderedDict()

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        return self._name

    @abstractmethod
    def look(self, picture: Picture, question: str, ask: Ask) -> str:
        """Return the answer, "" if nothing is seen; raises `BadInput` for a picture that cannot be decoded."""

    def draw(self, ask: Ask) -> Sample:
        """Return the sample of one ask, in the caller's thread: what a server calls; "" where there is no picture."""
        if not shows(ask):  # clients try a server out with a word or two
            return sample_of("", ask)
        look = look_of(ask, self._name)
        key = self.key(*look)
        if key not in self._known:
            self._keep(key, self.look(*look))
        return sample_of(self._known[key], ask)

    def delay(self, ask: Ask) -> float:
        """Return 0: it takes the time that it takes."""
        return 0.0

    def key(self, picture: Picture, question: str, ask: Ask) -> Hashable:
        """Return all that the answer depends on: looks of the same key are one, and the latest are remembered."""
        return picture.digest, question

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask; see `Model`.

        Raises `BadInput` for an ask without a picture, with several, or with an offer, before anything is looked at.
        Closing the generator takes back what no thread has begun.
        """
        alike: dict[Hashable, list[int]] = {}
        looks = [look_of(ask, self._name) for ask in asks]
        for position, look in enumerate(looks):
            alike.setdefault(self.key(*look), []).append(position)
        work = (self._answer(key, looks[positions[0]]) for key, positions in alike.items())
        async with aclosing(as_they_end(work)) as answers:
            async for key, text in answers:
                for position in alike[key]:
                    yield position, sample_of(text, asks[position])

    async def _answer(self, key: Hashable, look: ReaderLook) -> tuple[Hashable, str]:
        if key not in self._known:
            loop = asyncio.get_running_loop()
            self._keep(key, await loop.run_in_executor(self._threads, self.look, *look))
        self._known.move_to_end(key)
        return key, self._known[key]

    def _keep(self, key: Hashable, text: str) -> None:
        self._known[key] = text
        if len(self._known) > KNOWN_LOOKS:
            self._known.popitem(last=False)


def shows(ask: Ask) -> bool:
    """Whether an ask has a picture."""
    return not isinstance(ask.prompt, str) and any(message.pictures for message in ask.prompt)


def look_of(ask: Ask, name: str) -> ReaderLook:
    """Return what an ask wants to know; raises `BadInput`."""
    if ask.offer is not None:
        raise BadInput(f"{name} calls no tools: ask without an offer")
    messages = () if isinstance(ask.prompt, str) else ask.prompt
    pictures = [picture for message in messages for picture in message.pictures]
    if len(pictures) != 1 or not messages[-1].pictures:
        raise BadInput(
            f"{name} looks at one picture, in the last message, not at {len(pictures)!r}: ask about each by itself"
        )
    return ReaderLook(pictures[0], messages[-1].content, ask)


def sample_of(text: str, ask: Ask, finish: str | None = "stop", *, tokens: int | None = None) -> Sample:
    """Return an answer and its bill.

    Without `tokens` they are counted, and a text over the limit of the ask is cut off as a server would.
    """
    said = ask.prompt if isinstance(ask.prompt, str) else "".join(message.content for message in ask.prompt)
    if tokens is None:
        tokens = _tokens(text)
        if tokens > ask.max_tokens:
            text, finish, tokens = text[: ask.max_tokens * CHARACTERS_PER_TOKEN], "length", ask.max_tokens
    return Sample(text, finish, tokens, Usage(prompt=_tokens(said), completion=tokens))


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)

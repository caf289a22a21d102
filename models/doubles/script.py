"""A double that says what it is told to, turn by turn: for tests, benches and examples of agents."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from hashlib import blake2b

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.voting.samples import Sample, Usage

from .double import CHARACTERS_PER_TOKEN

WRONG = "I do not know what to do."
KEPT = 100
"""Asks that a double remembers."""


def turn_of(prompt: Prompt) -> int:
    """Return how often the model has answered before: the number of assistant messages."""
    return 0 if isinstance(prompt, str) else [message.role for message in prompt].count("assistant")


class Scripted:
    """A model that answers turn t with `answers[t]`, and every turn after the last like the last.

        Scripted([write_calls("I look first.", [Call("read_file", '{"path":"a.py"}')]), "Done."])
        Scripted(lambda prompt: fix_of(prompt))     # or by the prompt

    `error` is the chance that a sample is `wrong` instead, `cut` that it is cut off in the middle, each a pure function of
    the seed, the turn and the ask's seed.  `latency_s` is the time that an answer takes.  A token is four characters.
    """

    def __init__(
        self,
        answers: Sequence[str] | Callable[[Prompt], str],
        *,
        turn: Callable[[Prompt], int] = turn_of,
        wrong: str = WRONG,
        error: float = 0.0,
        cut: float = 0.0,
        latency_s: float = 0.0,
        seed: int = 0,
        name: str = "scripted",
    ) -> None:
        if not callable(answers) and (isinstance(answers, str) or not answers):
            raise BadInput(f"a scripted model has a list of answers, one a turn, not {answers!r}")
        for what, chance in (("error", error), ("cut", cut)):
            if not 0 <= chance <= 1:
                raise BadInput(f"{what} is a chance between 0 and 1, not {chance!r}")
        self.asks: deque[Ask] = deque(maxlen=KEPT)
        """The latest asks, as they came."""
        self._answers, self._turn, self._wrong = answers, turn, wrong
        self._error, self._cut = error, cut
        self._latency_s = latency_s
        self._seed = seed
        self._name = name

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        return self._name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of the asks."""
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        for position, ask in enumerate(asks):
            yield position, self.draw(ask)

    def draw(self, ask: Ask) -> Sample:
        """Return the sample that this ask always gets."""
        self.asks.append(ask)
        turn = self._turn(ask.prompt)
        error, cut = self._chances(turn, ask.seed) if self._error or self._cut else (1.0, 1.0)
        text = self._wrong if error < self._error else self._said(ask.prompt, turn)
        usage = Usage(prompt=_length(ask.prompt), completion=_tokens(text))
        sample = Sample(text, "stop", usage.completion, usage, usage.prompt)
        if cut < self._cut:
            return _cut_off(sample, max(1, _tokens(text) // 2))
        return sample if _tokens(text) <= ask.max_tokens else _cut_off(sample, ask.max_tokens)

    def delay(self, ask: Ask) -> float:
        """Return the answer time of this ask in seconds."""
        return self._latency_s

    def _said(self, prompt: Prompt, turn: int) -> str:
        if callable(self._answers):
            return self._answers(prompt)
        return self._answers[min(turn, len(self._answers) - 1)]

    def _chances(self, turn: int, seed: int) -> tuple[float, float]:
        drawn = blake2b(f"{self._seed} {turn} {seed}".encode(), digest_size=16).digest()
        return int.from_bytes(drawn[:8]) / 2**64, int.from_bytes(drawn[8:]) / 2**64


def _cut_off(sample: Sample, tokens: int) -> Sample:
    text = sample.text[: tokens * CHARACTERS_PER_TOKEN]
    usage = sample.usage._replace(completion=tokens)
    return sample._replace(text=text, finish="length", tokens=tokens, usage=usage)


def _length(prompt: Prompt) -> int:
    if isinstance(prompt, str):
        return _tokens(prompt)
    return -sum([-len(message.content) // CHARACTERS_PER_TOKEN for message in prompt])


def _tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)

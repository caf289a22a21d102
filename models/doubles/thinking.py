"""Deterministic doubles that think before they answer, for tests, benches and examples of the reasoning controls.

    double = ThinkingDouble(overthinker(right, wrong, error=0.3, rechecks=4))
    double = ThinkingDouble(scripted([ScriptedThought("2 + 2 is 5.", "5"), ScriptedThought("Wait, 2 + 2 is 4.", "4")]))
    async with aclosing(double.stream(draw)) as pieces:
        ...

A double is a `Streaming` and a `Model`.  What it writes is a pure function of its seed, the prompt, the draw's seed and the
text that it goes on from; the temperature plays no part.  A token is a word or sign with the space before it, a tag, or line
breaks.
"""

import asyncio
import math
import random
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice

from surefoot.models.base import Ask
from surefoot.models.streaming import Draw, Piece, Token, parser
from surefoot.models.tags import THINK, Split, Tags
from surefoot.voting.samples import Sample, Usage

from .thoughts import Segment, Writer

VOCABULARY = 1 << 16


@dataclass(slots=True, kw_only=True)
class Streamed:
    """What a double has seen of streams."""

    begun: int = 0
    finished: int = 0
    aborted: int = 0
    """Closed before their end."""
    tokens: int = 0


class ThinkingDouble:
    """A model that writes what `writer` says, token by token.

    `token_s` is the time that a token takes in seconds.  With `enforces_budget` it ends its thinking at
    `Draw.thinking_budget` tokens; otherwise it ignores that, as many servers do.  A logit bias below 0 on the first token
    of a thought makes that thought rarer by its exponential; instead of a thought left out the thinking ends.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        name: str = "thinking-double",
        seed: int = 0,
        token_s: float = 0.0,
        enforces_budget: bool = False,
        tags: Tags = THINK,
    ) -> None:
        self.streamed = Streamed()
        self.draws: list[Draw] = []
        """Every draw, as it came."""
        self._writer = writer
        self._name = name
        self._seed = seed
        self.token_s = token_s
        self._enforces_budget = enforces_budget
        self.tags = tags
        tagged = "|".join(map(re.escape, tags[:2]))
        self._token = re.compile(rf"{tagged}|\n+| ?\w+| ?[^\w\s]|\s")

    @property
    def name(self) -> str:
        """What reports and servers call it."""
        return self._name

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        """Yield a piece for each token; closing the generator counts as an abort."""
        self.draws.append(draw)
        self.streamed.begun += 1
        finished = False
        try:
            for piece in self.pieces(draw):
                await asyncio.sleep(self.token_s)
                self.streamed.tokens += piece.usage.completion
                finished = piece.finish is not None
                yield piece
        finally:
            self.streamed.finished += finished
            self.streamed.aborted += not finished

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask, thoughts left out, and yield (position, sample) in the order of the asks."""
        for position, ask in enumerate(asks):
            await asyncio.sleep(0)
            yield position, self.draw(ask)

    def draw(self, ask: Ask) -> Sample:
        """Return the sample that this ask always gets from a server with a reasoning parser."""
        text, tokens, finish = "", Usage(), None
        draw = Draw(
            prompt=ask.prompt,
            temperature=ask.temperature,
            max_tokens=ask.max_tokens,
            seed=ask.seed,
            offer=ask.offer,
        )
        for piece in self.pieces(draw):
            text, tokens, finish = text + piece.text, tokens + piece.usage, piece.finish
        return Sample(text, finish, tokens.completion, tokens)

    def delay(self, ask: Ask) -> float:
        """Return the answer time of this ask in seconds."""
        return self.token_s * (self.draw(ask).tokens or 0)

    async def tokenize(self, text: str) -> list[int]:
        """Return a number for each token, the same for the same token."""
        return [self.token_id(token) for token in self._token.findall(text)]

    async def native_budget(self) -> bool:
        """Return what it was made with."""
        return self._enforces_budget

    def token_id(self, token: str) -> int:
        """Return the number of one token."""
        return int.from_bytes(blake2b(token.encode(), digest_size=2).digest()) % VOCABULARY

    def raw(self, draw: Draw) -> str:
        """Return the text of a stream as the model writes it, tags included."""
        tokens, _ = self.written(replace(draw, tags=self.tags))
        return "".join(token.text for token in tokens)

    def pieces(self, draw: Draw) -> Iterator[Piece]:
        """Yield the pieces of a stream: the prompt is booked on the first, the finish comes with the last."""
        draw = replace(draw, tags=self.tags)
        told = parser(draw)
        tokens, finish = self.written(draw)
        prompt = self.count(f"{draw.prompt}{draw.begun}")
        for token in tokens:
            *earlier, last = _pieces(told.feed(token.text))
            yield from earlier
            listed = (token,) if draw.top_logprobs else ()
            yield last._replace(tokens=listed, usage=Usage(prompt=prompt, completion=1))
            prompt = 0
        *_, last = _pieces(told.end())
        yield last._replace(finish=finish)

    def count(self, text: str) -> int:
        """Return the number of tokens in a text."""
        return len(self._token.findall(text))

    def written(self, draw: Draw) -> tuple[list[Token], str]:
        """Return the tokens of a stream up to its limit or a stop string, and why it ended."""
        tokens = list(islice(self._tokens(draw), draw.max_tokens + 1))
        finish = "length" if len(tokens) > draw.max_tokens else "stop"
        text, kept = "", []
        for token in tokens[: draw.max_tokens]:
            text += token.text
            kept.append(token)
            if ends := [text.index(stop) for stop in draw.stop if stop in text]:
                return _cut(kept, min(ends)), "stop"
        return kept, finish

    def _tokens(self, draw: Draw) -> Iterator[Token]:
        told = parser(draw)
        budget = draw.thinking_budget if self._enforces_budget else None
        raw, spent = draw.begun, 0
        for text, probability in self._segments(draw):
            for word in self._token.findall(text):
                if spent == budget and told.thinking and word != self.tags.close:
                    yield _token(self.tags.close, 1.0, draw.top_logprobs)
                    closed = replace(draw, begun=raw + self.tags.close, thinking_budget=None)
                    yield from self._tokens(closed)
                    return
                spent += told.thinking
                told.feed(word)
                raw += word
                yield _token(word, probability, draw.top_logprobs)

    def _segments(self, draw: Draw) -> Iterator[Segment]:
        """Yield what comes after the text that has begun, from the middle of a segment if that is where it broke off."""
        opened = self.tags.open if parser(replace(draw, begun="")).thinking else ""
        if draw.think is False and not draw.begun:
            opened = self.tags.open + self.tags.close
        begun, raw = opened + draw.begun, opened
        while len(raw) < len(begun) and (segment := self._next(draw, raw)):
            raw += segment.text
            if raw.startswith(begun):
                yield segment._replace(text=raw[len(begun) :])
        raw = raw if raw.startswith(begun) else begun
        while segment := self._next(draw, raw):
            raw += segment.text
            yield segment

    def _next(self, draw: Draw, raw: str) -> Segment | None:
        key = repr((self._seed, draw.prompt, draw.seed, raw)).encode()
        dice = random.Random(blake2b(key, digest_size=16).digest())
        segment = self._writer(draw.prompt, raw, dice)
        if segment and draw.logit_bias:
            first = self.token_id(self._token.findall(segment.text)[0])
            if dice.random() >= math.exp(min(0.0, dict(draw.logit_bias).get(first, 0.0))):
                return Segment(self.tags.close)
        return segment


def _token(text: str, probability: float, alternatives: int) -> Token:
    others = max(alternatives - 1, 0)
    rest = math.log(max(1 - probability, 1e-9) / max(others, 1))
    top = [(text, math.log(probability)), *((f"~{number}", rest) for number in range(others))]
    return Token(text, math.log(probability), tuple(sorted(top, key=lambda pair: -pair[1])))


def _pieces(splits: list[Split]) -> list[Piece]:
    return [Piece(*split[:2], unopened=split.unopened) for split in splits] or [Piece()]


def _cut(tokens: list[Token], length: int) -> list[Token]:
    """Return the tokens of the first `length` characters."""
    kept = []
    for token in tokens:
        if length > 0:
            kept.append(token._replace(text=token.text[:length]))
        length -= len(token.text)
    return kept

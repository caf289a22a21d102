"""Streams that are drawn once and heard many times, so that every control meets the very same thoughts."""

import pickle
import zlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from surefoot.models.streaming import Draw, Piece, Streaming
from surefoot.voting.samples import NOTHING, Usage


class Replay:
    """A model whose streams are remembered once they have been heard to the end.

    What a seed draws after a prompt is what it draws again, and a lower `max_tokens` cuts it short: such a stream is
    cut from memory, token by token, and its usage is what the request would have cost.  Everything else (another
    prefill, seed, temperature, bias or stop) is drawn from the model, and so is a stream whose memory is too short or
    lacks log-probabilities.  `top_logprobs` are asked for in any case, so that it seldom does.
    """

    def __init__(self, model: Streaming, top_logprobs: int) -> None:
        self._model = model
        self._top_logprobs = top_logprobs
        self._known: dict[Draw, tuple[int, int, bytes]] = {}
        """For each draw its max_tokens, its top_logprobs and its pieces."""
        self.drawn = 0
        """Output tokens that the model made."""
        self.replayed = 0
        """Output tokens from memory."""

    @property
    def name(self) -> str:
        return self._model.name

    async def tokenize(self, text: str) -> list[int]:
        return await self._model.tokenize(text)

    async def native_budget(self) -> bool:
        return await self._model.native_budget()

    async def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        key = replace(draw, max_tokens=0, top_logprobs=0)
        pieces = self._remembered(key, draw)
        if pieces is not None:
            for piece in _cut(pieces, draw):
                self.replayed += piece.usage.completion
                yield piece
            return
        heard = []
        asked = replace(draw, top_logprobs=max(draw.top_logprobs, self._top_logprobs))
        async with aclosing(self._model.stream(asked)) as fresh:
            async for piece in fresh:
                self.drawn += piece.usage.completion
                heard.append(piece)
                yield _bared(piece, draw.top_logprobs)
        self._known[key] = (draw.max_tokens, asked.top_logprobs, zlib.compress(pickle.dumps(heard), 1))

    def _remembered(self, key: Draw, draw: Draw) -> Sequence[Piece] | None:
        if key not in self._known:
            return None
        max_tokens, top_logprobs, packed = self._known[key]
        if top_logprobs < draw.top_logprobs:
            return None
        pieces: list[Piece] = pickle.loads(zlib.decompress(packed))
        whole = draw.max_tokens <= max_tokens or all(piece.finish != "length" for piece in pieces)
        return pieces if whole else None


def _cut(pieces: Sequence[Piece], draw: Draw) -> Iterator[Piece]:
    """Yield what a request for so many tokens and log-probabilities would have got."""
    total = NOTHING
    for piece in pieces:
        total += piece.usage
    if total.completion <= draw.max_tokens:
        yield from (_bared(piece, draw.top_logprobs) for piece in pieces)
        return
    spent = NOTHING
    for piece in pieces:
        if spent.completion + piece.usage.completion > draw.max_tokens:
            break
        spent += piece.usage
        yield _bared(piece._replace(finish=None), draw.top_logprobs)
    owed = Usage(prompt=total.prompt - spent.prompt, cached=total.cached - spent.cached)
    yield Piece(finish="length", usage=owed)


def _bared(piece: Piece, top_logprobs: int) -> Piece:
    """Return the piece with as many alternatives as were asked for."""
    if not top_logprobs:
        return piece._replace(tokens=())
    return piece._replace(
        tokens=tuple(token._replace(top=token.top[:top_logprobs]) for token in piece.tokens)
    )

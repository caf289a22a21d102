"""The seam below every control of a reasoning model: one stream, prefilled, split and counted."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol, runtime_checkable

from surefoot.voting.samples import NOTHING, Usage

from .base import Prompt
from .growing_text import GrowingText
from .offers import Offer
from .tags import THINK, Tags, ThinkParser


class Token(NamedTuple):
    """One token that was sampled, or text of several where a server does not say more."""

    text: str
    logprob: float | None
    """Natural logarithm of its probability; None where the server does not say (vLLM's -9999 is None too)."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest tokens in its place, best first, the sampled one among them if the server lists it."""

    def __repr__(self) -> str:
        """Show no text."""
        return f"Token(logprob={self.logprob!r}, {len(self.top)} alternatives)"


class Piece(NamedTuple):
    """One piece of a stream: thinking, or answer, or neither (a tag, the end)."""

    thought: str = ""
    text: str = ""
    tokens: tuple[Token, ...] = ()
    """With log-probabilities, if they were asked for; tags are among them, and so may be the token that ends all."""
    finish: str | None = None
    usage: Usage = NOTHING
    """What this piece adds to the bill: the sum over all pieces is that of the stream, so also that of one broken off.

    `usage.completion` is the number of tokens in the piece.  The last one corrects what could only be estimated, and may
    hold negative numbers.
    """
    unopened: bool = False
    """A closing tag came that nothing had opened: all the text until this piece was thinking."""
    room: int | None = None
    """Tokens that the context has left after this piece; None where the server does not say how long it is."""
    states: tuple[Sequence[float], ...] = ()
    """Hidden states that the piece's token was drawn from: those at the token before it, one for each of `Draw.layers`."""

    def __repr__(self) -> str:
        """Show no text: raw thoughts do not belong into logs."""
        return f"Piece({len(self.thought)} + {len(self.text)} characters, finish={self.finish!r}, usage={self.usage!r})"


class AddedVector(NamedTuple):
    """A vector that is added to the hidden state wherever a thought ends (SEAL, arXiv 2504.07986)."""

    layer: int
    """After which layer it is added, from 1."""
    values: tuple[float, ...]
    ends: str
    """Text that ends a thought: it is added at every token after the prompt whose text ends with this."""

    def __repr__(self) -> str:
        """Show no numbers."""
        return f"AddedVector({len(self.values)} numbers after layer {self.layer}, at {self.ends!r})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Draw:
    """One stream that is to be drawn."""

    prompt: Prompt
    temperature: float
    max_tokens: int
    """Most tokens of this request."""
    seed: int
    begun: str = ""
    """What the model has written already, raw, tags included: the stream goes on from there."""
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    """How many alternatives to list for each token; 0: no log-probabilities at all."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, what is added to its logit)."""
    thinking_budget: int | None = None
    """`thinking_token_budget`, to be set only where `native_budget` says that the server enforces it."""
    think: bool | None = None
    """Whether the chat template is to let the model think; None: the server's default."""
    tags: Tags = THINK
    offer: Offer | None = None
    """What the model may call.  A stream may go on from raw text, where no server reads calls: it is made in words."""
    layers: tuple[int, ...] = ()
    """Layers, from 1, whose hidden states come with every piece; to be set only for an `Inspectable` model."""
    added: AddedVector | None = None
    """To be set only for an `Inspectable` model, too."""

    def __repr__(self) -> str:
        """Show no text: what has begun may be raw thoughts."""
        shown = [field.name for field in fields(self) if field.name not in ("prompt", "begun")]
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"Draw({settings}, begun with {len(self.begun)} characters)"


class Streaming(Protocol):
    """A model that can be listened to, interrupted, and made to go on from a text of one's own."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def stream(self, draw: Draw) -> AsyncGenerator[Piece, None]:
        """Yield pieces as they come; closing the generator aborts the request, which frees the server's slot.

        Raises `ModelUnavailable` as `Model.sample` does.
        """
        ...

    async def tokenize(self, text: str) -> list[int]:
        """Return the token ids of `text`, no special ones added."""
        ...

    async def native_budget(self) -> bool:
        """Return whether the server enforces `thinking_token_budget`: tried once, then remembered."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A `Streaming` whose hidden states can be read and changed while it writes: `Draw.layers`, `Draw.added`.

    The state after layer i is what layer i + 1 reads; after the last one it is not normed yet.
    """

    @property
    def depth(self) -> int:
        """How many layers it has."""
        ...

    async def digest(self) -> str:
        """Return the SHA-256 of its weights, in hexadecimal digits: hidden states of other weights mean something else."""
        ...


async def whole_stream(model: Streaming, draw: Draw) -> Piece:
    """Return a whole stream as one piece; for probes and verifiers, whose usage then has to be booked (`StreamState.spend`).

    Its states are those of the first piece: of what the stream goes on from.
    """
    thought, text, finish, usage = GrowingText(), GrowingText(), None, NOTHING
    tokens: list[Token] = []
    states: tuple[Sequence[float], ...] = ()
    async with aclosing(model.stream(draw)) as pieces:
        async for piece in pieces:
            states = states or piece.states
            if piece.unopened:
                thought.add(str(text))
                text = GrowingText()
            thought.add(piece.thought)
            text.add(piece.text)
            tokens += piece.tokens
            finish = piece.finish or finish
            usage += piece.usage
    return Piece(str(thought), str(text), tuple(tokens), finish, usage, states=states)


def parser(draw: Draw) -> ThinkParser:
    """Return a parser that begins where this draw's prompt and prefill leave off."""
    before = draw.prompt + draw.begun if isinstance(draw.prompt, str) else draw.begun
    return ThinkParser(before, draw.tags)

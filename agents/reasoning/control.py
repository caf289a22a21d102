"""What a control of a reasoning model sees of one stream, and what it may do about it."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

from surefoot.models.base import Prompt
from surefoot.models.growing_text import GrowingText
from surefoot.models.streaming import Draw, Piece, Streaming, Token, parser
from surefoot.models.tags import ThinkParser
from surefoot.voting.samples import NOTHING, Usage

from .thoughts import CUES, Cues, Thought, Thoughts

RESTARTS = 3
RECENT_TOKENS = 64
"""How many of the latest tokens a state remembers."""


class Close(NamedTuple):
    """Stop thinking now: abort the stream, and have prompt, thoughts, guidance and closing tag answered."""

    guidance: str = ""
    keep: int | None = None
    """Characters of the thinking that are answered; None: all of it.  What a control found out too late goes."""


class Restart(NamedTuple):
    """Throw the thoughts away and think anew with another seed, beginning with the guidance.

    After `RESTARTS` of them in one sample the thinking is closed instead.
    """

    guidance: str = ""


class Drop(NamedTuple):
    """Abort and throw the sample away: it finishes as "dropped"."""

    reason: str


StreamAction = Close | Restart | Drop
"""What a `Watch` may want done about a stream."""


@dataclass(slots=True)
class StreamState:
    """What one stream has come to.  Its `repr` shows no text."""

    draw: Draw = field(repr=False)
    """What is drawn first; while controls prepare it `max_tokens` is the thinking's limit."""
    cues: Cues = field(default=CUES, repr=False)
    answer_limit: int = 0
    """Most tokens of the answer, on top of the thinking's."""
    thoughts: list[Thought] = field(default_factory=list, repr=False)
    """Those that are complete."""
    tokens: int = 0
    """Output tokens of the thinking so far (a restart begins again at 0)."""
    answer_tokens: int = 0
    """Output tokens of the answer so far."""
    recent: deque[Token] = field(default_factory=lambda: deque(maxlen=RECENT_TOKENS), repr=False)
    """The latest tokens, if log-probabilities were asked for."""
    closed: bool = False
    """The thinking is over: the model has begun to answer, or was made to."""
    ended_by: str | None = None
    """The control that ended the thinking or dropped the sample ("budget": the limit); None if the model did."""
    reason: str = ""
    """Why it was dropped."""
    restarts: int = 0
    finish: str | None = None
    usage: Usage = NOTHING
    """Everything that was spent: discarded streams and the probes that were booked included."""
    _thought: GrowingText = field(init=False, repr=False)
    _text: GrowingText = field(init=False, repr=False)
    _begun: str = field(default="", init=False, repr=False)
    _opened: bool = field(default=False, init=False, repr=False)
    _splitter: Thoughts = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.begin(self.draw.begun)

    @property
    def prompt(self) -> Prompt:
        """What was asked."""
        return self.draw.prompt

    @property
    def thought(self) -> str:
        """All thinking so far, tags left out; costs its length, so what looks at every piece uses `since` or `blank`."""
        return str(self._thought)

    @thought.setter
    def thought(self, thought: str) -> None:
        self._thought = GrowingText(thought)

    @property
    def text(self) -> str:
        """The answer so far; costs its length."""
        return str(self._text)

    @text.setter
    def text(self, text: str) -> None:
        self._text = GrowingText(text)

    @property
    def length(self) -> int:
        """How many characters the thinking has so far."""
        return self._thought.length

    @property
    def blank(self) -> bool:
        """Whether the thinking so far is white space alone."""
        return self._thought.blank

    def since(self, start: int) -> str:
        """Return the thinking after its first `start` characters."""
        return self._thought.since(start)

    @property
    def open(self) -> str:
        """Raw text to go on thinking from, or to ask something on the side from (`Draw.begun`)."""
        return self._begun + ("" if self._opened else self.draw.tags.open) + self.thought

    def closed_with(self, guidance: str = "") -> str:
        """Raw text that ends the thinking here, so that the model has to answer (`Draw.begun`)."""
        return self.open + guidance + self.draw.tags.close

    @property
    def written(self) -> str:
        """Raw text so far, the answer included, to go on from."""
        if not self.closed:
            return self.open
        thinking = self.closed_with() if self._thought.length or self._opened else self._begun
        return thinking + self.text

    def spend(self, usage: Usage) -> None:
        """Book what a probe, a verifier or a discarded stream has cost."""
        self.usage += usage

    def begin(self, begun: str) -> None:
        """Think from the beginning, after the raw text `begun`."""
        self._begun = begun
        self._opened = parser(replace(self.draw, begun=begun)).thinking
        self.closed = ThinkParser(begun, self.draw.tags).closed
        self.thoughts, self.tokens = [], 0
        self.thought = self.text = ""
        self._splitter = Thoughts(self.cues)

    def close(self, guidance: str = "", keep: int | None = None) -> str:
        """End the thinking by hand, after `keep` characters of it, and return the raw text that has to be answered."""
        self.thoughts += self._splitter.end()
        if keep is not None:
            self.thought = self.thought[:keep]
            self.thoughts = _within(self.thoughts, keep)
        self.text, self.closed = "", True
        return self.closed_with(guidance)

    def hear(self, piece: Piece) -> list[Thought]:
        """Take a piece in and return the thoughts that it completed."""
        self.spend(piece.usage)
        self.recent.extend(piece.tokens)
        self.finish = piece.finish or self.finish
        heard, tokens = piece.thought, piece.usage.completion
        if piece.unopened:
            heard, tokens = self.text + heard, self.answer_tokens + tokens
            self.text, self.answer_tokens, self.closed = "", 0, False
        self._thought.add(heard)
        self._text.add(piece.text)
        done = self._splitter.feed(heard, tokens) if heard else []
        # White space before the thinking is no answer yet, after it it is.
        after = self._thought.length or self._opened or not self._text.blank
        if piece.text and after and not self.closed:
            self.closed = True
            done += self._splitter.end()
        if self.closed and not heard:
            self.answer_tokens += tokens
        else:
            self.tokens += tokens
        self.thoughts += done
        return done


def _within(thoughts: Sequence[Thought], length: int) -> list[Thought]:
    """Return the thoughts that lie within the first `length` characters of them all."""
    ends = accumulate(len(thought.text) for thought in thoughts)
    return [thought for thought, end in zip(thoughts, ends, strict=True) if end <= length]


class Watch(ABC):
    """Watches one stream."""

    @abstractmethod
    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        """Look at one piece, already part of `state`, and the thoughts that it completed; None lets the stream go on.

        The stream is not read meanwhile, so slow questions belong in a task whose result a later call acts upon.
        Pieces of the answer are shown too (`state.closed`); nothing but `Drop` can be done about them.
        """

    async def aclose(self) -> None:
        """Stop what still runs on the side; called once, when the stream is over.  What this raises fails the sample."""
        return


class Control(ABC):
    """One way to make a reasoning model think less, or better."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call it."""

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Set `state.draw` and `state.answer_limit` as they are to be, and book what finding that out has cost.

        A `thinking_budget` that is set stands for the thinking's limit, whatever its value.
        """
        return

    def watch(self, draw: Draw, model: Streaming) -> Watch | None:
        """Return a fresh watcher for one stream; None if there is nothing to watch."""
        return None

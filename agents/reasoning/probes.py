"""Probes: at a cue the model is made to answer on the side, in a few tokens, as if its thinking ended there."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

from surefoot.models.base import ModelUnavailable
from surefoot.models.streaming import Draw, Streaming, Token, whole_stream

from .control import StreamState

BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}?")
NUMBER_CHARACTERS = 200
"""Longest text that is compared as a number."""
_HUGE = re.compile(r"e[+-]?\d{4}")
"""A fraction writes its exponent out in digits: nine letters of a model's answer would be a gigabyte."""
WRAPPING = " \t\r\n*$`'\""


@dataclass(frozen=True, slots=True)
class Probing:
    """Where and how to probe.  A calibration holds only for the probing that it was made with."""

    words: tuple[str, ...] = ("wait", "hmm", "alternatively")
    """A thought that begins like this is a cue (LYNX, arXiv 2512.05325); lower case."""
    inducer: str = "\n\n**Final answer:** "
    """What follows the closing tag, so that the answer comes at once; "" for a model that gives nothing but answers."""
    tokens: int = 20
    """Most tokens of the answer."""
    stop: tuple[str, ...] = ("\n",)
    window: int = 3
    """How many earlier probes an answer is compared with."""
    most: int = 10
    """Probes of one stream; later cues are passed over (DEER, arXiv 2504.15895)."""


PROBING = Probing()


class ProbeResult(NamedTuple):
    """One forced answer."""

    text: str
    mean: float | None
    """Mean probability of its tokens; None where the server does not say, 0 for an empty answer."""
    geometric: float | None
    """Their geometric mean."""
    least: float | None
    """The smallest of them."""
    agreement: float
    """Share of the `window` probes before this one that gave the same answer; what is not there does not agree."""
    states: tuple[float, ...] = ()
    """Hidden states that an exit here is judged by, of one layer after the other, where they were asked for."""

    @property
    def answer(self) -> str:
        """What was answered, made comparable; "" if nothing was."""
        return normalised(self.text)


def forced(state: StreamState, length: int, probing: Probing) -> Draw:
    """Return the draw of a short answer as if the thinking had ended after `length` characters; greedy, so repeatable."""
    before = state.open.removesuffix(state.thought) + state.thought[:length]
    return replace(
        state.draw,
        temperature=0.0,
        max_tokens=probing.tokens,
        begun=before + state.draw.tags.close + probing.inducer,
        stop=probing.stop,
        top_logprobs=1,
        logit_bias=(),
        thinking_budget=None,
    )


async def probe_at(
    model: Streaming, state: StreamState, length: int, probing: Probing, earlier: Sequence[ProbeResult]
) -> ProbeResult:
    """Force an answer after `length` characters of thinking and book what it costs; `earlier` are the earlier probes."""
    found = await whole_stream(model, forced(state, length, probing))
    state.spend(found.usage)
    answer = normalised(found.text)
    same = sum(bool(answer) and other.answer == answer for other in earlier[-probing.window :])
    probabilities = _probabilities(found.tokens) if answer else (0.0, 0.0, 0.0)
    states = tuple(chain.from_iterable(found.states))
    return ProbeResult(found.text, *probabilities, same / probing.window, states)


def _probabilities(tokens: Sequence[Token]) -> tuple[float | None, float | None, float | None]:
    """Return arithmetic mean, geometric mean and smallest of the probabilities."""
    known = [token.logprob for token in tokens if token.logprob is not None and token.text.strip()]
    if not known:
        return None, None, None
    mean = math.fsum(map(math.exp, known)) / len(known)
    return mean, math.exp(math.fsum(known) / len(known)), math.exp(min(known))


def needs(probability: float | None) -> float:
    """Return a probability that a rule cannot do without; raises `ModelUnavailable` if the server does not tell."""
    if probability is None:
        raise ModelUnavailable(
            "the server sends no log-probabilities, which this exit rule needs: switch them on, or use Dynasor's"
        )
    return probability


def same_answer(answer: str, right: str) -> bool:
    """Whether two answers are the same text, as `normalised` sees it, or the same number."""
    one, other = normalised(answer), normalised(right)
    if one == other:
        return bool(one)
    try:
        return _number(one) == _number(other)
    except (ValueError, ZeroDivisionError):
        return False


def _number(answer: str) -> Fraction:
    if len(answer) > NUMBER_CHARACTERS or _HUGE.search(digits := re.sub("[,_]", "", answer)):
        raise ValueError("not a number that a person would write")
    return Fraction(digits)


def normalised(answer: str) -> str:
    """Make answers comparable: what is boxed, without surrounding marks, with single blanks, in lower case."""
    boxed = BOXED.search(answer)
    return " ".join((boxed[1] if boxed else answer).strip(WRAPPING).rstrip("." + WRAPPING).casefold().split())


class Spotter:
    """Finds the cues of one stream as it comes: each once, and the same ones however the stream is cut in pieces."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._longest = max(map(len, self._words), default=0)
        self._begin(0)

    def _begin(self, restarts: int) -> None:
        self._restarts = restarts
        self._number = 0
        self._next(0)

    def _next(self, start: int) -> None:
        """Begin to look at the thought that begins here."""
        self._start = self._looked = start
        self._head = ""
        """Its first characters but for white space, as many as tell whether it is a cue."""
        self._found = False

    def see(self, state: StreamState) -> list[int]:
        """Return where in `state.thought` those thoughts begin that have now turned out to be cues."""
        if state.restarts != self._restarts:
            self._begin(state.restarts)
        starts = []
        for thought in state.thoughts[self._number :]:
            starts += self._judge(thought.text[self._looked - self._start :])
            self._number += 1
            self._next(self._start + len(thought.text))
        return starts + self._judge(state.since(self._looked))

    def _judge(self, more: str) -> list[int]:
        self._looked += len(more)
        if self._found or len(self._head) >= self._longest:
            return []
        # White space before the first word only: `_head` is empty as long as nothing else has come.
        self._head = (self._head + more if self._head else more.lstrip())[: self._longest]
        self._found = self._head.lower().startswith(self._words)
        return [self._start] if self._found else []

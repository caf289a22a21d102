"""Probes: at a cue the model is made to answer on the side, in a few tokens, as if its thinking ended there."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from ..model import ModelUnavailable
from .control import Mind
from .stream import Draw, Streaming, Token, collect

BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}?")
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

    @property
    def answer(self) -> str:
        """What was answered, made comparable; "" if nothing was."""
        return plain(self.text)


def forced(mind: Mind, length: int, probing: Probing) -> Draw:
    """Return the draw of a short answer as if the thinking had ended after `length` characters; greedy, so repeatable."""
    before = mind.open.removesuffix(mind.thought) + mind.thought[:length]
    return mind.draw._replace(
        temperature=0.0,
        max_tokens=probing.tokens,
        begun=before + mind.draw.tags.close + probing.inducer,
        stop=probing.stop,
        top_logprobs=1,
        logit_bias=(),
        thinking_budget=None,
    )


async def probe_at(
    model: Streaming, mind: Mind, length: int, probing: Probing, earlier: Sequence[ProbeResult]
) -> ProbeResult:
    """Force an answer after `length` characters of thinking and book what it costs; `earlier` are the earlier probes."""
    found = await collect(model, forced(mind, length, probing))
    mind.spend(found.usage)
    answer = plain(found.text)
    same = sum(bool(answer) and other.answer == answer for other in earlier[-probing.window :])
    probabilities = _probabilities(found.tokens) if answer else (0.0, 0.0, 0.0)
    return ProbeResult(found.text, *probabilities, same / probing.window)


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
    """Whether two answers are the same text, as `plain` sees it, or the same number."""
    one, other = plain(answer), plain(right)
    if one == other:
        return bool(one)
    try:
        return Fraction(one.replace(",", "")) == Fraction(other.replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return False


def plain(answer: str) -> str:
    """Make answers comparable: what is boxed, without surrounding marks, with single blanks, in lower case."""
    boxed = BOXED.search(answer)
    return " ".join((boxed[1] if boxed else answer).strip(WRAPPING).rstrip("." + WRAPPING).casefold().split())


class Spotter:
    """Finds the cues of one stream as it comes: each once, and the same ones however the stream is cut in pieces."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._begin(0)

    def _begin(self, restarts: int) -> None:
        self._restarts = restarts
        self._number = self._start = 0
        """Of the thought that is looked at: its number, and where it begins."""
        self._found = False

    def see(self, mind: Mind) -> list[int]:
        """Return where in `mind.thought` those thoughts begin that have now turned out to be cues."""
        if mind.restarts != self._restarts:
            self._begin(mind.restarts)
        starts = []
        for thought in mind.thoughts[self._number :]:
            starts += self._judge(thought.text)
            self._number += 1
            self._start += len(thought.text)
            self._found = False
        return starts + self._judge(mind.thought[self._start :])

    def _judge(self, text: str) -> list[int]:
        if self._found or not text.lstrip().lower().startswith(self._words):
            return []
        self._found = True
        return [self._start]

"""Red flags: why a sample is thrown away instead of becoming a ballot.

A flag is a small strategy object.  Flags combine with `|`, and the first that fires names the reason:

    flags = TooLong(750) | Truncated() | Malformed() | InvariantBroken("illegal", board_check)

A flagged sample is discarded and another one drawn; it is never repaired, since a sample that went wrong in form is
more likely to be wrong in content too (arXiv 2511.09030, section 3.3).  A transport error is not a red flag: no sample
was drawn.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from surefoot.errors import BadInput, SurefootError

from .samples import Sample

A = TypeVar("A", bound=Hashable)


class NotAnAnswer(SurefootError):
    """Raised by a task's reader: the text is not an answer in the wanted form."""


@dataclass(frozen=True, slots=True)
class RedFlag:
    """The reason why a sample was thrown away."""

    reason: str
    """One word or two, counted in the report: `too long`, `truncated`, `malformed`, or the task's own."""
    detail: str = ""
    """What exactly was wrong, for a person."""


class Reading(Generic[A]):
    """A sample, what it was asked about and, on demand, the answer read from it."""

    __slots__ = ("_answer", "_read", "sample", "state")

    def __init__(self, sample: Sample, read: Callable[[str], A], state: Hashable = None) -> None:
        self.sample = sample
        self.state = state
        self._read = read
        self._answer: A | None = None

    @property
    def answer(self) -> A:
        """The canonical answer; raises `NotAnAnswer` if the text holds none."""
        if self._answer is None:
            self._answer = self._read(self.sample.text)
        return self._answer


class Flag(ABC):
    """Decides whether one reading is to be thrown away."""

    @property
    def limit(self) -> int | None:
        """The tokens past which no sample gets by this flag, or None if it does not count them.

        Samples are drawn with this as their limit: a server that counts the samples of a request only together does
        not say how long one is, but it does say which of them it cut off.
        """
        return None

    @abstractmethod
    def raised_by(self, reading: "Reading[A]") -> RedFlag | None:
        """Return the red flag, or None if this flag has nothing against the sample."""

    def __or__(self, other: "Flag") -> "AnyOf":
        if not isinstance(other, Flag):
            raise BadInput(
                f"a red flag is an object whose class derives from Flag, {other!r} is none: a class is called first, and a "
                "function becomes one by InvariantBroken(name, function)"
            )
        return AnyOf((*_parts(self), *_parts(other)))


@dataclass(frozen=True, slots=True)
class AnyOf(Flag):
    """Fires with the first of its flags that fires, from left to right."""

    flags: tuple[Flag, ...]

    @property
    def limit(self) -> int | None:
        """The least of its flags' limits."""
        return min((flag.limit for flag in self.flags if flag.limit is not None), default=None)

    def raised_by(self, reading: Reading[A]) -> RedFlag | None:
        """Ask each flag in turn."""
        for flag in self.flags:
            red = flag.raised_by(reading)
            if red is not None:
                return _red(flag, red)
        return None


@dataclass(frozen=True, slots=True)
class TooLong(Flag):
    """The model wrote more than `tokens`, or was cut off at the request's own limit.

    Long answers are wrong answers: the error rate per step rises steeply past some length (section 4.4 of the paper,
    which cut at 750 tokens).

    A length is compared where the server reported one, which it does not for several samples of one request.  So a job is
    not left to that: its samples are cut off at `tokens` to begin with, see `limit`.
    """

    tokens: int | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None and self.tokens < 1:
            raise BadInput(f"TooLong needs at least 1 token, not {self.tokens!r}")

    @property
    def limit(self) -> int | None:
        """The tokens that are allowed: a sample of just so many that ended by itself is no longer than it may be."""
        return self.tokens

    def raised_by(self, reading: Reading[A]) -> RedFlag | None:
        """Compare the length, where the server reported one, and look whether the sample was cut off."""
        sample = reading.sample
        if sample.finish == "length":
            return RedFlag("too long", "cut off at the token limit")
        if self.tokens is not None and sample.tokens is not None and sample.tokens > self.tokens:
            return RedFlag("too long", f"{sample.tokens} tokens, {self.tokens} allowed")
        return None


@dataclass(frozen=True, slots=True)
class Truncated(Flag):
    """The model did not finish by itself: the answer ended without a reason, was filtered or aborted."""

    def raised_by(self, reading: Reading[A]) -> RedFlag | None:
        """Look at why the model stopped."""
        finish = reading.sample.finish
        return None if finish in ("stop", "length") else RedFlag("truncated", f"finish reason {finish!r}")


@dataclass(frozen=True, slots=True)
class Malformed(Flag):
    """The text is not an answer in the task's strict form."""

    def raised_by(self, reading: Reading[A]) -> RedFlag | None:
        """Try to read it."""
        try:
            reading.answer  # noqa: B018 - reading is the test
        except NotAnAnswer as error:
            return RedFlag("malformed", str(error))
        return None


@dataclass(frozen=True, slots=True)
class Unsure(Flag):
    """The mean log-probability of the sample's tokens is below `logprob`, as the model or its server told it.

    Measure the threshold, and whether the log-probability tells right from wrong at all: `LogprobEvidence` does both.  A sample
    that has none (`Sample.logprob`) gets by this flag.
    """

    logprob: float

    def __post_init__(self) -> None:
        # None is what `LogprobEvidence.threshold` returns of too few states.
        known: object = self.logprob
        if not (isinstance(known, int | float) and -math.inf < known < 0):
            raise BadInput(
                f"Unsure needs a log-probability below 0, not {self.logprob!r}: measure it, see LogprobEvidence"
            )

    def raised_by(self, reading: Reading[A]) -> RedFlag | None:
        """Compare the log-probability, if there is one."""
        found = reading.sample.logprob
        if found is None or found >= self.logprob:
            return None
        return RedFlag("unsure", f"mean log-probability {found:.4g}, {self.logprob:.4g} wanted")


COUNTED_ALREADY = ("too long", "truncated", "malformed", "unsure")
"""The names of the flags above."""


@dataclass(frozen=True, slots=True)
class InvariantBroken(Flag):
    """The answer breaks an invariant that the task can check by itself: help from outside the model, counted apart."""

    name: str
    check: Callable[[Any, Any], str | None]
    """Given the state and the answer, returns what is wrong with the answer, or None."""

    def __post_init__(self) -> None:
        if self.name in COUNTED_ALREADY:
            raise BadInput(
                f"{self.name!r} is counted already, by a flag of surefoot's own: take another name"
            )

    def raised_by(self, reading: Reading[A]) -> RedFlag | None:
        """Apply the task's check to the answer."""
        why: Any = self.check(reading.state, reading.answer)
        if not (why is None or isinstance(why, str)):
            raise TypeError(f"{self.name!r} returns what is wrong, a text, or None, and not {why!r}")
        return None if why is None else RedFlag(self.name, why)


def _parts(flag: Flag) -> tuple[Flag, ...]:
    return flag.flags if isinstance(flag, AnyOf) else (flag,)


PAPER = TooLong() | Truncated() | Malformed()
"""The paper's red flags: length and format, nothing that knows the rules of the task."""


def screen(reading: Reading[A], flags: Flag) -> A | RedFlag:
    """Turn a reading into a ballot, or into the red flag that threw it away.

    A sample that cannot be read is malformed whether or not `flags` looks for it: there is no ballot in it.
    """
    try:
        red = flags.raised_by(reading)
        return reading.answer if red is None else _red(flags, red)
    except NotAnAnswer as error:
        return RedFlag("malformed", str(error))


def _red(flag: Flag, raised: object) -> RedFlag:
    """Return what a flag has raised; anything else would become a ballot."""
    if not isinstance(raised, RedFlag):
        raise TypeError(f"`raised_by` of {type(flag).__name__} returns a RedFlag or None, not {raised!r}")
    return raised

"""When thinking may stop: class-conditional split conformal prediction over forced exits.  Pure statistics.

At a cue ("wait", "hmm", ...) a score between 0 and 1 says how safe it looks to leave, and a forced answer, compared
with the right one, says whether it was.  Calibration takes a quantile of the n scores of the unsafe ones,

    q = the k-th smallest,    k = ceil((n + 1) (1 - delta)),    + infinity where k > n

and thinking stops where the score is above q, that is where the prediction set does not hold "unsafe".  The rank of a
new unsafe score among n exchangeable ones is uniform, so P(exit | unsafe) <= delta for every distribution and every n
(Vovk 2012, Conditional validity of inductive conformal predictors; as an exit rule: LYNX, arXiv 2512.05325).

Two things differ from the published code.  It clips k to n: on 5 unsafe cues it exits past the largest, as 1 new unsafe
cue in 6 does, whatever delta asks for; here such a calibration never exits.  And it wants "safe" to be in the set, by
the same quantile of 1 - score over the safe ones: that adds nothing to the bound, and where the classes are far apart
it takes the more exits away the greater delta is.

Ties count against exiting, which keeps the bound without randomisation, and makes it loose where a score takes few
values.
"""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

from surefoot.errors import BadInput

from .bounds import binomial_upper

Per = Literal["trace", "cue"]


class CueEvent(NamedTuple):
    """One forced exit whose outcome is known."""

    trace: Hashable
    """The stream of thoughts that it belongs to."""
    score: float
    """How safe it looked, 0 to 1."""
    safe: bool
    """Whether the forced answer was right."""


@dataclass(frozen=True, slots=True)
class ConformalExit:
    """An exit rule with P(exit | unsafe) <= delta."""

    delta: float
    per: Per
    unsafe: int
    """Unsafe traces (or cues) that it was calibrated on."""
    above: float
    """Only a greater score exits; infinity where they were too few."""

    @classmethod
    def of(cls, events: Iterable[CueEvent], delta: float, per: Per = "trace") -> "ConformalExit":
        """Calibrate on traces that were never cut short by an exit and had all the cues that a stream will have.

            per="trace"   every trace stands for its unsafe cues by the largest of their scores: of the traces with an
                          unsafe cue, at most a share `delta` *ever* exits at one.  Needs exchangeable traces, no more.
            per="cue"     every unsafe cue counts, as published: at most a share `delta` of them exits.  Needs
                          exchangeable cues, which those of one trace are not: exact with one cue per trace only.

        The score must not have been fitted on these events.  Raises `BadInput` for a delta outside (0, 1), a score
        outside [0, 1], another `per`.
        """
        _checked(delta)
        if per not in get_args(Per):
            raise BadInput(f"exits are calibrated per 'trace' or per 'cue', not per {per!r}")
        unsafe = sorted(_unsafe_scores(events, per))
        k = rank(len(unsafe), delta)
        return cls(delta, per, len(unsafe), math.inf if k is None else unsafe[k - 1])

    def exits(self, score: float) -> bool:
        """Whether this score rules out that it is unsafe to exit."""
        return score > self.above

    @property
    def supported(self) -> bool:
        """Whether there were enough unsafe ones for this delta; if not, nothing ever exits."""
        return self.unsafe >= unsafe_needed(self.delta)

    def worst(self, confidence: float = 0.95) -> float:
        """Return what the share of unsafe ones that exit exceeds in at most 1 - confidence of all calibrations.

        `delta` bounds the average over calibrations.  The share of a given one is Beta(j, n + 1 - j), j = n + 1 - k,
        with continuous scores and less with ties; its quantile is Clopper and Pearson's bound of j - 1 hits in n.
        """
        k = rank(self.unsafe, self.delta)
        return 0.0 if k is None else binomial_upper(self.unsafe - k, self.unsafe, confidence)


def rank(count: int, delta: float) -> int | None:
    """Return k = ceil((count + 1) (1 - delta)), in the decimal that delta is written as; None where k > count."""
    k = math.ceil((count + 1) * (1 - Fraction(str(delta))))
    return k if k <= count else None


def unsafe_needed(delta: float) -> int:
    """Return the fewest unsafe traces (or cues) on which a calibration at `delta` can ever exit: ceil(1 / delta) - 1."""
    return math.ceil(1 / Fraction(str(_checked(delta)))) - 1


def _unsafe_scores(events: Iterable[CueEvent], per: Per) -> Iterable[float]:
    largest: dict[Hashable, float] = {}
    for number, event in enumerate(events):
        if not 0 <= event.score <= 1:
            raise BadInput(f"a score of how safe an exit looks lies between 0 and 1, not {event.score!r}")
        if not event.safe:
            unit = event.trace if per == "trace" else number
            largest[unit] = max(event.score, largest.get(unit, 0.0))
    return largest.values()


def _checked(delta: float) -> float:
    if not 0 < delta < 1:
        raise BadInput(
            f"delta, the share of unsafe exits allowed, lies between 0 and 1, not {delta!r}; try 0.1"
        )
    return delta

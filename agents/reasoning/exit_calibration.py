"""Calibrating exits on the user's own problems: a score from forced exits, and the threshold that delta asks for."""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import mul
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from surefoot.errors import BadInput, SurefootError
from surefoot.voting.conformal import ConformalExit, CueEvent, Per, unsafe_needed

from .probes import PROBING, ProbeResult, Probing, needs

FIT_SHARE = 1 / 3
"""Of the traces, if the others are enough: they fit the score, the others calibrate it."""
RIDGE = 1e-3
FIT_STEPS = 400
"""Of projected gradient descent with Nesterov's momentum."""
POWERS = 100
FINEST = 1e-6
"""Probabilities closer to 1 than this are all the same to a score."""


class TooFewUnsafeExits(SurefootError):
    """There are too few unsafe exits for the delta that was asked for."""


class Forced(NamedTuple):
    """One forced exit: what was seen of it, and whether it was safe; a line of an events file."""

    trace: str
    cue: int
    """Number of the probe in its trace, from 0."""
    mean: float
    """Mean probability of the answer's tokens."""
    least: float
    """The smallest of them."""
    agreement: float
    """Share of the latest probes with the same answer."""
    safe: bool
    """Whether the answer was right."""


@dataclass(frozen=True, slots=True)
class Score:
    """How safe an exit looks, 0 to 1: a logistic function that rises with a feature or leaves it out.

    Probabilities count by the number of their nines, -log10(1 - p), as nearly all of them are close to 1.  Unfitted,
    the mean probability alone decides.
    """

    bias: float = 0.0
    mean: float = 1.0
    least: float = 0.0
    agreement: float = 0.0

    def of(self, seen: ProbeResult | Forced) -> float:
        """Return the score of a forced answer; raises `ModelUnavailable` where the server sends no probabilities."""
        x = (
            self.bias
            + self.mean * _nines(needs(seen.mean))
            + self.least * _nines(needs(seen.least))
            + self.agreement * seen.agreement
        )
        return _logistic(x)

    @classmethod
    def fitted(cls, forced: Sequence[Forced]) -> "Score":
        """Fit a logistic regression with a small ridge and no weight below 0; the unfitted score if nothing tells."""
        if len({event.safe for event in forced}) < 2:
            return cls()
        rows = [(1.0, _nines(e.mean), _nines(e.least), e.agreement) for e in forced]
        columns = list(zip(*rows, strict=True))
        ridge, floor = (0.0, RIDGE, RIDGE, RIDGE), (-math.inf, 0.0, 0.0, 0.0)
        step = 1 / (_largest_eigenvalue(columns) / 4 + RIDGE)
        weights = ahead = [0.0] * 4
        for number in range(FIT_STEPS):
            off = [
                _logistic(_product(row, ahead)) - event.safe for row, event in zip(rows, forced, strict=True)
            ]
            slope = [
                _product(column, off) / len(rows) + r * a
                for column, r, a in zip(columns, ridge, ahead, strict=True)
            ]
            before = weights
            weights = [max(a - step * s, least) for a, s, least in zip(ahead, slope, floor, strict=True)]
            momentum = number / (number + 3)
            ahead = [w + momentum * (w - b) for w, b in zip(weights, before, strict=True)]
        return cls(*weights) if any(weights[1:]) else cls()


def _nines(p: float) -> float:
    return -math.log10(1 - min(p, 1.0) + FINEST)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-max(x, -500.0)))


def _product(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum(map(mul, a, b)))


def _largest_eigenvalue(columns: Sequence[Sequence[float]]) -> float:
    """Return that of the columns' mean products, by powers: nothing in them is negative, so all ones are no wrong start."""
    products = [[_product(a, b) / len(a) for b in columns] for a in columns]
    vector, length = [1.0] * len(columns), 1.0
    for _ in range(POWERS):
        vector = [_product(row, vector) / length for row in products]
        length = math.hypot(*vector)
    return length


@dataclass(frozen=True, slots=True)
class ExitCalibration:
    """When one model may stop thinking about one family of problems."""

    model: str
    """Whom it holds for."""
    rule: ConformalExit
    score: Score
    probing: Probing
    traces: int
    """Whole streams that set the threshold."""
    fitted_on: int
    """Others, on which the score was fitted; 0: it was not."""
    kept: float
    """Of the traces with a safe cue, the share whose first exit is at one."""
    version: Literal[1] = 1

    @classmethod
    def of(
        cls,
        forced: Sequence[Forced],
        model: str,
        delta: float,
        *,
        per: Per = "trace",
        probing: Probing = PROBING,
    ) -> "ExitCalibration":
        """Calibrate; a third of the traces fits the score if the others hold twice as many unsafe ones as delta needs.

        Raises `TooFewUnsafeExits` if there are too few.
        """
        fitting, events = parted(forced, FIT_SHARE)
        if _rule(events, Score(), delta, per).unsafe < 2 * unsafe_needed(delta):
            fitting, events = [], list(forced)
        score = Score.fitted(fitting)
        rule = _rule(events, score, delta, per)
        if not rule.supported:
            raise TooFewUnsafeExits(_too_few(rule, forced))
        traces, fitted_on = (len({event.trace for event in part}) for part in (events, fitting))
        return cls(model, rule, score, probing, traces, fitted_on, _kept(rule, score, events))

    def write(self, path: Path) -> None:
        """Write it as JSON; raises `BadInput` where that cannot be."""
        try:
            path.write_bytes(to_json(self, indent=2) + b"\n")
        except OSError as error:
            raise BadInput(f"the calibration cannot be written to {str(path)!r}: {error.strerror}") from None

    @classmethod
    def read(cls, path: Path) -> "ExitCalibration":
        """Read what `write` has written; raises `BadInput` if that is not what lies there."""
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except OSError as error:
            raise BadInput(f"the calibration {str(path)!r} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise BadInput(
                f"{str(path)!r} is no calibration of exits ({error.errors()[0]['msg']}); "
                f"`surefoot calibrate exits` makes one"
            ) from None


def scored(forced: Iterable[Forced], score: Score) -> list[CueEvent]:
    """Return what the conformal rule is calibrated on."""
    return [CueEvent(event.trace, score.of(event), event.safe) for event in forced]


def parted(forced: Iterable[Forced], share: float, seed: int = 0) -> tuple[list[Forced], list[Forced]]:
    """Divide at random in two parts, the first with `share` of the traces; traces stay whole."""
    traces: defaultdict[str, list[Forced]] = defaultdict(list)
    for event in forced:
        traces[event.trace].append(event)
    shuffled = random.Random(seed).sample(list(traces.values()), len(traces))
    border = round(share * len(shuffled))
    return list(chain(*shuffled[:border])), list(chain(*shuffled[border:]))


def _rule(forced: Sequence[Forced], score: Score, delta: float, per: Per) -> ConformalExit:
    return ConformalExit.of(scored(forced, score), delta, per)


def _kept(rule: ConformalExit, score: Score, forced: Sequence[Forced]) -> float:
    """Return the share of the traces with a safe cue whose first exit is at one."""
    first: dict[str, bool] = {}
    for event in forced:
        if event.trace not in first and rule.exits(score.of(event)):
            first[event.trace] = event.safe
    with_safe = {event.trace for event in forced if event.safe}
    return sum(first.get(trace, False) for trace in with_safe) / len(with_safe) if with_safe else 0.0


def _too_few(rule: ConformalExit, forced: Sequence[Forced]) -> str:
    needed, of = (
        unsafe_needed(rule.delta),
        "traces with an unsafe exit" if rule.per == "trace" else "unsafe cues",
    )
    traces = len({event.trace for event in forced})
    more = needed - rule.unsafe
    about = (
        f", about {math.ceil(more * traces / rule.unsafe)} more traces at the share seen"
        if rule.unsafe
        else ""
    )
    smallest = (
        f", or ask for delta {math.ceil(1000 / (rule.unsafe + 1)) / 1000:g} or more" if rule.unsafe else ""
    )
    return (
        f"delta {rule.delta!r} needs at least {needed} {of}, and {traces} traces with cues had {rule.unsafe}: "
        f"{more} more are needed{about}{smallest}"
    )

"""Calibrating exits on the user's own problems: a score from forced exits, and the threshold that delta asks for."""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from surefoot.errors import BadInput, SurefootError
from surefoot.voting.conformal import ConformalExit, CueEvent, Per, unsafe_needed

from .exit_scores import Forced, Score, StatesAt, StateScore
from .probes import PROBING, Probing

FIT_SHARE = 1 / 3
"""Of the traces, if the others are enough: they fit the score, the others calibrate it."""
STATES_FIT_SHARE = 1 / 2
"""The same of a score by hidden states, which has hundreds of weights and is nothing unfitted."""


class TooFewUnsafeExits(SurefootError):
    """There are too few unsafe exits for the delta that was asked for."""


@dataclass(frozen=True, slots=True)
class ExitCalibration:
    """When one model may stop thinking about one family of problems."""

    model: str
    """Whom it holds for."""
    rule: ConformalExit
    # What a score of states has, one of answers lacks; the other way round it would pass for one that is not fitted.
    score: Annotated[StateScore | Score, Field(union_mode="left_to_right")]
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
        states: StatesAt | None = None,
        digest: str = "",
    ) -> "ExitCalibration":
        """Calibrate; a third of the traces fits the score if the others hold twice as many unsafe ones as delta needs.

        With `states`, which the exits then have, of the weights with this `digest`, half of the traces fits a score by these.
        Raises `TooFewUnsafeExits` if there are too few.
        """
        score: Score | StateScore
        if states:
            fitting, events = parted(forced, STATES_FIT_SHARE)
            score = StateScore.fitted(fitting, states, digest)
        else:
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


def scored(forced: Iterable[Forced], score: Score | StateScore) -> list[CueEvent]:
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


def _rule(forced: Sequence[Forced], score: Score | StateScore, delta: float, per: Per) -> ConformalExit:
    return ConformalExit.of(scored(forced, score), delta, per)


def _kept(rule: ConformalExit, score: Score | StateScore, forced: Sequence[Forced]) -> float:
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

"""What log-probabilities tell about right and wrong: measured before a sample is thrown away for one.

A mean log-probability says how likely the model finds its own words, which need not be how often they are right.  So nothing is
taken for granted: samples whose answers are known say how well it is calibrated, how often a right one is above a wrong one, and
below which value hardly any right one lies.  As in a calibration the *state* is the unit: samples of one state are not independent.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from numbers import Real
from statistics import NormalDist, fmean
from typing import NamedTuple

from surefoot.errors import BadInput

from .bounds import binomial_upper
from .calibration import Uncalibrated
from .paired import FEWEST, MeanInterval, mean_interval

BINS = 10

_Judged = tuple[float, bool]
"""The mean log-probability of a sample, and whether its answer is right."""


class LogprobBin(NamedTuple):
    """Samples of neighbouring log-probabilities, a row of the reliability table."""

    low: float
    """The least log-probability among them."""
    high: float
    samples: int
    promised: float
    """Mean of exp(log-probability): the share of right samples, if log-probabilities were calibrated."""
    right: float
    """The share of right samples."""


@dataclass(frozen=True, slots=True)
class LogprobEvidence:
    """What log-probabilities of samples with known answers say.

    evidence = LogprobEvidence.of(states)     # for each state, (logprob, whether it is right) of its samples
    print(evidence.why)
    threshold = evidence.threshold(lost=0.01)
    flags = PAPER if threshold is None else PAPER | Unsure(threshold)
    """

    states: int
    samples: int
    right: int
    bins: tuple[LogprobBin, ...]
    """About ten, of as many samples each, the least log-probability first; equal ones are in one bin."""
    calibration_error: float
    """Expected calibration error: mean over samples of the distance between a bin's promised and real share of right ones."""
    auc: float | None
    """The chance that a right sample is above a wrong one, a draw counting half; every state weighs the same.  None if either is missing."""
    auc_low: float
    auc_high: float
    """Where the chance lies, at `confidence`; 0 and 1 where it is not known."""
    within: MeanInterval | None
    """The same between samples of one state, the mean over states that have both: what a vote can gain.  None for fewer than ten."""
    confidence: float
    first_right: tuple[float, ...]
    """The log-probability of the first right sample of each state that has one, sorted."""

    @classmethod
    def of(
        cls, states: Iterable[Iterable[tuple[float | None, bool]]], *, confidence: float = 0.95
    ) -> "LogprobEvidence":
        """Evaluate (log-probability, whether the answer is right) of the samples of *different* states, drawn at random.

        Samples are in the order in which they were drawn; those with no log-probability are left out.  The calibration error is that of
        Guo et al. (arXiv 1706.04599, section 3) in bins of equal size; the area under the curve is Mann and Whitney's statistic (1947, Ann. Math.
        Stat. 18:50), its interval that of Newcombe (2006, Stat. Med. 25:559, method 5), which holds at 0 and 1, too, with states for samples.
        Raises `BadInput` for what is no log-probability, `Uncalibrated` if there is none.
        """
        try:
            by_state = [
                [(logprob, right) for logprob, right in samples if logprob is not None] for samples in states
            ]
        except (TypeError, ValueError):
            raise BadInput(
                "the samples of each state are a list of pairs: the log-probability, and whether the answer is right"
            ) from None
        judged = [sample for samples in by_state for sample in samples]
        for logprob, _ in judged:
            if not _is_logprob(logprob):
                raise BadInput(f"a log-probability is finite and not above 0, not {logprob!r}")
        if not 0.5 <= confidence < 1:
            raise BadInput(f"the confidence must be at least 0.5 and below 1, not {confidence!r}; try 0.95")
        if not judged:
            raise Uncalibrated(
                "no sample has a log-probability: ask for them (Options(logprobs=True)), of a server that has them"
            )
        parts = [_parted(samples) for samples in by_state]
        rights = [right for right, _ in parts if right]
        wrongs = [wrong for _, wrong in parts if wrong]
        auc, low, high = None, 0.0, 1.0
        if rights and wrongs:
            auc = _area(rights, wrongs)
            low, high = _interval(auc, len(rights), len(wrongs), confidence)
        mixed = [_area([right], [wrong]) for right, wrong in parts if right and wrong]
        bins = _bins(judged)
        return cls(
            states=len([samples for samples in by_state if samples]),
            samples=len(judged),
            right=sum(right for _, right in judged),
            bins=bins,
            calibration_error=math.fsum(row.samples * abs(row.promised - row.right) for row in bins)
            / len(judged),
            auc=auc,
            auc_low=low,
            auc_high=high,
            within=_within(mixed, confidence),
            confidence=confidence,
            first_right=tuple(sorted(right[0] for right in rights)),
        )

    def threshold(self, lost: float) -> float | None:
        """Return the log-probability below which at most a share `lost` of right samples lies, at `confidence`, for `Unsure`.

        Of states as they are drawn, a right sample each: on hard states more may be lost.  It is an order statistic, so that the bound holds for
        any distribution (Wilks 1941, Ann. Math. Stat. 12:91).  None if too few states have a right sample to promise that, or nothing lies below 0.
        """
        if not 0 < lost < 1:
            raise BadInput(f"the share of right samples that may be lost is between 0 and 1, not {lost!r}")
        states = len(self.first_right)
        held = bisect_right(range(states), lost, key=lambda n: binomial_upper(n, states, self.confidence))
        return self.first_right[held - 1] if held and self.first_right[held - 1] < 0 else None

    @property
    def why(self) -> str:
        """Say what was found, in one sentence or two."""
        if self.auc is None:
            word = "right" if self.right else "wrong"
            return f"all {self.samples:,} samples are {word}, so what log-probabilities tell about that is not known"
        where = f"{self.auc:.3f} ({self.auc_low:.3f} to {self.auc_high:.3f}, where 0.5 is chance)"
        if self.auc_high < 0.5:
            return f"log-probabilities mislead: right samples have lower ones than wrong ones, AUC {where}"
        if self.auc_low <= 0.5:
            return f"log-probabilities tell nothing beyond chance about right and wrong: AUC {where}"
        told = f"log-probabilities tell right from wrong: AUC {where}"
        if self.within is None:
            return f"{told}; too few states have both to say if they do so within a step, where votes need it"
        among = f"{self.within.mean:.3f} ({self.within.low:.3f} to {self.within.high:.3f})"
        if self.within.low <= 0.5:
            return f"{told}, but not among the samples of one step: {among}; a flag would draw more on hard steps and mend none"
        return f"{told}, also among the samples of one step: {among}"


def _is_logprob(given: object) -> bool:
    return isinstance(given, Real) and -math.inf < float(given) <= 0  # also one of numpy


def _parted(samples: Sequence[_Judged]) -> tuple[list[float], list[float]]:
    """Return the log-probabilities of a state's right samples and of its wrong ones, in their order."""
    return [logprob for logprob, right in samples if right], [
        logprob for logprob, right in samples if not right
    ]


def _area(rights: Sequence[Sequence[float]], wrongs: Sequence[Sequence[float]]) -> float:
    """Return the chance that a right sample of a state is above a wrong one of a state, both states drawn at random."""
    weighed = [(value, 1 / len(rights) / len(own), 0.0) for own in rights for value in own]
    weighed += [(value, 0.0, 1 / len(wrongs) / len(own)) for own in wrongs for value in own]
    area = below = 0.0
    for _, same in groupby(sorted(weighed), lambda entry: entry[0]):
        _, right, wrong = (math.fsum(column) for column in zip(*same, strict=True))
        area += right * (below + wrong / 2)
        below += wrong
    return min(1.0, area)


def _within(areas: Sequence[float], confidence: float) -> MeanInterval | None:
    if len(areas) < FEWEST:
        return None
    found = mean_interval(areas, confidence)
    return found._replace(low=max(0.0, found.low), high=min(1.0, found.high))


def _interval(area: float, right: int, wrong: int, confidence: float) -> tuple[float, float]:
    """Return Newcombe's interval for an area seen with so many right and wrong samples."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    mean = (right + wrong) / 2 - 1

    def far(true: float) -> bool:
        spread = 1 + mean * ((1 - true) / (2 - true) + true / (1 + true))
        return abs(area - true) > z * math.sqrt(true * (1 - true) * spread / (right * wrong))

    return _edge(far, 0.0, area), _edge(far, 1.0, area)


def _edge(far: Callable[[float], bool], outside: float, inside: float) -> float:
    """Return where, between what is too far and what is not, being too far ends."""
    if outside == inside:
        return inside
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if far(middle) else (outside, middle)
    return outside


def _bins(judged: Sequence[_Judged]) -> tuple[LogprobBin, ...]:
    """Cut the samples into bins of about the same size; samples that are alike are never parted."""
    size = math.ceil(len(judged) / BINS)
    found, filling = [], list[_Judged]()
    for _, same in groupby(sorted(judged), lambda sample: sample[0]):
        filling += same
        if len(filling) >= size:
            found.append(_bin(filling))
            filling = []
    return (*found, *([_bin(filling)] if filling else []))


def _bin(samples: Sequence[_Judged]) -> LogprobBin:
    return LogprobBin(
        samples[0][0],
        samples[-1][0],
        len(samples),
        fmean(math.exp(logprob) for logprob, _ in samples),
        fmean(right for _, right in samples),
    )

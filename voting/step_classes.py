"""What kinds of steps a job may have, by how often ballots err on them: the worst that a calibration leaves possible.

Errors are not spread evenly: a few steps are hard, and a mean over all hides them, since the risk of a vote is convex in the error rate.
So a job is seen as a mixture of *classes* of steps on which ballots err alike.  Which there are nobody knows; but a step on which ballots
err with a probability above q shows a wrong one among m with a probability of at least P(Bin(m, q) >= 1), so that few states with a
wrong ballot bound how many such steps there are.  The worst mixture that these bounds allow has at least the risk of the true one,
whatever that is, since electing a wrong answer grows more likely with q.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from surefoot.errors import BadInput

from .bounds import binomial_upper

CELLS = 12
"""Classes that the possible error rates are divided into; each counts as its worst."""


@dataclass(frozen=True, slots=True)
class StepClass:
    """Steps on which ballots err alike."""

    share: float
    """Of the steps of its kind, from 0 to 1."""
    errors: tuple[float, ...]
    """Probability that a ballot is wrong, a view each, in the order in which views take turns."""

    def __post_init__(self) -> None:
        if not (0 <= self.share <= 1 and self.errors and all(0 <= error <= 1 for error in self.errors)):
            raise BadInput(
                f"a class of steps has a share and error rates from 0 to 1, one a view, not {self.share!r} and {self.errors!r}"
            )


@dataclass(frozen=True, slots=True)
class TailBound:
    """What a calibration says of how many steps are hard."""

    states: int
    """Drawn at random."""
    ballots: int
    """Of each state, and in each view where there are several."""
    erring: tuple[int, ...]
    """States with at least 1, 2 ... wrong ballots, up to `ballots`; the first alone where several views may differ."""
    confidence: float

    def share(self, error: float) -> float:
        """Return an upper bound of the share of steps on which ballots err with a higher probability than this, in their worst view.

        The bounds hold for all error rates together at the confidence: each is one of a few exact binomial bounds, over what such a
        step shows at least.
        """
        alone = 1 - (1 - self.confidence) / len(self.erring)
        shown = (_at_least(wrong, self.ballots, error) for wrong in range(1, len(self.erring) + 1))
        bounds = (binomial_upper(erring, self.states, alone) for erring in self.erring)
        return min(
            1.0, *(bound / least if least else 1.0 for bound, least in zip(bounds, shown, strict=True))
        )

    def everywhere(self) -> float:
        """Return the largest error rate that all steps together may have."""
        low, high = 0.0, 1.0
        while low < (middle := (low + high) / 2) < high:
            low, high = (middle, high) if self.share(middle) == 1 else (low, middle)
        return high


def worst_classes(bound: TailBound, hardest: float) -> tuple[StepClass, ...]:
    """Return the worst mixture that the bound leaves possible, if ballots err with a probability of no more than `hardest` on any step.

    Its first class is as bad as all steps may be, the others are ever harder.  Raises `BadInput` if all steps may be worse than `hardest`.
    """
    usual = bound.everywhere()
    if usual >= hardest:
        raise BadInput(
            f"ballots may be wrong in {usual:.3g} of the cases on every step, which is more than the hardest step is to have, {hardest!r}"
        )
    edges = [usual * (hardest / usual) ** (cell / CELLS) for cell in range(CELLS + 1)]
    tails = [1.0, *map(bound.share, edges[1:-1]), 0.0]
    return tuple(
        StepClass(here - beyond, (edge,))
        for edge, here, beyond in zip(edges[1:], tails, tails[1:], strict=False)
        if here > beyond
    )


def _at_least(wrong: int, ballots: int, error: float) -> float:
    """Return P(Bin(ballots, error) >= wrong)."""
    few = (
        math.comb(ballots, count) * error**count * (1 - error) ** (ballots - count) for count in range(wrong)
    )
    return max(0.0, 1 - math.fsum(few))


def tail_bound(states: Sequence[tuple[tuple[int, int], ...]], confidence: float = 0.95) -> TailBound:
    """Return the bound from the ballots of different states: a view each, how many were wrong, of how many.

    A state without any ballot counts as one where all are wrong, since what is never answered may be what is hard.  One that lacks a
    view counts if a ballot is wrong, and is left out if none is: whether a view was answered is taken to say nothing of how it errs.  Of the
    others only as many ballots count as the state has that has the fewest; raises `BadInput` if there are no others.
    """
    fewest = min((min(drawn) for _, drawn in map(_sums, states) if all(drawn)), default=0)
    views = {len(counts) for counts in states}
    if not fewest or len(views) != 1:
        raise BadInput("hard steps are bounded by states with a ballot in each of the same views")
    most = fewest if views == {1} else 1
    wrong = [
        wrong if any(drawn) else most
        for wrong, drawn in map(_sums, states)
        if wrong or all(drawn) or not any(drawn)
    ]
    erring = tuple(sum(each >= least for each in wrong) for least in range(1, most + 1))
    return TailBound(len(wrong), fewest, erring, confidence)


def _sums(counts: tuple[tuple[int, int], ...]) -> tuple[int, list[int]]:
    """Return how many ballots of a state were wrong, and how many it has in each view."""
    return sum(wrong for wrong, _ in counts), [drawn for _, drawn in counts]

"""What several workers may spend on one stitched job: each has a purse, and puts into it what it sees that the others have spent."""

import time
from dataclasses import replace

from surefoot.errors import BadInput
from surefoot.orchestration.budget import Budget, Purse
from surefoot.orchestration.events import Counts
from surefoot.orchestration.journal.jobs import Job
from surefoot.orchestration.journal.stitched import StitchedJob
from surefoot.voting.samples import NOTHING, Usage


def check_bounds(budget: Budget | None) -> None:
    """Raise `BadInput` for bounds that several workers cannot keep together."""
    if budget is not None and budget != replace(budget, steps=None, turns=None, working_s=None, shared=None):
        raise BadInput(
            "a job in parts has a budget of tokens, of cost, or of time since it began: steps, turns, work and a purse are bounds of a job in one piece"
        )


class PurseOfParts:
    """What one worker spends on a stitched job, and what it has seen of all others.

    A worker counts its own samples as they come, and those of the others when it has read the journals: what these have spent since then it
    does not know, so that so much more may be spent.
    """

    def __init__(self, budget: Budget, known: StitchedJob) -> None:
        """Begin with the calibration, which is on the bill of the whole."""
        calibrated = known.fixed.calibrated
        samples, tokens, seconds = (calibrated and calibrated.calibration) or (0, 0, 0.0)
        self._before, self._extra = (NOTHING, tokens) if tokens is not None else (Usage(uncounted=samples), 0)
        self._purse = Purse(
            tokens=budget.tokens,
            cost=budget.cost,
            price=budget.price,
            wall_s=budget.wall_s,
            elapsed_s=max(0.0, time.time() - known.created) + seconds,
        )
        self.budget = Budget(shared=self._purse)
        """That of each part."""

    def see(self, whole: Job) -> None:
        """Count what all parts have spent, as their journals say, so far as it is not counted yet; and learn what a step takes on average."""
        ahead = Counts.of(whole.counters).ahead
        uncounted, tokens = (
            sum(ahead.get(f"{kind}_{what}", 0) for kind in ("wasted", "draft"))
            for what in ("uncounted", "tokens")
        )
        seen, spent = whole.usage + self._before + Usage(uncounted=uncounted), self._purse.spent
        more = self._extra + tokens - (self._purse.tokens - spent.total)
        self._purse.spend(
            Usage(*(max(0, new - old) for new, old in zip(seen, spent, strict=True))), max(0, more)
        )
        if whole.step:
            self._purse.learn(Usage(*(-(-tokens // whole.step) for tokens in whole.usage)))

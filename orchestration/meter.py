"""What a run has spent of its budget, step by step."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

from surefoot.voting.samples import NOTHING, Usage

from .budget import Budget, Excess, Paused


class Meter:
    """Watches over one run's budget.

    A step is begun only if the dearest one of this run so far would still fit, in tokens and in time, and an election that needs further samples
    gets them only if they fit at the price of the dearest ones so far, and time is left.  So what is spent can pass the budget by no more than a first
    step, or one whose samples are larger than any before, is larger than what was set aside for it.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        step: int,
        spent: Usage,
        ahead: Mapping[str, int],
        before: Usage,
        wall_s: float = 0,
        working_s: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget, self._purse = budget, budget.shared
        self._until = None if budget.steps is None else step + budget.steps
        self._spent = spent
        """On the steps of the job so far."""
        self._ahead = Counter(ahead)
        """What speculation has done, see `Ledger.counts`."""
        self._before = before
        """What is not among a job's own: the calibration."""
        self._sample, self._samples = NOTHING, 0
        """The dearest sample so far, field by field, and the most samples of a step."""
        self._at_risk = 0
        """Samples that speculation may waste."""
        self._clock = clock
        now = clock()
        self._wall_from, self._working_from = now - wall_s, now - working_s
        """When the clock would have begun, had it run all the time that has passed."""
        self._checked_at: float | None = None
        self._longest_s = 0.0
        """The longest step of this run, what the world did in it included."""

    def spend(self, usage: Usage, samples: int) -> None:
        """Count what a step has taken."""
        self._learn(usage, samples)
        self.lose(usage)
        if self._purse is not None:
            self._purse.learn(usage)

    def lose(self, usage: Usage) -> None:
        """Count what was spent on a step that was not decided."""
        self._spent += usage
        if self._purse is not None:
            self._purse.spend(usage)
            self._purse.keep(self, self._dear(self._at_risk))  # what was asked ahead is still on its way

    def note(self, ahead: Mapping[str, int]) -> None:
        """Count what speculation has done."""
        self._ahead.update(ahead)
        if self._purse is not None:
            tokens = sum(ahead.get(f"{kind}_tokens", 0) for kind in ("wasted", "draft"))
            uncounted = sum(ahead.get(f"{kind}_uncounted", 0) for kind in ("wasted", "draft"))
            self._purse.spend(Usage(uncounted=uncounted), tokens)

    def close(self) -> None:
        """Leave to other runs what is set aside."""
        if self._purse is not None:
            self._purse.keep(self)

    def rested(self) -> None:
        """Know that the run stood still: that took no step so long."""
        self._checked_at = None

    def check(self, step: int) -> None:
        """Raise `Paused` if the next step does not fit."""
        now = self._clock()
        if self._checked_at is not None:
            self._longest_s = max(self._longest_s, now - self._checked_at)
        self._checked_at = now
        if step == self._until:
            raise Paused(
                f"stopped before step {step}: the run has taken the {self._budget.steps:,} steps that it may",
                "steps",
            )
        self._fits(step, NOTHING, max(self._samples, self._at_risk), self._longest_s)

    def check_more(self, step: int, usage: Usage, drawn: int, samples: int) -> None:
        """Raise `Paused` if so many more samples do not fit, of a step that has taken `usage` for those drawn."""
        self._learn(usage, drawn)
        self._fits(step, usage, samples, 0)

    def has_room_ahead(self, samples: int) -> bool:
        """Whether so many samples that may be wasted would still fit; if so, they are set aside from here on."""
        fits = self._over(NOTHING, samples) is None and self._reserved(NOTHING, samples, 0) is None
        self._at_risk = samples if fits else 0
        return fits

    def _learn(self, usage: Usage, samples: int) -> None:
        each = Usage(*(-(-tokens // samples) for tokens in usage))
        self._sample = Usage(*map(max, self._sample, each))._replace(cached=0)
        self._samples = max(self._samples, samples)

    def _fits(self, step: int, usage: Usage, samples: int, longest_s: float) -> None:
        late = self._clock() + longest_s
        over = self._over(usage, samples)
        over = over or self._budget.late(late - self._wall_from, late - self._working_from)
        over = over or self._reserved(usage, samples, longest_s)
        if over is not None:
            self.lose(usage)
            raise Paused(f"stopped at step {step}: {over.sentence}", over.bound, usage)

    def _reserved(self, usage: Usage, samples: int, longest_s: float) -> Excess | None:
        """Set aside so many samples beside what the step has taken so far."""
        if self._purse is None:
            return None
        return self._purse.reserve(self, usage + self._dear(samples) if self._samples else None, longest_s)

    def _dear(self, samples: int) -> Usage:
        return Usage(*(tokens * samples for tokens in self._sample))

    def _over(self, usage: Usage, samples: int) -> Excess | None:
        ahead = self._ahead
        uncounted = self._before.uncounted + ahead["wasted_uncounted"] + ahead["draft_uncounted"]
        extra = self._before.total + ahead["wasted_tokens"] + ahead["draft_tokens"]
        wanted = self._spent + usage + self._dear(samples) + Usage(uncounted=uncounted)
        return self._budget.over(wanted, extra)

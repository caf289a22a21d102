"""What speculation has cost, counted in samples: asked for, used and wasted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from surefoot.voting.samples import Sample

from .open_step import OpenStep


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Samples asked for, used and wasted."""

    asked: int = 0
    used: int = 0
    """Asked for on states that came true."""
    in_flight: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Counted since `Pipeline.take_counts` last took it.

    `ahead`: steps asked about before their turn.  `accepted` and `rejected`: of these, the steps whose state was right, and
    those whose state was the first to be wrong, or that were given up with the terms.  `wasted_samples`, `wasted_tokens`: drawn for states that did not come
    true; the tokens of samples that were cut off are estimated from those counted.  `depth`: the steps that were open
    ahead at each decision, summed up; `decisions`: their number.  `draft_tokens`: what the draft itself has spent, as far as
    it knows (`Draft.spent`).  `wasted_uncounted`, `draft_uncounted`: samples whose tokens are not known, which these leave out.
    """
    _tokens: int = 0
    _counted: int = 0

    def ask(self, samples: int) -> None:
        """Count samples that are asked for."""
        self.asked += samples
        self.in_flight += samples

    def arrive(self, sample: Sample) -> None:
        """Count one that came back."""
        self.in_flight -= 1
        if not sample.usage.uncounted:
            self._counted += 1
            self._tokens += sample.usage.total

    def use(self, step: OpenStep[Any, Any], ahead: int) -> None:
        """Count a step that was decided while so many were open ahead of it."""
        self.used += step.asked
        self.counts["decisions"] += 1
        self.counts["depth"] += ahead
        self.counts["accepted"] += step.distance > 0

    def waste(self, step: OpenStep[Any, Any]) -> None:
        """Count a step whose state did not come true."""
        # A call that is cut off does not say how far it got: each sample still to come is taken for a mean one.
        late = step.outstanding * self._tokens // max(self._counted, 1)
        usage = step.usage
        self.counts["wasted_samples"] += step.asked
        self.counts["wasted_tokens"] += usage.total + late
        self.counts["wasted_uncounted"] += usage.uncounted + (0 if self._counted else step.outstanding)

    def allows(self, samples: int, certain: int, max_waste: float) -> bool:
        """Whether so many more may be risked: if all that is open were wasted, the share would still be kept.

        `certain` are those asked for on a state that is known to be true.
        """
        # From at_risk / (used + at_risk) <= max_waste, without a division by 0 before anything was used.
        at_risk = self.asked - self.used - certain + samples
        return at_risk * (1 - max_waste) <= self.used * max_waste

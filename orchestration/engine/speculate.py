"""Speculation: how far ahead of the decided steps a run may ask, on whose word, and what that has cost."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from surefoot.errors import BadInput
from surefoot.voting.samples import Sample

from .drafts import Draft
from .open_step import OpenStep

AHEAD = (
    "ahead",
    "accepted",
    "rejected",
    "wasted_samples",
    "wasted_tokens",
    "wasted_uncounted",
    "depth",
    "decisions",
    "draft_tokens",
    "draft_uncounted",
)
"""What is counted (see `Ledger.news`), by the names under which a job's counters have it."""


MOST_AHEAD = 1_000_000
"""The largest depth and capacity."""


@dataclass(frozen=True)
class Speculation:
    """How far ahead of the decided steps a run may ask, and on whose word."""

    draft: Draft[Any] | str | None = None
    """A draft, or one by name (see `open_draft`); None is the leading ballot of the step before."""
    depth: int = 512
    """Most steps ahead; what is used adapts to what is measured."""
    max_waste: float = 0.5
    """Largest share of all samples that may turn out to have been drawn in vain."""
    capacity: int = 256
    """Most samples in flight."""

    def __post_init__(self) -> None:
        for what in ("depth", "capacity"):
            if getattr(self, what) < 1:
                raise BadInput(f"{what} must be at least 1, not {getattr(self, what)!r}")
            if getattr(self, what) > MOST_AHEAD:  # work and memory grow with it
                raise BadInput(f"{what} must be at most {MOST_AHEAD:,}, not {getattr(self, what)!r}")
        if not 0 <= self.max_waste < 1:
            raise BadInput(f"max_waste is a share from 0 to below 1, not {self.max_waste!r}")


@dataclass(slots=True)
class Ledger:
    """Samples asked for, used and in vain."""

    asked: int = 0
    used: int = 0
    """Asked for on states that came true."""
    in_flight: int = 0
    news: Counter[str] = field(default_factory=Counter)
    """Counted since somebody last took it.

    `ahead`: steps asked about before their turn.  `accepted` and `rejected`: of these, the steps whose state was right, and
    those whose state was the first to be wrong.  `wasted_samples`, `wasted_tokens`: drawn for states that did not come
    true; the tokens of samples that were cut off are estimated from those counted.  `depth`: the steps that were open
    ahead at each decision, summed up; `decisions`: their number.  `draft_tokens`: what the draft itself has spent, as far as
    it knows (`Draft.spent`).  `wasted_uncounted`, `draft_uncounted`: samples whose tokens nobody knows, which these leave out.
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
        self.news["decisions"] += 1
        self.news["depth"] += ahead
        self.news["accepted"] += step.distance > 0

    def drop(self, step: OpenStep[Any, Any]) -> None:
        """Count a step whose state did not come true."""
        late = step.outstanding * self._tokens // max(self._counted, 1)
        usage = step.usage
        self.news["wasted_samples"] += step.asked
        self.news["wasted_tokens"] += usage.total + late
        self.news["wasted_uncounted"] += usage.uncounted + (0 if self._counted else step.outstanding)

    def allows(self, samples: int, certain: int, max_waste: float) -> bool:
        """Whether so many more may be risked: if all that is open were in vain, the share would still be kept.

        `certain` are those asked for on a state that is known to be true.
        """
        at_risk = self.asked - self.used - certain + samples
        return at_risk * (1 - max_waste) <= self.used * max_waste

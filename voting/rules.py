"""When an election stops.

FirstToAheadBy(3)                     the leader is so far ahead of every other candidate
SPRT(p=0.99, error=1e-8)              the same, by the lead that such samples need for such an error
AheadByStakes(3, lead)                the lead depends on the leader
Margins((3, 4, 5))                    the lead depends on the votes against the leader
AdaptiveConsistency(0.95)             the leader is as sure as a flat prior lets it be
Plurality(21)                         the leader of so many ballots, as soon as it is certain

All see a tally only.  ESC (Li et al. 2024, arXiv 2401.10480) is not among them: it votes in windows, so it needs the order of the
ballots; `bench/risk.py` has it for comparison.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import gt
from typing import Any, Generic, Protocol, TypeVar

from surefoot.errors import BadInput

from .bounds import at_most

B = TypeVar("B", bound=Hashable)
ROUNDING = 1e-9
"""A share by which a float may miss what it stands for: a bound that is met exactly counts as met."""


class Rule(Protocol):
    """Looks at a tally, never at a clock or a sample; the same tally always gets the same answer."""

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return the decided ballot, or None while the election is open."""
        ...

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return the fewest further ballots that could decide, never more; 0 once decided.

        An election asks for a winner only when so many more have been counted: too high a number decides too late.
        """
        ...


@dataclass(frozen=True, slots=True)
class FirstToAheadBy:
    """First-to-ahead-by-k: decided when the leader is k ahead of *every* other candidate.

    Meyerson et al. 2025, "Solving a Million-Step LLM Task with Zero Errors" (arXiv 2511.09030), algorithm 2.
    With one candidate this means k ballots; a tie never decides, and k is taken as it is given.
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise BadInput(f"k, the lead that decides an election, must be at least 1, not {self.k!r}")

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return the ballot that leads every other by at least k, or None."""
        found = _lead(tally)
        return found[0] if found[1] >= self.k else None

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return k less the present lead: what an unbroken run for the leader still needs."""
        return max(0, self.k - _lead(tally)[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class SPRT(FirstToAheadBy):
    """Wald's sequential probability ratio test between the leader and any other candidate, for samples of a known `p`.

    First-to-ahead-by-k with k = ceil( ln((1-e)/e) / ln(p/(1-p)) ), at least 1: the likelihood ratio depends on the lead alone, and both
    errors are alike (Wald 1945, Ann. Math. Stat. 16:117, section 3).  No other test with this error takes fewer ballots on average
    at this `p`, but for what rounding k up costs; where steps differ nothing is promised.  `k` is computed.
    """

    k: int = field(init=False)
    p: float
    """Probability that a ballot is right, above 0.5 and below 1."""
    error: float
    """Wanted probability of a wrong decision, above 0 and below 0.5."""

    def __post_init__(self) -> None:
        if not 0.5 < self.p < 1:
            raise BadInput(f"p, how often a ballot is right, lies above 0.5 and below 1, not {self.p!r}")
        if not 0 < self.error < 0.5:
            raise BadInput(
                f"error, how often a decision may be wrong, lies above 0 and below 0.5, not {self.error!r}"
            )
        wanted = math.log1p(-self.error) - math.log(self.error)
        lead = wanted / (math.log(self.p) - math.log1p(-self.p))
        object.__setattr__(self, "k", math.ceil(lead * (1 - ROUNDING)))


@dataclass(frozen=True, slots=True)
class AheadByStakes(FirstToAheadBy, Generic[B]):
    """First-to-ahead-by-k where k depends on the leader: a ballot with more at stake needs a larger lead.

    With one lead for all it is `FirstToAheadBy`.
    """

    lead: Callable[[B], int]
    """The lead that a ballot needs; `k` if that is more."""

    def winner(self, tally: Mapping[Any, int]) -> Any | None:
        """Return the leader if it leads every other ballot by what it needs itself, or None."""
        found = _lead(tally)
        return found[0] if found[0] is not None and found[1] >= self._needed(found[0]) else None

    def wanted(self, tally: Mapping[Any, int]) -> int:
        """Return the fewest further ballots that could decide: for one of those in the tally, or for a new one that needs only k."""
        if self.winner(tally) is not None:
            return 0
        ranked = sorted(tally.values(), reverse=True)
        fewest = self.k + (ranked[0] if ranked else 0)
        for ballot, votes in tally.items():
            best_other = ranked[0] if votes < ranked[0] else ranked[1] if len(ranked) > 1 else 0
            fewest = min(fewest, self._needed(ballot) + best_other - votes)
        return fewest

    def _needed(self, ballot: B) -> int:
        return max(self.k, self.lead(ballot))


@dataclass(frozen=True, slots=True)
class Margins:
    """Decided when the leader is ahead of every other candidate by the lead that so much dissent asks for.

    With one lead it is `FirstToAheadBy`.  Leads that grow with dissent are those of Wald's test where steps are not alike: the more
    ballots are against the leader, the likelier the step is a hard one (`risk_budget` finds them).
    """

    leads: tuple[int, ...]
    """The lead needed while so many ballots are for other candidates; the last one also for any more."""

    def __post_init__(self) -> None:
        if not self.leads or self.leads[0] < 1 or any(map(gt, self.leads, self.leads[1:])):
            raise BadInput(f"leads are at least 1 and never fall as dissent grows, unlike {self.leads!r}")

    def raised(self, by: int) -> "Margins":
        """Return the same with leads that are larger by so much."""
        return Margins(tuple(lead + by for lead in self.leads))

    def needed(self, dissent: int) -> int:
        """Return the lead that decides while so many ballots are against the leader."""
        return self.leads[min(dissent, len(self.leads) - 1)]

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return the leader if it is far enough ahead of every other ballot, or None."""
        found = _lead(tally)
        return found[0] if found[0] is not None and found[1] >= self._needed(tally, found[0]) else None

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return what an unbroken run for the leader still needs: another candidate has more ballots against it, and fewer votes."""
        found = _lead(tally)
        return max(0, self._needed(tally, found[0]) - found[1])

    def _needed(self, tally: Mapping[B, int], leader: B | None) -> int:
        return self.needed(0 if leader is None else sum(tally.values()) - tally[leader])


@dataclass(frozen=True, slots=True)
class AdaptiveConsistency:
    """Decided when the leader is more frequent than the runner-up with so much confidence, their shares having a flat prior.

    The Beta criterion of Adaptive-Consistency (Aggarwal et al. 2023, arXiv 2305.11860, section 3): of the two most frequent ballots, with v1
    and v2 votes, P(share of the first < 1/2) for Beta(v1 + 1, v2 + 1) is P(X <= v2) for X ~ Binomial(v1 + v2 + 1, 1/2).  Other
    candidates do not matter.  The prior knows nothing of the model, so the confidence is not that of a decision: at 0.95 one step in ten
    thousand is wrong at p = 0.9, and one in a hundred million at p = 0.99 (`outlook`).  Its authors take the plurality of 40 ballots where
    nothing is sure; here an election that is not decided within its limit stalls, as with any rule.
    """

    confidence: float = 0.95
    """What the posterior probability of the leader has to reach, above 0.5 and below 1."""

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise BadInput(f"the confidence lies above 0.5 and below 1, not {self.confidence!r}; try 0.95")

    def needed(self, runner_up: int) -> int:
        """Return the fewest votes that decide for a leader whose runner-up has so many."""
        return _sure_from(self.confidence, runner_up)

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return the leader if it is sure enough beside the runner-up, or None."""
        found = _lead(tally)
        return found[0] if found[0] is not None and not self._missing(tally, found[0], found[1]) else None

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return what an unbroken run for the leader still needs: any other has fewer votes and a stronger rival."""
        found = _lead(tally)
        return self._missing(tally, found[0], found[1])

    def _missing(self, tally: Mapping[B, int], leader: B | None, lead: int) -> int:
        votes = 0 if leader is None else tally[leader]
        return max(0, self.needed(votes - lead) - votes)


@dataclass(frozen=True, slots=True)
class Plurality:
    """The most frequent of so many ballots, decided as soon as those that are left cannot change it; a tie goes on until it is broken.

    Self-consistency (Wang et al. 2022, arXiv 2203.11171) without the ballots that no longer matter; for an odd number and two candidates
    first-to-k with k = (ballots + 1) / 2.  It asks for no lead; what it risks at a known p `outlook` says.  Red flags are no ballots.
    """

    ballots: int
    """How many are counted, at most."""

    def __post_init__(self) -> None:
        if self.ballots < 1:
            raise BadInput(f"a plurality is one of 1 ballot or more, not {self.ballots!r}")

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return the leader if none can draw level any more, or None."""
        return None if self.wanted(tally) else _lead(tally)[0]

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return what an unbroken run for the leader still needs: each adds to the lead and is missing to the others."""
        left = max(0, self.ballots - sum(tally.values()))
        return max(0, (left - _lead(tally)[1]) // 2 + 1)


@lru_cache(1024)
def _sure_from(confidence: float, runner_up: int) -> int:
    """Return the fewest votes of a leader that are `confidence` enough beside so many of the runner-up."""
    doubt, gap = (1 - confidence) * (1 + ROUNDING), 1
    while at_most(runner_up, 2 * runner_up + gap + 1, 0.5) > doubt:
        gap *= 2
    enough = range(runner_up + gap // 2, runner_up + gap + 1)
    return enough[
        bisect_left(enough, True, key=lambda votes: at_most(runner_up, votes + runner_up + 1, 0.5) <= doubt)
    ]


def _lead(tally: Mapping[B, int]) -> tuple[B | None, int]:
    """Return the leader and its margin over the runner-up (0 for a tie or an empty tally)."""
    leader, first, second = None, 0, 0
    for ballot, votes in tally.items():
        if votes > first:
            leader, first, second = ballot, votes, first
        elif votes > second:
            second = votes
    return leader, first - second

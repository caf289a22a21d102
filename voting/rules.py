"""When an election stops."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from operator import gt
from typing import Any, Generic, Protocol, TypeVar

from surefoot.errors import BadInput

B = TypeVar("B", bound=Hashable)


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


def _lead(tally: Mapping[B, int]) -> tuple[B | None, int]:
    """Return the leader and its margin over the runner-up (0 for a tie or an empty tally)."""
    leader, first, second = None, 0, 0
    for ballot, votes in tally.items():
        if votes > first:
            leader, first, second = ballot, votes, first
        elif votes > second:
            second = votes
    return leader, first - second

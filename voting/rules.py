"""When an election stops."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from surefoot.errors import BadInput

B = TypeVar("B", bound=Hashable)


class Rule(Protocol):
    """Looks at a tally, never at a clock or a sample; the same tally always gets the same answer."""

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return the decided ballot, or None while the election is open."""
        ...

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return the fewest further ballots that could decide; 0 once decided."""
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


def _lead(tally: Mapping[B, int]) -> tuple[B | None, int]:
    """Return the leader and its margin over the runner-up (0 for a tie or an empty tally)."""
    leader, first, second = None, 0, 0
    for ballot, votes in tally.items():
        if votes > first:
            leader, first, second = ballot, votes, first
        elif votes > second:
            second = votes
    return leader, first - second

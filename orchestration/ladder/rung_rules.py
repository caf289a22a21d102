"""When the elections of a ladder stop."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from surefoot.voting.bounds import binomial_lower
from surefoot.voting.rules import AheadByStakes, FirstToAheadBy, Rule

B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Twice:
    """Decided when `rule` is, and the leader has twice the votes of every other candidate.

    A mistake that is repeated in less than two thirds of the samples, against one right answer, never gets there.
    """

    rule: Rule

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return what `rule` decides, if it has twice the votes of the runner-up; else None."""
        found = self.rule.winner(tally)
        return None if found is None or self._missing(tally) > 0 else found

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return what either still needs, whichever is more."""
        return max(self.rule.wanted(tally), self._missing(tally))

    def _missing(self, tally: Mapping[B, int]) -> int:
        first, second = ([*sorted(tally.values(), reverse=True), 0, 0])[:2]
        return max(0, 2 * second - first)


@dataclass(frozen=True, slots=True)
class Pooled:
    """Decided by `rule` on new ballots alone, or, if these agree with `earlier` ones better than chance, on all of them.

    They agree if the share of new ballots for the earlier leader is above one in the number of candidates, at 95 % confidence
    (`binomial_lower`): five of five, where there are two candidates, are the fewest that tell.
    """

    rule: Rule
    earlier: Mapping[Any, int]

    def winner(self, tally: Mapping[B, int]) -> B | None:
        """Return what the new ballots decide, or else all ballots if they may be pooled; None while neither does."""
        found = self.rule.winner(tally)
        if found is None and self._agree(tally):
            return self.rule.winner(self._all(tally))
        return found

    def wanted(self, tally: Mapping[B, int]) -> int:
        """Return the fewest further ballots after which either could decide."""
        if self.winner(tally) is not None:
            return 0
        return max(1, min(self.rule.wanted(tally), self.rule.wanted(self._all(tally))))

    def _all(self, tally: Mapping[B, int]) -> Mapping[B, int]:
        return Counter(self.earlier) + Counter(tally)

    def _agree(self, tally: Mapping[B, int]) -> bool:
        votes = sum(tally.values())
        if not votes or not self.earlier:
            return False
        leader = max(self.earlier, key=lambda ballot: self.earlier[ballot])
        candidates = max(2, len({*self.earlier, *tally}))
        return binomial_lower(tally.get(leader, 0), votes) > 1 / candidates


def with_lead(rule: Rule, k: int) -> Rule:
    """Return first-to-ahead-by-k with this k; with the stakes of `rule`, if it knows some."""
    return replace(rule, k=k) if isinstance(rule, AheadByStakes) else FirstToAheadBy(k)

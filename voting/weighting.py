"""Votes that weigh differently.  A weighted vote is an opinion, never an election's decision: it bounds no risk."""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from surefoot.errors import BadInput

B = TypeVar("B", bound=Hashable)


@dataclass(frozen=True, slots=True)
class WeightedVote(Generic[B]):
    """What weighted votes came to."""

    answer: B
    """The heaviest; among equals the one that was named first."""
    share: float
    """Its part of the whole weight."""
    weights: Mapping[B, float]


def weighted(votes: Iterable[tuple[B, float]]) -> WeightedVote[B]:
    """Return the answer with the greatest sum of weights, V(a) = sum of the weights that voted for a.

    Raises `BadInput` if there is no vote, or a weight that is not a number above 0.
    """
    weights: dict[B, float] = {}
    for answer, weight in votes:
        if not 0 < weight < math.inf:
            raise BadInput(f"the weight of a vote is a number above 0, not {weight!r}")
        weights[answer] = weights.get(answer, 0.0) + weight
    if not weights:
        raise BadInput("there is no vote to weigh: draw samples, or find out why none of them was valid")
    answer = max(weights, key=weights.__getitem__)
    return WeightedVote(answer, weights[answer] / math.fsum(weights.values()), weights)

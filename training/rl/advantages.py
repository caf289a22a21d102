"""Advantages of a batch of responses, some a question, and which questions tell anything."""

import math
from collections.abc import Sequence
from typing import Literal

from surefoot.errors import BadInput

Normalisation = Literal["batch", "group", "none"]

TINY = 1e-4
"""Added to a deviation, as TRL does."""


def advantages(rewards: Sequence[float], group: int, normalisation: Normalisation) -> list[float]:
    """Return how much better each response is than the others to its question, `group` responses one after the other.

    From each reward the mean of its group is taken.  `none`: that is all (Dr. GRPO).  `group`: it is divided by the standard deviation of the
    group's rewards (GRPO); a group of which one in eight is right weighs as much as one of which half are.  `batch`: by the
    standard deviation of what was got for the whole batch (DLER, arXiv 2510.15110, section 3; its code weighs long responses more).
    Raises `BadInput` for rewards that are no whole groups.
    """
    if group < 2 or len(rewards) % group:
        raise BadInput(f"groups have 2 responses or more each, not {len(rewards)} in groups of {group!r}")
    centred: list[float] = []
    for first in range(0, len(rewards), group):
        own = rewards[first : first + group]
        mean = math.fsum(own) / group
        spread = _deviation(own) + TINY if normalisation == "group" else 1.0
        centred += [(reward - mean) / spread for reward in own]
    if normalisation != "batch" or not centred:
        return centred
    spread = _deviation(centred) + TINY
    return [value / spread for value in centred]


def telling(rewards: Sequence[float], group: int) -> list[int]:
    """Return the numbers of the groups whose rewards differ: all others have no advantages, and move no weight."""
    starts = range(0, len(rewards), group)
    return [number for number, first in enumerate(starts) if len(set(rewards[first : first + group])) > 1]


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))

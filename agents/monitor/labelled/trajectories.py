"""Synthetic trajectories with labels, to measure scorers of trajectories.

The labels come from the stories, in the rubric's words, not from the thresholds of `signals`: some stories are told in ways that
the signals are known not to see, and the clean ones come as close to each pattern as the rubric allows.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, get_args

from surefoot.agents.monitor.signals import Pattern
from surefoot.agents.monitor.trajectory import Trajectory

from .stories import GROUPS
from .teller import Teller

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
EACH = 20
"""Trajectories of each group; of the clean ones there are twice as many."""


class Labelled(NamedTuple):
    """A trajectory, and what is wrong with it."""

    story: str
    """Its group, and which of the group's stories it tells."""
    trajectory: Trajectory
    patterns: frozenset[Pattern]


class PatternScore(NamedTuple):
    """How well a pattern is found."""

    pattern: Pattern
    there: int
    hits: int
    false_alarms: int

    @property
    def precision(self) -> float | None:
        """Share of alarms that are right; None without alarms."""
        alarms = self.hits + self.false_alarms
        return self.hits / alarms if alarms else None

    @property
    def recall(self) -> float | None:
        """Share of those there that are found; None if none is."""
        return self.hits / self.there if self.there else None


def grade(
    truth: Sequence[Collection[str]], found: Sequence[Collection[str] | None]
) -> tuple[PatternScore, ...]:
    """Compare what is there with what was found, trajectory by trajectory; one that could not be read (None) is left out."""
    read = [(there, seen) for there, seen in zip(truth, found, strict=True) if seen is not None]
    grades = []
    for pattern in PATTERNS:
        pairs = [(pattern in there, pattern in seen) for there, seen in read]
        there = sum(is_there for is_there, _ in pairs)
        grades.append(PatternScore(pattern, there, pairs.count((True, True)), pairs.count((False, True))))
    return tuple(grades)


def labelled(seed: int = 0, each: int = EACH) -> Iterator[Labelled]:
    """Yield the set of a seed: `each` trajectories of every pattern, as many merely persistent ones, twice as many clean."""
    rng = random.Random(seed)
    for group, pattern, stories in GROUPS:
        for number in range(each * (2 if group == "clean" else 1)):
            story = stories[number % len(stories)]
            teller = Teller(rng)
            story(teller)
            issue = f"{teller.about} does not do what it should. Find out why and repair it."
            told = Trajectory(issue, tuple(teller.turns), None, "synthetic")
            yield Labelled(f"{group}: {story.__name__[1:]}", told, frozenset((pattern,) if pattern else ()))

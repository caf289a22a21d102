"""How far ahead it pays to ask: the arithmetic of speculative decoding (`surefoot.models.draft_length`), with everything in it measured."""

from dataclasses import dataclass, field

from surefoot.models.draft_length import best_length, expected_runs

POSITIONS = 64
"""Acceptance is measured apart for so many distances from the last decided step; those beyond share the last one."""
PRIOR = 4.0
"""A position counts as this many observations of the mean over all positions, and the mean of as many of 0.9."""
PRIOR_ACCEPTANCE = 0.9
MEMORY = 2000.0
"""Observations after which an old one has lost most of its weight: a task's later part may be harder to guess."""
CALLS = 200.0
"""The same for the times of the calls to the model."""
ENOUGH = 0.99
"""Where a server has room to spare every further step ahead helps a little; what it risks is not worth the last percent."""


@dataclass(slots=True)
class Acceptance:
    """Shares of proposed steps that turned out right, by distance from the last decided step."""

    right: list[float] = field(default_factory=lambda: [0.0] * POSITIONS)
    seen: list[float] = field(default_factory=lambda: [0.0] * POSITIONS)

    def learn(self, distance: int, right: bool) -> None:
        """Count one proposal whose predecessors were right; `distance` counts from 1."""
        place = min(distance, POSITIONS) - 1
        # Halved now and then instead of a little each time: as good a memory, for no work at most steps.
        if self.seen[place] > MEMORY:
            self.right[place] /= 2
            self.seen[place] /= 2
        self.seen[place] += 1
        self.right[place] += right

    @property
    def mean(self) -> float:
        """The share over all distances, drawn towards the prior while little is known."""
        return (sum(self.right) + PRIOR * PRIOR_ACCEPTANCE) / (sum(self.seen) + PRIOR)

    def runs(self, depth: int) -> list[float]:
        """Return the expected runs for the depths 0 to `depth`, with each distance's own acceptance."""
        mean = self.mean
        places = (min(distance, POSITIONS - 1) for distance in range(depth))
        return expected_runs(
            (self.right[place] + PRIOR * mean) / (self.seen[place] + PRIOR) for place in places
        )


@dataclass(slots=True, kw_only=True)
class Pace:
    """Seconds that a call takes as a line over the samples in flight: what a call costs at least, and what each sample adds.

    A server with room to spare answers more samples in the same time; one whose cores are all busy does not.
    """

    weight: float = 0.0
    samples: float = 0.0
    seconds: float = 0.0
    squares: float = 0.0
    products: float = 0.0

    def learn(self, in_flight: int, seconds: float) -> None:
        """Take one answered call into account."""
        if self.weight > CALLS:
            for name in self.__slots__:
                setattr(self, name, getattr(self, name) / 2)
        self.weight += 1
        self.samples += in_flight
        self.seconds += seconds
        self.squares += in_flight * in_flight
        self.products += in_flight * seconds

    def line(self) -> tuple[float, float]:
        """Return (seconds at least, seconds a sample), by least squares; (1, 0) while nothing is known.

        No more than half of a call's time is put down to its samples: calls of nearly one size tell little about others, and a
        run that stopped asking ahead on their word would never hear of others.
        """
        spread = self.weight * self.squares - self.samples * self.samples
        # Calls of one size alone have no slope.
        if spread <= 0 or self.seconds <= 0:
            return 1.0, 0.0
        slope = (self.weight * self.products - self.samples * self.seconds) / spread
        slope = min(max(slope, 0.0), self.seconds / self.samples / 2)
        return (self.seconds - slope * self.samples) / self.weight, slope


def best_depth(acceptance: Acceptance, pace: Pace, per_step: int, capacity: int, most: int) -> int:
    """Return the smallest depth that comes to `ENOUGH` of the most useful steps a second.

    `per_step` is how many samples a step takes at least, `capacity` the most in flight, `most` the largest depth.
    """
    least_s, sample_s = pace.line()
    seconds = [least_s + sample_s * min(per_step * (depth + 1), capacity) for depth in range(most + 1)]
    # The first that is good enough, not the best: depth that hardly helps is all risk.
    return best_length(acceptance.runs(most), seconds, ENOUGH)

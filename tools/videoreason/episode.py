"""A drawn sequence of operations, of any length, in little memory."""

import random
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from surefoot.errors import BadInput

from .catalogue import demo_named

BLOCK = 256
"""Operations that are drawn from one seed: what lies between two states that are kept."""
MOST_OPERATIONS = 10_000_000


class EpisodeStep(NamedTuple):
    """One operation, and the state before it."""

    state: Any
    operation: Any


class Episode:
    """What happens in a video: the same arguments make the same operations, in any order of asking.

    One state for each `BLOCK` operations is kept, up to the furthest that was asked for, and two blocks of operations.
    """

    def __init__(self, demo: str, size: int, operations: int, seed: int) -> None:
        self.demo = demo_named(demo)
        if not 1 <= operations <= MOST_OPERATIONS:
            raise BadInput(f"an episode has 1 to {MOST_OPERATIONS:,} operations, not {operations!r}")
        self.size, self.operations, self.seed = self.demo.check_size(size), operations, seed
        self._starts = [self.demo.start(size, self._rng("start"))]
        self._block = lru_cache(2)(self._drawn)

    def state(self, number: int) -> Any:
        """Return the state after so many operations, from 0 to all of them."""
        if number == self.operations:
            last = self.step(number - 1)
            return self.demo.after(*last)
        return self.step(number).state

    def step(self, number: int) -> EpisodeStep:
        """Return an operation, counted from 0, and the state before it."""
        if not 0 <= number < self.operations:
            raise BadInput(f"the operations are numbered from 0 to {self.operations - 1}, not {number!r}")
        block, place = divmod(number, BLOCK)
        while len(self._starts) <= block:
            last = self._drawn(len(self._starts) - 1)[-1]
            self._starts.append(self.demo.after(*last))
        return self._block(block)[place]

    def __iter__(self) -> Iterator[EpisodeStep]:
        return map(self.step, range(self.operations))

    def _drawn(self, block: int) -> tuple[EpisodeStep, ...]:
        """Draw the operations of a block whose first state is known."""
        rng, state, steps = self._rng(block), self._starts[block], []
        for _ in range(BLOCK):
            operation = self.demo.draw(state, rng)
            steps.append(EpisodeStep(state, operation))
            state = self.demo.after(state, operation)
        return tuple(steps)

    def _rng(self, part: Hashable) -> random.Random:
        return random.Random(f"{self.demo.name} {self.size} {self.seed} {part}")

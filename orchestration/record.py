"""One decided step, as the journal keeps it and as an event tells it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from surefoot.voting.samples import NOTHING, Usage

NO_FLAGS: Mapping[str, int] = MappingProxyType({})


class RungTally(NamedTuple):
    """What one rung of the ladder took, and found, at a step."""

    rung: str
    samples: int
    votes: tuple[tuple[Any, int], ...]
    """The candidates of its own election and their votes; empty for one that holds none."""


class Record(NamedTuple):
    """What was decided at a step, and on what grounds; plain values throughout."""

    step: int
    answer: Any
    """The winner, a plain value."""
    votes: int
    """Ballots for the winner; none where the world or a ladder has decided, or the verdict was reused."""
    others: tuple[tuple[Any, int], ...] = ()
    """The losing candidates and their votes."""
    flags: Mapping[str, int] = NO_FLAGS
    """Samples thrown away, by reason."""
    usage: Usage = NOTHING
    rungs: tuple[RungTally, ...] = ()
    """What a step has climbed that its own election left undecided; the last one decided.  Their votes are none of those above."""
    reused: int | None = None
    """The earlier step, which asked the same, whose verdict was taken; None if it is the step's own."""

    @property
    def against(self) -> int:
        """Votes for the losing candidates."""
        return sum([votes for _, votes in self.others]) if self.others else 0

"""One decided step, as the journal keeps it and as an event tells it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from surefoot.voting.samples import NOTHING, Usage

NO_FLAGS: Mapping[str, int] = MappingProxyType({})


class Record(NamedTuple):
    """What was decided at a step, and on what grounds; plain values throughout."""

    step: int
    answer: Any
    """The winner, a plain value."""
    votes: int
    """Ballots for the winner."""
    others: tuple[tuple[Any, int], ...] = ()
    """The losing candidates and their votes."""
    flags: Mapping[str, int] = NO_FLAGS
    """Samples thrown away, by reason."""
    usage: Usage = NOTHING

    @property
    def against(self) -> int:
        """Votes for the losing candidates."""
        return sum([votes for _, votes in self.others]) if self.others else 0

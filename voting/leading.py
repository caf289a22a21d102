"""An election whose ballots are steps of their own: held again from the candidates so far, in order."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

from .election import Election
from .flags import RedFlag
from .rules import FirstToAheadBy

B = TypeVar("B", bound=Hashable)
NO_BALLOT = RedFlag("no ballot")


def leading(done: Sequence[B | None], votes: int, candidates: int) -> B | None:
    """Return what leads everything else by `votes`; None while it is open.

    `done` is what each candidate did, None for one that is no ballot.  Raises `Stalled` once the candidates that are left cannot decide it.
    """
    election: Election[B] = Election(FirstToAheadBy(votes), candidates)
    for each in done:
        for number in election.submit(1):
            election.cast(number, NO_BALLOT if each is None else each)
        if election.decided:
            return election.verdict().winner
    return None if election.wanted else election.verdict().winner

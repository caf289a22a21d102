"""The running tally of one step: ballots in, in any order; a verdict out, always the same one."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from surefoot.errors import BadInput, SurefootError

from .flags import RedFlag
from .rules import Rule
from .samples import Sample

B = TypeVar("B", bound=Hashable)


class Verdict(NamedTuple, Generic[B]):
    """What an election decided, and on what grounds."""

    winner: B
    tally: Mapping[B, int]
    """Votes for every candidate, the winner included."""
    flags: Mapping[str, int]
    """Samples thrown away among those counted, by reason."""

    @property
    def votes(self) -> int:
        """Ballots counted."""
        return sum(self.tally.values())

    @property
    def samples(self) -> int:
        """Ballots and red flags counted."""
        return self.votes + sum(self.flags.values())

    @property
    def contested(self) -> bool:
        """Whether a ballot differed from the winner."""
        return len(self.tally) > 1


class Stalled(SurefootError):
    """An election ended without a decision: its samples are used up, or its ballots are too divided.  There is no winner."""

    def __init__(
        self,
        tally: Mapping[Any, int],
        flags: Mapping[str, int],
        examples: Sequence[Sample] = (),
        *,
        given_up: bool = False,
    ) -> None:
        self.given_up = given_up
        """Whether its ballots were too divided, so that no larger limit would help."""
        self.tally = tally
        self.flags = flags
        self.examples = examples
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        votes = ", ".join(f"{ballot!r}: {count}" for ballot, count in self.tally.items()) or "no valid ballot"
        flags = ", ".join(f"{reason}: {count}" for reason, count in self.flags.items()) or "none"
        drawn = sum(self.tally.values()) + sum(self.flags.values())
        if self.given_up:
            against = sum(self.tally.values()) - max(self.tally.values(), default=0)
            many = "ballot is" if against == 1 else "ballots are"
            return f"given up in {drawn} samples (votes: {votes}; red flags: {flags}), as {against} {many} not for the one that leads"
        return f"no ballot got far enough ahead in {drawn} samples (votes: {votes}; red flags: {flags})"


class Election(Generic[B]):
    """Counts the outcomes of numbered samples in the order in which they were *submitted*.

    Completion order must not matter: short answers finish first, so counting them first would bias the vote, and a
    replay would decide differently.  An outcome that arrives early waits for those submitted before it; one that
    arrives after the decision is ignored.

        election = Election(FirstToAheadBy(3), limit=100)
        while wanted := election.wanted:
            for number in election.submit(wanted):
                election.cast(number, outcome_of_sample(number))
        verdict = election.verdict()

    With a `dissent` it is given up as soon as so many ballots are against the leader: nothing further is counted.
    """

    __slots__ = (
        "_counted", "_dissent", "_early", "_flags", "_given_up", "_limit", "_missing", "_rule", "_submitted",
        "_tally", "_winner",
    )  # fmt: skip

    def __init__(self, rule: Rule, limit: int, dissent: int | None = None) -> None:
        self._rule = rule
        self._limit = limit
        self._dissent = dissent
        self._given_up = False
        self._tally: dict[B, int] = {}
        self._flags: dict[str, int] = {}
        self._early: dict[int, B | RedFlag] = {}
        self._submitted = 0
        self._counted = 0
        self._missing = 0
        """With fewer further ballots the election cannot be decided, as far as the rule has said."""
        self._winner: B | None = None

    @property
    def decided(self) -> bool:
        """Whether there is a winner."""
        return self._winner is not None

    @property
    def wanted(self) -> int:
        """The fewest samples to submit now so that the election can be decided; 0 once it is.

        Raises `Stalled` when the limit leaves no room for them, or once it is given up.
        """
        if self._winner is not None:
            return 0
        if self._given_up:
            raise Stalled(dict(self._tally), dict(self._flags), given_up=True)
        self._missing = self._rule.wanted(self._tally)
        wanted = self._missing - (self._submitted - self._counted)
        if wanted <= 0:
            return 0
        if self._submitted + wanted > self._limit:
            raise Stalled(dict(self._tally), dict(self._flags))
        return wanted

    def submit(self, count: int) -> range:
        """Hand out the numbers of the next `count` samples, no further than the limit."""
        first = self._submitted
        self._submitted = min(first + count, self._limit)
        return range(first, self._submitted)

    def cast(self, number: int, outcome: B | RedFlag) -> bool:
        """Record what sample `number` turned out to be, a ballot or a red flag; return whether there is a winner.

        Raises `BadInput` for a number that was not handed out and for None, which would never win.
        """
        if number >= self._submitted or number < 0:
            raise BadInput(f"sample {number!r} was not submitted; cast the numbers that submit() handed out")
        if outcome is None:
            raise BadInput(
                f"sample {number!r} came as None; a reader that finds no answer raises NotAnAnswer"
            )
        if number != self._counted:
            self._early[number] = outcome
            return self._winner is not None
        next_one: B | RedFlag | None = outcome
        while next_one is not None and self._winner is None and not self._given_up:
            self._counted += 1
            if isinstance(next_one, RedFlag):
                self._flags[next_one.reason] = self._flags.get(next_one.reason, 0) + 1
            else:
                self._tally[next_one] = self._tally.get(next_one, 0) + 1
                self._missing -= 1
                if self._missing <= 0:
                    self._winner = self._rule.winner(self._tally)
                if self._dissent is not None and self._winner is None:
                    against = sum(self._tally.values()) - max(self._tally.values())
                    self._given_up = against >= self._dissent
            next_one = self._early.pop(self._counted, None) if self._early else None
        return self._winner is not None

    def verdict(self) -> Verdict[B]:
        """Return the decision; raises `Stalled` if there is none."""
        if self._winner is None:
            raise Stalled(dict(self._tally), dict(self._flags), given_up=self._given_up)
        return Verdict(self._winner, self._tally, self._flags)

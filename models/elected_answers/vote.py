"""One request, one election: the engine's own, over samples of a model."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from surefoot.models.base import Ask, Model
from surefoot.voting.election import Election, Stalled, Verdict
from surefoot.voting.flags import PAPER, Reading, RedFlag, screen
from surefoot.voting.reliability import vote_risk
from surefoot.voting.rules import FirstToAheadBy
from surefoot.voting.samples import NOTHING, Sample, Usage

from .ballots import Ballot, Ballots, Prose

EXAMPLES = 5
"""Samples that a stall has of its leading ballots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What is asked for one answer, and how it is elected."""

    ask: Callable[[int], Ask]
    """Returns what is asked for sample number so many."""
    ballots: Ballots
    """Reads the samples; of this request alone."""
    votes: int
    """The lead that decides: first-to-ahead-by-`votes`."""
    limit: int
    """Most samples; a vote that is open then is stalled."""
    accuracy: float | None = None
    """How often one sample is right, if that was measured."""

    @property
    def lead(self) -> int:
        """The lead that decides this one: where nothing is compared, one good sample."""
        return 1 if self.ballots.equality == "none" else self.votes


@dataclass(slots=True)
class Vote:
    """What a request came to, and what it took; also filled in where it came to nothing."""

    poll: Poll
    usage: Usage = NOTHING
    """Of all samples together."""
    drawn: int = 0
    """Samples, those that were flagged included."""
    tally: Mapping[Ballot, int] = field(default_factory=dict)
    """Votes of each ballot, decided or not."""
    flags: dict[str, int] = field(default_factory=dict)
    """Samples that were thrown away, by reason."""
    winner: Sample | None = None
    """The first sample that cast the winning ballot; where there was no vote, the first that was not thrown away."""
    number: int | None = None
    """The winner's number."""
    verdict: Verdict[Ballot] | None = None
    """None where there was no vote."""
    candidates: dict[Ballot, tuple[int, Sample]] = field(default_factory=dict)
    """The first sample of each ballot, and its number."""

    @property
    def decided_by(self) -> str | None:
        """By what the answers were compared; None if no vote decided: one sample has nobody to contradict it."""
        if self.verdict is None or self.poll.lead == 1:
            return None
        return self.verdict.winner.kind

    @property
    def margin(self) -> int | None:
        """The winner's lead over the runner-up; None where there was no vote."""
        if self.decided_by is None:
            return None
        first, *others = sorted(self.tally.values(), reverse=True)
        return first - max(others, default=0)

    @property
    def risk(self) -> float | None:
        """The probability that the answer is wrong, given its margin and how often one sample is right; None if that is not known."""
        accuracy, margin = self.poll.accuracy, self.margin
        return None if accuracy is None or margin is None else vote_risk(accuracy, margin)

    def summary(self) -> dict[str, Any]:
        """Return what there is to be said of it, as JSON has it.

        | field | what |
        | --- | --- |
        | `vote` | by what the answers were compared; None: no vote is claimed |
        | `votes` | the lead that decides |
        | `tally` | votes of each ballot, the winner's first |
        | `margin` | its lead over the next |
        | `samples` | samples drawn and paid for |
        | `flags` | samples among them that were thrown away, by reason |
        | `risk` | probability that the answer is wrong, from the margin; None without `Poll.accuracy` |
        | `uncounted` | samples of which nobody said what they cost |
        """
        voted = self.poll.lead > 1 and (self.decided_by is not None or self.verdict is None)
        return {
            "vote": self.decided_by,
            "votes": self.poll.lead,
            "tally": sorted(self.tally.values(), reverse=True) if voted else [],
            "margin": self.margin,
            "samples": self.drawn,
            "flags": self.flags,
            "risk": self.risk,
            "uncounted": self.usage.uncounted,
        }

    async def decide(self, model: Model) -> None:
        """Draw samples until the election is decided; raises `AnswerStalled` if it is not, and what `Model.sample` raises."""
        poll = self.poll
        election: Election[Ballot] = Election(FirstToAheadBy(poll.lead), poll.limit)
        try:
            while wanted := election.wanted:
                # Prose is not voted on: where the first answer has to tell, no others are paid for beside it.
                numbers = election.submit(1 if poll.ballots.open else wanted)
                asks = [poll.ask(number) for number in numbers]
                async with aclosing(model.sample(asks)) as samples:
                    async for position, sample in samples:
                        election.cast(numbers[position], self._read(numbers[position], sample))
            self.verdict = election.verdict()
        except Prose:
            return
        except Stalled as stall:
            self.tally, self.flags = stall.tally, dict(stall.flags)
            raise AnswerStalled(self) from None
        self.tally, self.flags = self.verdict.tally, dict(self.verdict.flags)
        self.number, self.winner = self.candidates[self.verdict.winner]

    def _read(self, number: int, sample: Sample) -> Ballot | RedFlag:
        """Return what a sample votes for, or why it does not; raises `Prose` for the first that is good and of no type."""
        self.usage += sample.usage
        self.drawn += 1
        try:
            outcome = screen(Reading(sample, self.poll.ballots.read), PAPER)
        except Prose:
            self.number, self.winner = number, sample
            raise
        if isinstance(outcome, RedFlag):
            self.flags[outcome.reason] = self.flags.get(outcome.reason, 0) + 1
        elif outcome not in self.candidates or number < self.candidates[outcome][0]:
            self.candidates[outcome] = number, sample
        return outcome


class AnswerStalled(Stalled):
    """The vote on one answer ended without a decision; `tally` has the votes of each ballot, `examples` the first samples of those that lead."""

    def __init__(self, vote: Vote) -> None:
        self.lead = vote.poll.lead
        """The votes by which no answer leads."""
        self.drawn = vote.drawn
        """Samples, those that were thrown away included."""
        self.usage = vote.usage
        """What all samples have cost."""
        leading = sorted(vote.tally, key=vote.tally.__getitem__, reverse=True)[:EXAMPLES]
        super().__init__(vote.tally, vote.flags, [vote.candidates[ballot][1] for ballot in leading])

    def _sentence(self) -> str:
        flags = ", ".join(f"{reason}: {count}" for reason, count in sorted(self.flags.items())) or "none"
        return (
            f"no answer leads by {self.lead} votes after {self.drawn} samples (different ones: {len(self.tally)}; "
            f"thrown away: {flags}); ask for fewer votes, a higher limit, or another equality"
        )

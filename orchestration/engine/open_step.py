"""A step whose election is open: what to ask for it, and what became of the samples."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from surefoot.agents.tasks.guarded import screened
from surefoot.agents.tasks.task import Task
from surefoot.models.base import Ask, Prompt, Sampling
from surefoot.voting.election import Election, Stalled, Verdict
from surefoot.voting.flags import RedFlag
from surefoot.voting.rules import Rule
from surefoot.voting.samples import Sample, Usage

from .hypothetical import hypothetically

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

EXAMPLES = 5
"""Samples shown when an election stalls."""

_SEED_MASK = (1 << 63) - 1


class StepStalled(Stalled):
    """A step that could not be decided, with the last few samples that were drawn for it."""

    def __init__(self, step: int, stall: Stalled, examples: Sequence[Sample]) -> None:
        super().__init__(stall.tally, stall.flags, examples)
        self.step = step

    @property
    def sentence(self) -> str:
        """Where, on what grounds, and what to do."""
        what = super().sentence
        return f"step {self.step} stalled: {what}; look at the samples, then resume with another model or a larger limit"


@dataclass(frozen=True, slots=True)
class Terms(Generic[S, A]):
    """What decides a step besides the model: the same terms, state and samples give the same verdict."""

    task: Task[S, A]
    rule: Rule
    sampling: Sampling
    limit: int = 100
    """Samples that one election may use before it stalls."""
    spare: int = 0
    """Samples asked for beyond the fewest that could decide."""
    seed: int = 0

    @property
    def fewest(self) -> int:
        """Samples that a step asks for at first."""
        return self.rule.wanted({}) + self.spare


class Drawn(NamedTuple):
    """A sample with its number in the election and what became of it."""

    number: int
    sample: Sample
    outcome: Any


class Decision(NamedTuple, Generic[A]):
    """A verdict, and the samples that it rests on."""

    verdict: Verdict[A]
    drawn: Sequence[Drawn]
    usage: Usage


class OpenStep(Generic[S, A]):
    """One step from its first ask to its verdict.

    Whoever runs it sends `asks()`, casts every sample that comes back, and asks again once nothing is outstanding, until
    the election is decided.  Nothing but its state and the terms enters into the asks, whenever they are sent.
    """

    __slots__ = (
        "_outcomes", "_prompts", "_reached", "_refused", "_terms", "after", "disputed", "distance", "drawn", "election", "failure",
        "outstanding", "squashed", "state", "step",
    )  # fmt: skip

    def __init__(self, terms: Terms[S, A], step: int, state: S, after: S | None = None) -> None:
        self.step = step
        self.state = state
        self.after = after
        """The state that is expected next, if anybody has said so."""
        self.election: Election[A] = Election(terms.rule, terms.limit)
        self.outstanding = 0
        """Samples that were asked for and have not come back."""
        self.drawn: list[Drawn] = []
        self.disputed = False
        """Whether samples that have come back differ in what they turned out to be, those not yet counted included."""
        self.failure: Exception | None = None
        """Why it will not be decided; raised only when its turn comes."""
        self.distance = 0
        """How many steps ahead of the decided ones it was opened."""
        self.squashed = False
        """Whether its state did not come true."""
        self._terms = terms
        self._refused: Sequence[int] = ()
        self._prompts: dict[int, tuple[Prompt, str | None]] = {}
        self._outcomes: dict[tuple[Any, ...], A | RedFlag] = {}
        self._reached: dict[A, S | None] = {}

    @property
    def decided(self) -> bool:
        """Whether there is a winner."""
        return self.election.decided

    @property
    def over(self) -> bool:
        """Whether nothing more can come of it: it is decided, or it has failed."""
        return self.failure is not None or self.election.decided

    @property
    def refused(self) -> bool:
        """Whether there are samples that were asked for in vain and are to be asked for once more."""
        return bool(self._refused)

    @property
    def asked(self) -> int:
        """Samples asked for so far."""
        return len(self.drawn) + self.outstanding

    @property
    def fewest(self) -> int:
        """Samples that are asked for at a time, as long as nobody disagrees."""
        return self._terms.fewest

    @property
    def usage(self) -> Usage:
        """What the samples that have come back add to the bill."""
        return Usage.of_all([entry.sample.usage for entry in self.drawn])

    def asks(self) -> list[tuple[int, Ask]]:
        """Return the next samples to ask for, with their numbers; none if the step is over.

        Those that were refused come first, by themselves.  Raises `StepStalled` when the limit leaves no room for them.
        """
        if self._refused:
            refused, self._refused = self._refused, ()
            return self._numbered(refused)
        try:
            wanted = self.election.wanted
        except Stalled as stall:
            examples = [entry.sample for entry in self.drawn[-EXAMPLES:]]
            raise StepStalled(self.step, stall, examples) from None
        if not wanted:
            return []
        numbers = self.election.submit(wanted + self._terms.spare)
        return self._numbered(numbers)

    def refuse(self, numbers: Sequence[int]) -> None:
        """Take back that these samples were asked for: the model did not answer."""
        self.outstanding -= len(numbers)
        self._refused = (*self._refused, *numbers)

    def _numbered(self, numbers: Sequence[int]) -> list[tuple[int, Ask]]:
        asks = [(number, self._ask(number)) for number in numbers]
        self.outstanding += len(asks)
        return asks

    def cast(self, number: int, sample: Sample) -> None:
        """Count what sample `number` turned out to be."""
        outcome = self._outcome(sample, number)
        self.outstanding -= 1
        self.election.cast(number, outcome)
        self.drawn.append(Drawn(number, sample, outcome))
        first = self.drawn[0].outcome
        if outcome is not first and outcome != first:
            self.disputed = True

    def expected(self) -> Counter[S]:
        """Return the states that the ballots so far lead to, by ballots; the winner's alone once it is decided."""
        votes: Mapping[A, int]
        if self.election.decided:
            votes = {self.election.verdict().winner: 1}
        else:
            ballots = (entry.outcome for entry in self.drawn)
            votes = Counter(ballot for ballot in ballots if not isinstance(ballot, RedFlag))
        found: Counter[S] = Counter()
        for answer, count in votes.items():
            state = self._leads_to(answer)
            if state is not None:
                found[state] += count
        return found

    def decision(self) -> Decision[A]:
        """Return the verdict; raises the failure if there is one."""
        if self.failure is not None:
            raise self.failure
        return Decision(self.election.verdict(), self.drawn, self.usage)

    def _leads_to(self, answer: A) -> S | None:
        """Return the next state if this answer wins; None if the task cannot say."""
        if answer not in self._reached:
            self._reached[answer] = hypothetically(None, self._terms.task.advance, self.state, answer)
        return self._reached[answer]

    def _ask(self, number: int) -> Ask:
        terms = self._terms
        view = number % terms.task.views
        known = self._prompts.get(view)
        if known is None:
            guess = None
            if self.after is not None:
                guess = hypothetically(None, terms.task.guess, self.state, self.after, view)
            known = self._prompts[view] = terms.task.ask(self.state, view), guess
        prompt, guess = known
        sampling = terms.sampling
        seed = seed_of(terms.seed, self.step, number)
        return Ask(prompt, sampling.temperature_of(number), sampling.max_tokens, seed, guess)

    def _outcome(self, sample: Sample, number: int) -> A | RedFlag:
        """Screen one sample; most samples of a step are the same text, which need not be read again."""
        task, state = self._terms.task, self.state
        view = number % task.views
        key = (view, sample.text, sample.finish, sample.tokens)
        if key not in self._outcomes:
            outcome = screened(task, sample, state, view)
            self._outcomes[key] = outcome
        return self._outcomes[key]


def seed_of(job: int, step: int, number: int) -> int:
    """Return the seed of sample `number` of a step: spread over 63 bits, and the same whenever it is asked for."""
    mixed = (job + 1) * 0x9E3779B97F4A7C15 + (step + 1) * 0xBF58476D1CE4E5B9 + number * 0x94D049BB133111EB
    return (mixed ^ (mixed >> 31)) & _SEED_MASK

"""A step whose election is open: what to ask for it, and what became of the samples.

READY --asks--> ASKED --cast, none outstanding--> READY
                ASKED --cast, a winner--> DECIDED --retire--> RETIRED
                ASKED --refuse--> REFUSED --asks--> ASKED
READY, ASKED --fail--> FAILED              retire raises the failure, and the step stays FAILED
all but RETIRED --squash--> SQUASHED       whatever became of it counts for nothing
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any, Generic, NamedTuple

from surefoot.agents.tasks.guarded import outcome_of
from surefoot.agents.tasks.optional import Acts, Classifies, Guesses, Measures, Offers
from surefoot.agents.tasks.task import A, S, Task
from surefoot.models.base import Ask, Prompt, Sampling
from surefoot.models.offers import Offer
from surefoot.orchestration.journal.group import rung_counts
from surefoot.orchestration.record import RungTally
from surefoot.voting.election import Election, Stalled, Verdict
from surefoot.voting.flags import RedFlag
from surefoot.voting.risk_budget import RiskBudget
from surefoot.voting.rules import FirstToAheadBy, Rule
from surefoot.voting.samples import NOTHING, Sample, Usage

from .hypothetical import hypothetically

EXAMPLES = 5
"""Samples shown when an election stalls."""

_SEED_MASK = (1 << 63) - 1
_RULE = -2
"""The number, of no sample, that a step's rule is drawn with."""


class StepStalled(Stalled):
    """A step that could not be decided, with the last few samples that were drawn for it."""

    def __init__(
        self,
        step: int,
        stall: Stalled,
        examples: Sequence[Sample],
        usage: Usage = NOTHING,
        drawn: "Sequence[Drawn]" = (),
    ) -> None:
        super().__init__(stall.tally, stall.flags, examples, given_up=stall.given_up)
        self.step = step
        self.usage = usage
        """What its samples have cost, those of a ladder included."""
        self.drawn = drawn
        """The samples of its own election."""
        self.rungs: tuple[RungTally, ...] = ()
        """What it has climbed in vain."""
        self.back_to: int | None = None
        """The step from which on the ladder wants the steps decided again; None if it does not."""
        self.candidates: tuple[tuple[Any, int], ...] = ()
        """What a person is to choose from, with the votes of its own election; empty if no person is asked."""

    def cost(self) -> Counter[str]:
        """Return what the job's counters have of a step that was not decided, and that was paid for all the same."""
        count = Counter({**self.usage._asdict(), **{f"flag:{reason}": n for reason, n in self.flags.items()}})
        count.update(rung_counts(self.rungs))
        return count

    @property
    def sentence(self) -> str:
        """Where, on what grounds, and what to do."""
        what = super().sentence
        # One that is given up would be so again, however large the limit.
        more = "" if self.given_up else " or a larger limit"
        return f"step {self.step} stalled: {what}; look at the samples, then resume with another model{more}"


@dataclass(frozen=True, slots=True)
class Terms(Generic[S, A]):
    """What decides a step besides the model: the same terms, state and samples give the same verdict."""

    task: Task[S, A]
    rule: Rule | RiskBudget
    """What decides every step, or says by what each is decided."""
    sampling: Sampling
    _: KW_ONLY
    limit: int = 100
    """Samples that one election may use before it stalls."""
    dissent: int | None = None
    """It stalls, too, as soon as so many ballots are against the leader; None: never."""
    spare: int = 0
    """Samples asked for beyond the fewest that could decide."""
    seed: int = 0
    risk_budget: RiskBudget | None = field(init=False, compare=False)
    """The risk budget, if one says what decides."""
    acting: Acts[S, A] | None = field(init=False, compare=False)
    """The task, if it acts on the world."""
    classifying: Classifies[S] | None = field(init=False, compare=False)
    """The task, if it names kinds of steps."""
    guessing: Guesses[S] | None = field(init=False, compare=False)
    """The task, if it can guess."""
    offering: Offers[S] | None = field(init=False, compare=False)
    """The task, if it lets the model call tools."""
    measuring: Measures[A] | None = field(init=False, compare=False)
    """The task, if its answers keep how long their prompts were."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "risk_budget", self.rule if isinstance(self.rule, RiskBudget) else None)
        object.__setattr__(self, "acting", self.task if isinstance(self.task, Acts) else None)
        object.__setattr__(self, "classifying", self.task if isinstance(self.task, Classifies) else None)
        object.__setattr__(self, "guessing", self.task if isinstance(self.task, Guesses) else None)
        object.__setattr__(self, "offering", self.task if isinstance(self.task, Offers) else None)
        object.__setattr__(self, "measuring", self.task if isinstance(self.task, Measures) else None)

    @property
    def fewest(self) -> int:
        """The fewest samples that a step asks for at first."""
        fewest = self.rule.least if isinstance(self.rule, RiskBudget) else self.rule.wanted({})
        return fewest + self.spare

    def kind_of(self, state: S) -> str:
        """Return the kind of the step at `state`; "" if the task names none."""
        return "" if self.classifying is None else self.classifying.step_kind(state)

    def rule_of(self, state: S, step: int) -> Rule:
        """Return what decides this step, which is known before anybody is asked."""
        if not isinstance(self.rule, RiskBudget):
            return self.rule
        # Drawn by a seed that no sample has: SAME ASKS, whenever the step is opened.
        return self.rule.rule(self.kind_of(state), seed_of(self.seed, step, _RULE) / (_SEED_MASK + 1))


Drawn = tuple[int, Sample, Any]
"""A sample: its number in the election, what came, and what became of it, a ballot or a red flag."""


_Rendered = tuple[Prompt, str | None, Offer | None]
"""What a view is asked: the prompt, a guess, and what may be called."""

_ask = partial(tuple.__new__, Ask)
"""`Ask(...)` of all its fields, as a tuple, in two thirds of the time: every sample needs one."""


class Decision(NamedTuple, Generic[A]):
    """A verdict, and the samples that it rests on."""

    verdict: Verdict[A]
    drawn: Sequence[Drawn]
    usage: Usage
    rungs: tuple[RungTally, ...] = ()
    """What a ladder took to it; empty if the step's own election decided."""

    @property
    def prompt_tokens(self) -> int:
        """How long the longest prompt was, as far as the model says it; 0 if it does not."""
        # Of the samples counted, which are the first ones: who else had come by then is chance.
        counted = self.verdict.samples
        return max(
            (sample.prompt_tokens or 0 for number, sample, _ in self.drawn if number < counted), default=0
        )


class Status(Enum):
    """Where a step stands; see the diagram at the top of the module."""

    READY = auto()
    """Samples are to be asked for; none is outstanding."""
    ASKED = auto()
    """Samples are outstanding, all of them in one call of the model."""
    REFUSED = auto()
    """The model failed in a call in which no other step was awaited: the same samples are to be asked for once more."""
    DECIDED = auto()
    """There is a winner; samples that are still outstanding count for nothing."""
    FAILED = auto()
    """It cannot be decided."""
    SQUASHED = auto()
    """Its state did not come true, its decision is not wanted any more, or a ladder decides it."""
    RETIRED = auto()
    """Its decision has been handed out."""


# By these names, because Python 3.11 takes 0.1 µs for `Status.READY`, and they are needed for every sample.
READY, ASKED, REFUSED, DECIDED, FAILED, SQUASHED, RETIRED = Status


class OpenStep(Generic[S, A]):
    """One step from its first ask to its verdict.

    The caller sends `asks()`, casts every sample that comes back, and asks again once nothing is outstanding,
    until the election is decided.
    """

    __slots__ = (
        "_outcomes", "_prompts", "_reached", "after", "disputed", "distance", "drawn", "due", "election",
        "failure", "numbers", "outstanding", "state", "status", "step", "terms",
    )  # fmt: skip

    def __init__(self, terms: Terms[S, A], step: int, state: S, after: S | None = None) -> None:
        self.terms, self.step, self.state = terms, step, state
        self.after = after
        """The state that is expected next, if there is one."""
        self.status = READY
        """Written by the methods of this class alone."""
        self.numbers: Sequence[int] = ()
        """The samples that are asked for, in the order of the asks; those refused, if the step is."""
        self.outstanding = 0
        """Samples that were asked for and have not come back."""
        self.drawn: list[Drawn] = []
        """In the order of arrival, which is not that of the count."""
        self.disputed = False
        """Whether samples that have come back differ in what they turned out to be, those not yet counted included."""
        self.failure: Exception | None = None
        """Why it will not be decided."""
        try:
            rule = terms.rule_of(state, step)
        except Exception as failure:  # ITS TURN: the task may fail on a state that never comes true
            rule = FirstToAheadBy(1)
            self.fail(failure)
        self.election: Election[A] = Election(rule, terms.limit, terms.dissent)
        self.distance = 0
        """How many steps ahead of the decided ones it was opened."""
        self.due = False
        """Whether its turn has come, on a state that is certain."""
        self._prompts: dict[int, _Rendered] = {}
        self._outcomes: dict[tuple[Any, ...], A | RedFlag] = {}
        self._reached: dict[A, S | None] = {}

    @property
    def over(self) -> bool:
        """Whether there is a decision or a failure to hand out."""
        return self.status is DECIDED or self.status is FAILED

    @property
    def asked(self) -> int:
        """Samples asked for so far."""
        return len(self.drawn) + self.outstanding

    @property
    def wanted(self) -> int:
        """About as many samples as it asks for next, if it is READY."""
        # Where nothing can be asked any more, `asks` will say why.
        return hypothetically(0, lambda: self.election.wanted) + self.terms.spare

    @property
    def usage(self) -> Usage:
        """What the samples that have come back add to the bill."""
        return Usage.of_all([sample.usage for _, sample, _ in self.drawn])

    def asks(self) -> list[Ask]:
        """Return the next samples to ask for, whose numbers are `numbers`; none if the step is decided.

        Those that were refused come before any new ones, by themselves.  Raises `StepStalled` when the limit leaves no room for them, and
        why the step will not be decided, if that is known.
        """
        if self.failure is not None:
            raise self.failure
        if self.status is DECIDED:
            return []
        # SAME ASKS: the same numbers, and so the same views and seeds, as if they had not been refused.
        if self.status is not REFUSED:
            try:
                wanted = self.election.wanted
            except Stalled as stall:
                examples = [sample for _, sample, _ in self.drawn[-EXAMPLES:]]
                raise StepStalled(self.step, stall, examples, self.usage, self.drawn) from None
            self.numbers = self.election.submit(wanted + self.terms.spare)
        asks = self._asks_for(self.numbers)
        self.outstanding += len(asks)
        self.status = ASKED
        return asks

    def refuse(self, numbers: Sequence[int]) -> None:
        """Take back that these samples were asked for: the model did not answer."""
        # ONE CALL, so these are all that were outstanding.
        self.outstanding -= len(numbers)
        self.numbers, self.status = numbers, REFUSED

    def fail(self, failure: Exception) -> None:
        """Give the step up."""
        # ITS TURN: the failure is kept until the step is handed out, if it ever is.
        self.failure, self.status = failure, FAILED

    def squash(self) -> None:
        """Give the step up, whatever became of it."""
        self.status = SQUASHED

    def cast(self, number: int, sample: Sample) -> None:
        """Count what sample `number` turned out to be."""
        task, election = self.terms.task, self.election
        # NO BALLOT: who calls this is named in the package.
        # All that a red flag or the task may look at: two samples that agree in it have one outcome.
        key = (number % task.views, sample)
        known = self._outcomes.get(key)
        if known is None:  # a reader that returns None is refused, so no outcome is None
            # Before anything is counted, because it may raise: the sample then stays outstanding, and `asked` has it in any case.
            outcome = outcome_of(task, sample, self.state, number)
            self._outcomes[key] = outcome
            if self.drawn and outcome != self.drawn[0][-1]:
                self.disputed = True
        else:
            outcome = known
        decided = election.cast(number, outcome)  # may raise, too
        self.outstanding -= 1
        self.drawn.append((number, sample, outcome))
        # Whatever is outstanding: the election counts in the order of submission, and has what it needs.
        if decided:
            self.status = DECIDED
        elif not self.outstanding:
            self.status = READY

    def expected(self) -> Counter[S]:
        """Return the states that the ballots so far lead to, by ballots; the winner's alone once it is decided."""
        votes: Mapping[A, int]
        if self.election.decided:
            votes = {self.election.verdict().winner: 1}
        else:
            # Those not yet counted, too: here it is asked what is likely, not what is decided.
            ballots = (outcome for _, _, outcome in self.drawn)
            votes = Counter(ballot for ballot in ballots if not isinstance(ballot, RedFlag))
        found: Counter[S] = Counter()
        for answer, count in votes.items():
            state = self._leads_to(answer)
            if state is not None:
                found[state] += count
        return found

    def retire(self) -> Decision[A]:
        """Hand out the decision; raises the failure if there is one, and `Stalled` if there is neither."""
        # ITS TURN: here at the earliest.
        if self.failure is not None:
            raise self.failure
        decision = Decision(self.election.verdict(), self.drawn, self.usage)
        self.status = RETIRED
        return decision

    def _leads_to(self, answer: A) -> S | None:
        """Return the next state if this answer wins; None if the task cannot say."""
        if answer not in self._reached:
            self._reached[answer] = hypothetically(None, self.terms.task.advance, self.state, answer)
        return self._reached[answer]

    def _asks_for(self, numbers: Sequence[int]) -> list[Ask]:
        terms, prompts, asks = self.terms, self._prompts, []
        views, sampling = terms.task.views, terms.sampling
        for number in numbers:
            view = number % views
            prompt, guess, offer = prompts.get(view) or self._prompt(view)
            # SAME ASKS: from the state, the number of the step and the terms alone.
            seed = seed_of(terms.seed, self.step, number)
            asks.append(
                _ask((prompt, sampling.temperature_of(number), sampling.max_tokens, seed, guess, offer, None))
            )
        return asks

    def _prompt(self, view: int) -> _Rendered:
        """Render the step in one of its views, and guess what a sample will say if the next state is expected."""
        guessing, guess = self.terms.guessing, None
        offering = self.terms.offering
        prompt = self.terms.task.ask(self.state, view)
        if self.after is not None and guessing is not None:
            # SAME ASKS: a guess is no part of what is asked, it only makes the answer come faster.
            guess = hypothetically(None, guessing.guess, self.state, self.after, view)
        offer = None if offering is None else offering.offer(self.state)
        self._prompts[view] = prompt, guess, offer
        return prompt, guess, offer


def seed_of(job: int, step: int, number: int) -> int:
    """Return the seed of sample `number` of a step: spread over 63 bits, and the same whenever it is asked for."""
    # SAME ASKS.  Multipliers of SplitMix64 (Steele et al. 2014): neighbouring steps and samples get seeds far apart.
    mixed = (job + 1) * 0x9E3779B97F4A7C15 + (step + 1) * 0xBF58476D1CE4E5B9 + number * 0x94D049BB133111EB
    return (mixed ^ (mixed >> 31)) & _SEED_MASK

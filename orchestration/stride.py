"""The stride: steps decided one after the other, each from the winner of the one before."""

from collections.abc import Hashable, Sequence
from contextlib import aclosing
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic_core import to_json

from ..agents.model import Ask, Model, Prompt, Sampling
from ..agents.task import Task
from ..voting.election import Election, Stalled, Verdict
from ..voting.flags import Reading, RedFlag, screen
from ..voting.rules import Rule
from ..voting.samples import NOTHING, Sample, Usage
from .journal import Journal
from .progress import Progress
from .records import Record

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

KEPT_STEPS = 10_000
"""Raw samples are no longer kept once contested steps and red flags of a job number so many; tallies always are."""
KEPT_ONE_IN = 1000
"""One in so many of the other steps, drawn at random, keeps its raw samples for an audit by a person."""
EXAMPLES = 5
"""Samples shown when an election stalls."""

_SEED_MASK = (1 << 63) - 1


class StepStalled(Stalled):
    """A step that could not be decided, with the last few samples that were drawn for it."""

    def __init__(self, step: int, stall: Stalled, examples: Sequence[Sample]) -> None:
        super().__init__(stall.tally, stall.flags, examples)
        self.step = step

    def __str__(self) -> str:
        what = super().__str__()
        return f"step {self.step} stalled: {what}; look at the samples, then resume with another model or a larger limit"


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


class Stride(Generic[S, A]):
    """Decides steps of one task with one model under one rule.

    `spare` samples beyond the fewest that could decide are asked for at once; those still running when the election is decided
    are cancelled.  Every ask of a job has a seed of its own, so a replay against a model that is given seeds and honours them
    decides alike (doubles do; a server is sent seeds only with `Options(seeded=True)`).
    """

    def __init__(
        self,
        task: Task[S, A],
        model: Model,
        rule: Rule,
        *,
        limit: int = 100,
        spare: int = 0,
        seed: int = 0,
        sampling: Sampling | None = None,
    ) -> None:
        self.rule = rule
        self._task = task
        self._model = model
        self.limit = limit
        self._spare = spare
        self._seed = seed
        self._sampling = sampling or task.sampling

    async def run(self, state: S, journal: Journal, until: int, progress: Progress) -> S:
        """Decide steps until the task is finished or `until` is the next step, and return the state reached.

        Every verdict is appended to the journal before the next step begins.  Raises `Stalled` for a step that cannot be
        decided, and what the journal raises.
        """
        task = self._task
        while journal.step < until and not task.finished(state):
            step = journal.step
            decision = await self.decide(state, step)
            record = _record(step, decision)
            await journal.append(record, self._kept(decision, step, progress))
            state = task.advance(state, decision.verdict.winner)
            _count(progress, record, journal)
        return state

    async def decide(self, state: S, step: int) -> Decision[A]:
        """Hold the election of one step."""
        election: Election[A] = Election(self.rule, self.limit)
        prompts: dict[int, Prompt] = {}
        outcomes: dict[tuple[Any, ...], A | RedFlag] = {}
        drawn: list[Drawn] = []
        usage = NOTHING
        try:
            while wanted := election.wanted:
                numbers = election.submit(wanted + self._spare)
                asks = [self._ask(state, step, number, prompts) for number in numbers]
                async with aclosing(self._model.sample(asks)) as samples:
                    async for position, sample in samples:
                        outcome = self._outcome(sample, state, numbers[position], outcomes)
                        election.cast(numbers[position], outcome)
                        drawn.append(Drawn(numbers[position], sample, outcome))
                        usage = usage.plus(sample.usage)
                        if election.decided:
                            break
        except Stalled as stall:
            raise StepStalled(step, stall, [entry.sample for entry in drawn[-EXAMPLES:]]) from None
        return Decision(election.verdict(), drawn, usage)

    def _ask(self, state: S, step: int, number: int, prompts: dict[int, Prompt]) -> Ask:
        view = number % self._task.views
        prompt = prompts.get(view)
        if prompt is None:
            prompt = prompts[view] = self._task.ask(state, view)
        sampling = self._sampling
        seed = seed_of(self._seed, step, number)
        return Ask(prompt, sampling.temperature_of(number), sampling.max_tokens, seed)

    def _outcome(
        self, sample: Sample, state: S, number: int, outcomes: dict[tuple[Any, ...], A | RedFlag]
    ) -> A | RedFlag:
        """Screen one sample; most samples of a step are the same text, which need not be read again."""
        view = number % self._task.views
        key = (view, sample.text, sample.finish, sample.tokens)
        if key not in outcomes:
            reading: Reading[A] = Reading(sample, lambda text: self._task.read(text, state, view), state)
            outcome = screen(reading, self._task.flags)
            outcomes[key] = outcome
        return outcomes[key]

    def _kept(self, decision: Decision[A], step: int, progress: Progress) -> bytes | None:
        notable = decision.verdict.contested or decision.verdict.flags
        if notable and progress.contested + progress.flags.total() >= KEPT_STEPS:
            return None
        if not notable and seed_of(self._seed, step, -1) % KEPT_ONE_IN:
            return None
        return to_json([_shown(entry) for entry in decision.drawn])


def seed_of(job: int, step: int, number: int) -> int:
    """Return the seed of sample `number` of a step: spread over 63 bits, and the same whenever it is asked for."""
    mixed = (job + 1) * 0x9E3779B97F4A7C15 + (step + 1) * 0xBF58476D1CE4E5B9 + number * 0x94D049BB133111EB
    return (mixed ^ (mixed >> 31)) & _SEED_MASK


def _record(step: int, decision: Decision[A]) -> Record:
    winner, tally = decision.verdict.winner, decision.verdict.tally
    others = tuple((answer, votes) for answer, votes in tally.items() if answer != winner)
    return Record(step, winner, tally[winner], others, decision.verdict.flags, decision.usage)


def _count(progress: Progress, record: Record, journal: Journal) -> None:
    against = sum(votes for _, votes in record.others)
    progress.step = journal.step
    progress.votes += record.votes + against
    progress.dissent += against
    progress.contested += bool(record.others)
    if record.flags:
        progress.flags.update(record.flags)
    progress.usage = progress.usage.plus(record.usage)
    progress.durable = journal.durable
    progress.durable_at = journal.committed_at


def _shown(entry: Drawn) -> dict[str, Any]:
    outcome = entry.outcome
    fate = (
        {"flag": outcome.reason, "detail": outcome.detail}
        if isinstance(outcome, RedFlag)
        else {"ballot": outcome}
    )
    return {"number": entry.number, "text": entry.sample.text, "finish": entry.sample.finish, **fate}

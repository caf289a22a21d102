"""The stride: steps decided one after the other, each from the winner of the one before."""

from collections import Counter
from contextlib import aclosing
from typing import Any, Generic

from pydantic_core import PydanticSerializationError, to_json

from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.guarded import TaskFailed
from surefoot.agents.tasks.task import A, S
from surefoot.models.base import Model
from surefoot.orchestration.budget import Meter
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.journal.records import Record
from surefoot.voting.flags import RedFlag

from .drafts import Draft
from .open_step import Decision, Drawn, OpenStep, Terms, seed_of
from .pipeline import Pipeline
from .speculation import Speculation

KEPT_STEPS = 10_000
"""Raw samples are no longer kept once contested steps and red flags of a job number so many; tallies always are."""
KEPT_ONE_IN = 1000
"""One in so many of the other steps, drawn at random, keeps its raw samples for an audit by a person."""


class Stride(Generic[S, A]):
    """Decides steps of one task with one model.

    `spare` samples beyond the fewest that could decide are asked for at once; those still running when the election is decided
    are cancelled.  Every ask of a job has a seed of its own, so a replay against a model that is given seeds and honours them
    decides alike (doubles do; a server is sent seeds only with `Options(seeded=True)`).

    With a `speculation` the steps ahead are asked for before their turn: see the docstring of the package.
    """

    def __init__(
        self,
        terms: Terms[S, A],
        model: Model,
        speculation: Speculation | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.terms, self._model, self._meter = terms, model, meter
        self._pipeline: Pipeline[S, A] | None = None if speculation is None else Pipeline(model, speculation)

    @property
    def draft(self) -> Draft[S] | None:
        """What proposes the states ahead, if anything does."""
        return None if self._pipeline is None else self._pipeline.draft

    async def run(self, state: S, journal: Journal, until: int) -> S:
        """Decide steps until the task is finished or `until` is the next step, and return the state reached.

        Every verdict is appended to the journal before the next step begins, and made durable there before a task acts on
        the world.  Raises `Stalled` for a step that cannot be decided, `Paused` before the budget is overspent, and what the
        journal raises.
        """
        task, step = self.terms.task, journal.step
        try:
            while journal.step < until and not task.finished(state):
                step = journal.step
                state = await self._run_step(state, step, journal)
        except TaskFailed as failure:
            failure.step = step
            raise
        except PydanticSerializationError as error:
            unwritable = TaskFailed(
                task.name, "read", f"returned a text that cannot be written down: {error}"
            )
            unwritable.step = step
            raise unwritable from error
        return state

    async def _run_step(self, state: S, step: int, journal: Journal) -> S:
        """Decide one step, append it to the journal, act, and return the state it leads to."""
        if self._meter is not None:
            await self._keep_to_the_budget(self._meter, state, journal)
        decision = await self.decide(state, step)
        record = self._record(step, decision)
        if self._pipeline is not None:
            # Before the record is appended: they are written down with it.
            self._note(self._pipeline.take_counts(), journal)
        await journal.append(record, self._kept(decision, step, journal))
        task, winner = self.terms.task, decision.verdict.winner
        if task.acts(state):
            # BARRIER: durable before, so that after a crash it is known what may have been done; done before anything is
            # asked that builds on it.
            await journal.commit()
            await task.act(step, state, winner)
        after = task.advance(state, winner)
        if self._meter is not None:
            self._meter.spend(decision.usage, len(decision.drawn))
        return after

    async def decide(self, state: S, step: int) -> Decision[A]:
        """Hold the election of one step, or take what speculation has made of it already."""
        if self._pipeline is not None:
            return await self._pipeline.decide(self.terms, state, step)
        open_step = OpenStep(self.terms, step, state)
        while asks := open_step.asks():
            # What the first samples may cost was checked before the step; only a further round may be too much.
            if self._meter is not None and open_step.drawn:
                self._meter.check_more(step, open_step.usage, len(open_step.drawn), len(asks))
            async with aclosing(self._model.sample([ask for _, ask in asks])) as samples:
                async for position, sample in samples:
                    open_step.cast(asks[position][0], sample)  # NO BALLOT: the only other place that casts
                    if open_step.over:
                        break  # which closes the call, and with it what is still running
        return open_step.retire()

    async def _keep_to_the_budget(self, meter: Meter, state: S, journal: Journal) -> None:
        """Raise `Paused` if the next step may cost too much; ask nothing ahead any more if that may."""
        pipeline = self._pipeline
        if pipeline is not None and not meter.has_room_ahead(pipeline.at_risk):
            # Squashed before the calls are cancelled, so that what was wasted is counted.
            pipeline.flush(state, journal.step)
            await self.aclose()
            self._note(pipeline.take_counts(), journal)
            self._pipeline = None
        meter.check(journal.step)

    def _note(self, counts: Counter[str], journal: Journal) -> None:
        journal.also.update(counts)
        if self._meter is not None:
            self._meter.ahead.update(counts)

    def take_counts(self) -> Counter[str]:
        """Return what speculation has done since the last call (see `Ledger.counts`)."""
        return Counter() if self._pipeline is None else self._pipeline.take_counts()

    async def aclose(self) -> None:
        """Drop what was asked ahead."""
        if self._pipeline is not None:
            await self._pipeline.aclose()

    def _kept(self, decision: Decision[A], step: int, journal: Journal) -> bytes | None:
        notable = decision.verdict.contested or decision.verdict.flags
        if notable and journal.notable >= KEPT_STEPS:
            return None
        # Drawn by a seed that no sample has, so that a replay keeps the same ones.
        if not notable and seed_of(self.terms.seed, step, -1) % KEPT_ONE_IN:
            return None
        return to_json([self._shown(entry) for entry in decision.drawn])

    def _record(self, step: int, decision: Decision[A]) -> Record:
        codec = self.terms.task.answer_codec
        winner, tally = decision.verdict.winner, decision.verdict.tally
        others = tuple((written(codec, answer), votes) for answer, votes in tally.items() if answer != winner)
        plain = written(codec, winner)
        return Record(step, plain, tally[winner], others, decision.verdict.flags, decision.usage)

    def _shown(self, entry: Drawn) -> dict[str, Any]:
        outcome = entry.outcome
        fate = (
            {"flag": outcome.reason, "detail": outcome.detail}
            if isinstance(outcome, RedFlag)
            else {"ballot": written(self.terms.task.answer_codec, outcome)}
        )
        return {"number": entry.number, "text": entry.sample.text, "finish": entry.sample.finish, **fate}

"""The stride: steps decided one after the other, each from the winner of the one before."""

import asyncio
from collections import Counter
from typing import Any, Generic

from pydantic_core import PydanticSerializationError, to_json

from surefoot.agents.tasks.codec import written
from surefoot.agents.tasks.failures import TaskFailed
from surefoot.agents.tasks.task import A, S
from surefoot.models.base import Model
from surefoot.orchestration.budget import Paused
from surefoot.orchestration.events import Listen, ignore
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.meter import Meter
from surefoot.orchestration.record import Record, RungTally
from surefoot.orchestration.rungs import BACKTRACK
from surefoot.voting.election import Verdict
from surefoot.voting.flags import RedFlag
from surefoot.voting.risk_budget import RiskBudget
from surefoot.voting.samples import NOTHING, Usage

from .background import failure_of
from .calls import check_all_answered, claim
from .climbing import Climbs, HardStep
from .drafts import Draft
from .memo import Memo
from .open_step import DECIDED, Decision, Drawn, OpenStep, StepStalled, Terms, seed_of
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
        listen: Listen = ignore,
        climbs: Climbs[S, A] | None = None,
    ) -> None:
        self.terms, self._model, self._meter = terms, model, meter
        self._climbs = climbs
        self._lost = NOTHING
        """What elections have cost that ended in a failure which does not carry it; on the bill with the journal's next words."""
        self.redone: int | None = None
        """The step for whose sake those before it are decided again."""
        self.memo: Memo[S, A] | None = None
        """Whence steps take the verdicts of earlier ones that asked the same, if they may; nothing is asked ahead then."""
        self._pipeline: Pipeline[S, A] | None = None
        if speculation is not None:
            self._pipeline = Pipeline(model, speculation, meter, listen)

    @property
    def draft(self) -> Draft[S] | None:
        """What proposes the states ahead, if anything does."""
        return None if self._pipeline is None else self._pipeline.draft

    async def run(self, state: S, journal: Journal, until: int) -> S:
        """Decide steps until the task is finished or `until` is the next step, and return the state reached.

        Every verdict is appended to the journal before the next step begins.  At a step that the world answers, what was decided
        before is durable before the task acts, and the answer is durable before anything is asked that builds on it.  Raises
        `Stalled` for a step that cannot be decided, `DecisionNeeded` where a person has to say, `Paused` before the budget is
        overspent, and what the journal raises.
        """
        task, acting, memo, step = self.terms.task, self.terms.acting, self.memo, journal.step
        try:
            while journal.step < until and not task.finished(state):
                step = journal.step
                if journal.suspended:
                    await journal.may_go()
                    if self._meter is not None:
                        self._meter.rested()
                if self._meter is not None:
                    await self._keep_to_the_budget(self._meter, journal)
                if acting is not None and acting.acts(state):
                    # BARRIER: all before it is durable, and nothing is asked beyond it, before it has acted.
                    answer = await acting.act(state, await journal.begin())
                    await journal.append(Record(step, written(task.answer_codec, answer), 0))
                    await journal.commit()
                    state = task.advance(state, answer)
                    continue
                asked = None if memo is None else memo.digest(state)
                if memo is not None and asked is not None and (taken := memo.take(asked, step)) is not None:
                    answer, record = taken
                    await journal.append(record)
                    state = task.advance(state, answer)
                    continue
                decision = await self.decide(state, step)
                answer = self._answer(decision)
                # Before the record is appended: they are written down with it.
                if self._pipeline is not None:
                    self._note(self.take_counts(), journal)
                if self.terms.risk_budget is not None:
                    journal.also.update(_by_kind(self.terms, self.terms.risk_budget, state, decision.verdict))
                record = self._record(step, decision, answer)
                if memo is not None and asked is not None:
                    memo.add(asked, record, answer)
                await journal.append(record, self._kept(decision, record, journal))
                state = task.advance(state, answer)
                if self._meter is not None:
                    self._meter.spend(decision.usage, len(decision.drawn))
        except StepStalled as stall:
            if self._meter is not None:
                self._meter.lose(stall.usage)
            raise
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

    async def decide(self, state: S, step: int) -> Decision[A]:
        """Hold the election of one step, or take what speculation has made of it already; climb if it is left undecided."""
        try:
            if self._pipeline is not None:
                return await self._pipeline.decide(self.terms, state, step)
            open_step = OpenStep(self.terms, step, state)
            try:
                await self._hold(open_step, self._model)
                return open_step.retire()
            except (StepStalled, Paused):
                raise  # it carries what was paid
            except BaseException:
                self._lose(open_step.usage)
                raise
        except StepStalled as stall:
            if self._climbs is None:
                raise
            if self._pipeline is not None:
                self._pipeline.hand_over()
            # ITS TURN: no step climbs before its stall is handed out.
            return await self._climb(self._climbs, stall, state)

    async def _climb(self, climbs: Climbs[S, A], stall: StepStalled, state: S) -> Decision[A]:
        """Let a step climb, and return the decision; the tally and the red flags in it are those of its own election."""
        usage, samples = stall.usage, len(stall.drawn)

        async def hold(
            terms: Terms[Any, Any], state: Any, step: int, model: Model | None = None
        ) -> Decision[Any]:
            nonlocal usage, samples
            open_step = OpenStep(terms, step, state)
            try:
                await self._hold(open_step, model or self._model, usage, samples)
                return open_step.retire()
            finally:
                usage, samples = usage + open_step.usage, samples + len(open_step.drawn)

        try:
            ascent = await climbs.climb(HardStep(stall, state, self.terms, hold))
        except Paused:
            raise  # it carries what was paid
        except BaseException:
            self._lose(usage)
            raise
        tally: dict[A, int] = dict(stall.tally)
        if ascent.winner is None:
            stall.usage, stall.rungs, stall.back_to = usage, ascent.rungs, ascent.back_to
            stall.candidates = tuple(
                (written(self.terms.task.answer_codec, each), tally.get(each, 0))
                for each in ascent.candidates
            )
            raise stall
        tally = {ascent.winner: tally.pop(ascent.winner, 0), **tally}
        verdict = Verdict(ascent.winner, tally, stall.flags)
        return Decision(verdict, [*stall.drawn, *ascent.drawn], usage, ascent.rungs)

    async def _hold(
        self, open_step: OpenStep[Any, Any], model: Model, usage: Usage = NOTHING, samples: int = 0
    ) -> None:
        """Ask a model until an election is decided; `usage` and `samples` are what other elections of this step have taken."""
        while asks := open_step.asks():
            # What the first samples may cost was checked before the step; only a further round may be too much.
            if self._meter is not None and (drawn := samples + len(open_step.drawn)):
                self._meter.check_more(open_step.step, usage + open_step.usage, drawn, len(asks))
            owed = dict(enumerate(open_step.numbers))
            answers = model.sample(asks)
            try:
                async for position, sample in answers:
                    number = claim(model, owed, position, sample)
                    try:
                        open_step.cast(number, sample)  # NO BALLOT: the only other place that casts
                    except Exception:
                        self._lose(sample.usage)  # it is not among those drawn
                        raise
                    if open_step.status is DECIDED:
                        break
                else:
                    check_all_answered(model, owed, len(asks))
            except asyncio.CancelledError as error:
                raise failure_of(error, f"a call of {model.name}") from error
            finally:
                await answers.aclose()  # ends the call, and with it what is still running

    async def _keep_to_the_budget(self, meter: Meter, journal: Journal) -> None:
        """Raise `Paused` if the next step may cost too much; ask nothing ahead for the rest of the run if that may."""
        pipeline = self._pipeline
        if pipeline is not None and meter.has_room_ahead(may_waste := pipeline.may_waste):
            pipeline.room = may_waste
        elif pipeline is not None:
            await self.aclose(journal)
        meter.check(journal.step)

    def _lose(self, usage: Usage) -> None:
        self._lost += usage
        if self._meter is not None:
            self._meter.lose(usage)

    def _note(self, counts: Counter[str], journal: Journal) -> None:
        journal.also.update(counts)
        if self._meter is not None:
            self._meter.note(counts)

    def take_counts(self) -> Counter[str]:
        """Return what speculation has done since the last call (see `Ledger.counts`)."""
        return Counter() if self._pipeline is None else self._pipeline.take_counts()

    async def aclose(self, journal: Journal | None = None) -> None:
        """Ask nothing ahead any more; what was is wasted, and goes on the bill with the journal's next words, its last ones at the latest."""
        try:
            if self._pipeline is not None:
                await self._pipeline.aclose()
        finally:
            if journal is not None:
                self._note(self.take_counts(), journal)
                journal.also.update(self._lost._asdict())
                self._lost = NOTHING
            self._pipeline = None

    def _kept(self, decision: Decision[A], record: Record, journal: Journal) -> bytes | None:
        notable = record.others or record.flags or decision.rungs
        if notable and journal.notable >= KEPT_STEPS:
            return None
        # Drawn by a seed that no sample has, so that a replay keeps the same ones.
        if not notable and seed_of(self.terms.seed, record.step, -1) % KEPT_ONE_IN:
            return None
        return to_json([self._shown(entry) for entry in decision.drawn])

    def _answer(self, decision: Decision[A]) -> A:
        """Return what was voted for, as the task wants to have it kept."""
        measuring, winner = self.terms.measuring, decision.verdict.winner
        tokens = 0 if measuring is None else decision.prompt_tokens
        return measuring.measured(winner, tokens) if measuring is not None and tokens else winner

    def _record(self, step: int, decision: Decision[A], answer: A) -> Record:
        codec = self.terms.task.answer_codec
        winner, tally, flags = decision.verdict
        others: tuple[tuple[Any, int], ...] = ()
        if len(tally) > 1:
            others = tuple(
                (written(codec, other), votes) for other, votes in tally.items() if other != winner
            )
        plain = written(codec, answer)
        rungs = decision.rungs
        if step == self.redone:
            rungs = (RungTally(BACKTRACK, 0, ()), *rungs)
        return Record(step, plain, tally[winner], others, flags, decision.usage, rungs)

    def _shown(self, entry: Drawn) -> dict[str, Any]:
        number, sample, outcome = entry
        fate = (
            {"flag": _writable(outcome.reason), "detail": _writable(outcome.detail)}
            if isinstance(outcome, RedFlag)
            else {"ballot": written(self.terms.task.answer_codec, outcome)}
        )
        finish = sample.finish and _writable(sample.finish)
        return {"number": number, "text": _writable(sample.text), "finish": finish, **fate}


def _by_kind(terms: Terms[S, A], budget: RiskBudget, state: S, verdict: Verdict[A]) -> dict[str, int]:
    """Return what a job's counters have of a step, by its kind."""
    kind, votes = budget.known(terms.kind_of(state)), verdict.votes
    return {f"kind:{kind}:votes": votes, f"kind:{kind}:dissent": votes - verdict.tally.get(verdict.winner, 0)}


def _writable(text: str) -> str:
    """Return a text that can be written down: halves of characters, which a model in this process may make, as escapes."""
    return text.encode(errors="backslashreplace").decode()

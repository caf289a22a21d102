"""The outer graph: plan -> segment, decided and audited -> (repair | the next one | finish), one LangGraph superstep per node.

A superstep is a segment of hundreds of steps, never one step: the stride inside is a plain asyncio loop whose durability is
the journal.  The graph's state holds counters only, and every node begins from what the journal says, so a node may
be run again after a crash at any point: the journal is the truth, the graph's checkpoint says which node was next.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Hashable
from dataclasses import replace
from typing import Any, Generic, Literal, TypedDict, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.failures import TaskFailed, said
from surefoot.agents.tasks.guarded import Guarded
from surefoot.agents.tasks.optional import Acts, Reuses, Stakes
from surefoot.errors import SurefootError
from surefoot.models.base import Model
from surefoot.voting.risk_budget import RiskBudget
from surefoot.voting.rules import AheadByStakes, FirstToAheadBy

from .engine.climbing import Climbs
from .engine.memo import REMEMBERED_STEPS, Memo
from .engine.open_step import StepStalled, Terms, seed_of
from .engine.speculation import Speculation
from .engine.stride import Stride
from .events import AuditBegan, Audited, GoneBack, Noted, Repaired, SegmentBegan
from .journal.journal import Journal, WentBack
from .journal.lease import GIVE_BACK_S
from .journal.records import CorruptJournal, verified
from .journal.segments import frames, segment_records, snapshot
from .journal.snapshots import Snapshot
from .ladder.person import answered
from .meter import Meter
from .record import Record
from .reporting import drift
from .settings import Settings

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

REMEMBERED_SEGMENTS = 20
"""Segments that a draft is reminded of when a job is taken up again."""
REPAIRS = 3
"""How often one segment is decided again, with k one higher each time, before the job is given up."""
_AGAIN = -9
"""The number, of no sample, that the seed of steps which are decided again is drawn with."""
RETURNS = 5
"""A journal that is found at the same place so many times in a row is damaged; it has not gone back."""
Outcome = Literal["run", "repair", "finish"]


class AuditFailed(SurefootError):
    """A segment failed the task's own check however large k was made."""


class Walk(TypedDict):
    """The graph's state."""

    segment: int
    """The oldest segment that is not sealed."""
    repairs: int
    """How often this segment has been decided again."""
    then: Outcome
    """Where to go from here."""


class Runner(Generic[S, A]):
    """One runner's work on one job, from wherever the journal stands to the end."""

    def __init__(
        self,
        task: Guarded[S, A],
        model: Model,
        journal: Journal,
        settings: Settings,
        speculation: Speculation | None = None,
        meter: Meter | None = None,
        climbs: Climbs[S, A] | None = None,
    ) -> None:
        self._task = task
        self._journal = journal
        self._listen = journal.listen
        self._k, self._budget = journal.job.k, journal.job.budget
        self._limit = settings.limit
        self._size = settings.segment
        terms = Terms(
            task,
            self._rule(),
            settings.sampling or task.sampling,
            limit=settings.limit,
            dissent=settings.ladder.dissent if settings.ladder else None,
            spare=settings.spare,
            seed=settings.seed,
        )
        self._terms, self._climbs = terms, climbs is not None
        self._memo: Memo[S, A] | None = None
        # As the job began: a task that has come to say so since decides as its job did; one that says so no more is refused.
        if journal.job.reuses and isinstance(task, Reuses):
            self._memo = Memo(terms, task)
            if speculation is not None:
                # What is asked ahead of a step that then takes a verdict is wasted, and that is most of it.
                speculation = None
                self._listen(Noted(sentence=f"task {task.name!r} reuses verdicts, so nothing is asked ahead"))
        self._stride = Stride(terms, model, speculation, meter, journal.listen, climbs)
        self._stride.memo = self._memo
        self._sealed = journal.job.start
        self._sealed_state: S = self._read_state(journal.job.start.state)
        self._state = self._sealed_state
        self._fault = ""
        self._drifted = False
        self._returns: tuple[tuple[int, int], ...] = ()

    async def go(self, saver: BaseCheckpointSaver[str]) -> S:
        """Take the job to its end and return the final state.

        Raises `Paused` before the budget is overspent, and `AuditFailed` when a segment is given up.  The graph ends there too, so whoever resumes begins its repairs anew.
        """
        await self._recover()
        if self._climbs and (record := await answered(self._journal)) is not None:
            await self._journal.append(record)
            self._state = self._after(self._state, record)
            await self._journal.commit()
        if self._over():
            return self._state
        graph = self._graph().compile(checkpointer=saver)
        config: Any = {
            "configurable": {"thread_id": self._journal.job.id},
            # A superstep a segment, and room for repairs; the default would stop a long job.
            "recursion_limit": 1_000_000_000,
        }
        pending = (await graph.aget_state(config)).next
        start: Walk | None = None if pending else {"segment": self._segment(), "repairs": 0, "then": "run"}
        try:
            await _ended_soon(graph.ainvoke(start, config, durability="sync"))
        finally:
            await self._stride.aclose(self._journal)
        if not self._over():
            if isinstance(self._task, Acts):
                raise AuditFailed(
                    f"segment {self._segment()} failed its audit: {self._fault}; what was done to the world is not decided again"
                )
            raise AuditFailed(
                f"segment {self._segment()} failed its audit {REPAIRS + 1} times, the last time with k = "
                f"{self._stride_k()}: {self._fault}; look at that step, then resume with another model"
            )
        return self._state

    async def plan(self, state: Walk) -> Walk:
        """Find the oldest segment that is not sealed."""
        return {"segment": self._segment(), "repairs": 0, "then": "run"}

    async def run_segment(self, state: Walk) -> Walk:
        """Decide what is left of the oldest segment that is not sealed, and audit it."""
        segment = self._segment()
        repairs = state["repairs"] if state["segment"] == segment else 0
        self._listen(SegmentBegan(segment=segment, k=self._k + repairs))
        walk: Walk = {"segment": segment, "repairs": repairs, "then": "run"}
        if self._memo is not None and not self._memo.current:
            await self._remember(self._memo)
        try:
            for first, end in self._stretches(segment):
                if first <= self._journal.step < end:
                    self._stride.terms = self._terms_of(repairs, first)
                    self._state = await self._stride.run(self._state, self._journal, end)
            await self._journal.commit()
        except StepStalled as stall:
            if stall.back_to is None:
                raise
            await self._decide_again(stall, stall.back_to)
            return walk
        except WentBack as went_back:
            await self._go_back(went_back)
            return walk
        return await self._audit(walk)

    def _stretches(self, segment: int) -> list[tuple[int, int]]:
        """Return the parts of a segment that are decided on other terms: those that a ladder wants decided again stand apart."""
        begin, end = segment * self._size, self._end(segment)
        again = self._journal.job.redo
        if again is None or not begin <= again[0] < end:
            return [(begin, end)]
        first, last = again
        return [(begin, first), (first, last + 1), (last + 1, end)]

    def _terms_of(self, repairs: int, first: int) -> Terms[S, A]:
        """Return the terms of the steps from `first` on: with other seeds and a larger lead, if they are decided again."""
        again = self._journal.job.redo
        redone = again is not None and first == again[0]
        self._stride.redone = again[1] if again is not None and redone else None
        more = repairs + redone
        if self._memo is not None:
            self._memo.taking = not more  # a verdict may be what was wrong
        return replace(
            self._terms,
            rule=self._rule(more),
            limit=-(-self._limit * (self._k + more) // self._k),  # a larger lead takes more samples
            seed=seed_of(self._terms.seed, again[1], _AGAIN)
            if again is not None and redone
            else self._terms.seed,
        )

    async def _decide_again(self, stall: StepStalled, step: int) -> None:
        """Take the steps from `step` on back, so that they are decided again; what the stalled one has cost no step has."""
        try:
            self._journal.also.update(stall.cost())
            await self._journal.go_back(step)
        except WentBack as went_back:
            await self._go_back(went_back)
        else:
            await self._recover()

    async def _audit(self, state: Walk) -> Walk:
        """Read the segment back from Redis and check it from outside the model, then seal it.

        Checked are the hash chain, which covers the answers and not the votes, that each step starts from the end of the step before, the task's own check of
        every step, and that the end is the state that the stride holds.
        """
        segment = state["segment"]
        self._listen(AuditBegan(segment=segment))
        try:
            sealed = await self._audited(segment)
        except WentBack as went_back:
            await self._go_back(went_back)
            return {"segment": self._segment(), "repairs": 0, "then": "run"}
        self._listen(Audited(segment=segment, fault="" if sealed else self._fault))
        self._look_for_drift()
        if sealed is None:
            # What was done to the world cannot be taken back, so it is not decided again.
            repairable = state["repairs"] < REPAIRS and not isinstance(self._task, Acts)
            then: Outcome = "repair" if repairable else "finish"
            return {**state, "segment": segment, "then": then}
        self._sealed, self._sealed_state = sealed, self._state
        return {"segment": segment + 1, "repairs": 0, "then": "finish" if self._over() else "run"}

    async def repair(self, state: Walk) -> Walk:
        """Take the segment back, to be decided again with a larger k; never ignore what the audit found."""
        try:
            await self._journal.rewind(self._sealed)
        except WentBack as went_back:
            await self._go_back(went_back)
        else:
            self._state = self._sealed_state
            self._withdrawn()
        self._listen(Repaired(segment=self._segment(), step=self._journal.step))
        return {"segment": self._segment(), "repairs": state["repairs"] + 1, "then": "run"}

    def _graph(self) -> StateGraph[Walk]:
        graph = StateGraph(Walk)
        graph.add_node("plan", self.plan)
        graph.add_node("run", self.run_segment)
        graph.add_node("repair", self.repair)
        graph.add_edge(START, "plan")
        graph.add_edge("plan", "run")
        graph.add_edge("repair", "run")
        graph.add_conditional_edges("run", _then, {"run": "run", "repair": "repair", "finish": END})
        return graph

    async def _go_back(self, went_back: WentBack) -> None:
        """Go on from where the journal really stands, which a Redis that only lost its last moments allows at the first go."""
        await self._recover()
        place = (self._journal.sealed, self._journal.step)
        self._returns = (*self._returns, place)[-RETURNS:]
        if self._returns == (place,) * RETURNS:
            raise went_back  # its fields contradict each other: nothing that is decided from here is ever taken

    async def _recover(self) -> None:
        """Derive the state from the journal: the last sealed segment, then its verified tail."""
        stood = self._journal.step
        self._sealed, tail = await self._journal.tail()
        if self._journal.step < stood:
            self._listen(GoneBack(step=self._journal.step))
        state = self._sealed_state = self._read_state(self._sealed.state)
        for record in tail:
            state = self._after(state, record)
        self._state = state
        self._withdrawn()
        await self._remind()

    async def _remind(self) -> None:
        """Tell a draft of the steps decided so far, as many as a memory is good for."""
        if self._stride.draft is None or not self._journal.step:
            return
        async for _, before, after in self._replayed(self._segment() - REMEMBERED_SEGMENTS):
            self._stride.draft.decided(before, after)

    def _withdrawn(self) -> None:
        """Note that records were taken back, or are not known yet: a memo has to read them before the next step."""
        if self._memo is not None:
            self._memo.current = False

    async def _remember(self, memo: Memo[S, A]) -> None:
        """Fill a memo from the records of the last steps, as it was when they were decided."""
        memo.clear()
        acting, first = self._terms.acting, (self._journal.step - REMEMBERED_STEPS) // self._size
        async for record, state, _ in self._replayed(min(first, self._segment())):
            if acting is not None and acting.acts(state):
                continue  # nothing was asked
            if (asked := memo.digest(state)) is not None:
                memo.add(asked, record, self._read_answer(record.answer))
        memo.current = True

    async def _replayed(self, first: int) -> AsyncIterator[tuple[Record, S, S]]:
        """Yield the steps decided so far from segment `first` on, or from the start, with the states before and after each."""
        first = max(0, first)
        job = self._journal.job._replace(sealed=self._journal.sealed)
        begin = await snapshot(self._journal.redis, job, first - 1)
        state: S = self._read_state(begin.state)
        for segment in range(first, -(-self._journal.step // self._size)):
            found = await segment_records(self._journal.redis, job, segment)
            steps = min((segment + 1) * self._size, self._journal.step) - segment * self._size
            if len(found) < steps:
                # What follows would be taken for what was decided in other states.
                raise CorruptJournal(
                    f"job {job.id!r}, segment {segment}: {steps} steps were decided in it, the records of {len(found)} are there"
                )
            for record in found:
                before, state = state, self._after(state, record)
                yield record, before, state

    def _look_for_drift(self) -> None:
        """Say once that the run has left what was calibrated, if its contested steps are evidence of that."""
        if not self._drifted and (found := drift(self._journal.job.calibrated, self._journal.counters)):
            self._drifted = True
            self._listen(Noted(sentence=found))

    async def _audited(self, segment: int) -> Snapshot | None:
        """Return the sealed end of the segment, or None if it does not pass."""
        journal, task = self._journal, self._task
        where = f"job {journal.job.id!r}, segment {segment}"
        found = await frames(journal.redis, journal.job, segment)
        state, step, after = self._sealed_state, self._sealed.step, self._sealed.step
        head = self._sealed.head
        try:
            for frame, part in verified(found, head, step, where):
                for step, plain, *_ in part:
                    answer = self._read_answer(plain)
                    if why := task.audit(state, answer):
                        self._fault = f"step {step}: {said(why, str)}"
                        return None
                    state = task.advance(state, answer)
                after, head = after + frame.steps, frame.after
            end = task.sealed(state)
        except TaskFailed as failure:
            failure.step = step
            raise
        if after < journal.step:
            raise WentBack(f"{where}: acknowledged steps are missing")
        if state != self._state:
            raise CorruptJournal(f"{where}: the records do not lead to the state that the run has reached")
        sealed = Snapshot(journal.step, head, end, self._stride_k())
        await journal.seal(segment, sealed)
        return sealed

    def _after(self, state: S, record: Record) -> S:
        """Return the state after a step that the journal has."""
        try:
            return self._task.advance(state, self._read_answer(record.answer))
        except TaskFailed as failure:
            failure.step = record.step
            raise

    def _read_state(self, plain: Any) -> S:
        return read_back(self._task.state_codec, plain)

    def _read_answer(self, plain: Any) -> A:
        return read_back(self._task.answer_codec, plain)

    def _rule(self, more: int = 0) -> FirstToAheadBy | RiskBudget:
        """Return what decides the steps, with leads larger by `more` for a segment that turned out wrong."""
        if self._budget is not None:
            return self._budget.raised(more) if more else self._budget
        k = self._k + more
        return AheadByStakes(k, self._task.lead) if isinstance(self._task, Stakes) else FirstToAheadBy(k)

    def _stride_k(self) -> int:
        rule = self._stride.terms.rule
        assert isinstance(rule, FirstToAheadBy | RiskBudget)
        return rule.least if isinstance(rule, RiskBudget) else rule.k

    def _segment(self) -> int:
        return self._journal.sealed

    def _over(self) -> bool:
        """Whether everything there is to decide is decided and sealed."""
        step = self._sealed.step
        return step == self._journal.step and (self._task.finished(self._state) or step == self._task.steps())

    def _end(self, segment: int) -> int:
        end, steps = (segment + 1) * self._size, self._task.steps()
        return end if steps is None else min(end, steps)


async def _ended_soon(run: Coroutine[Any, Any, Any]) -> None:
    """Await a run of the graph; cancelled, it ends before long.

    LangGraph waits for the checkpoints that it is writing, however long Redis may be away, unless it is cancelled once more.
    """
    running = asyncio.create_task(run)
    try:
        await asyncio.wait([running])
        running.result()
    finally:
        for patience in (GIVE_BACK_S, None):
            if running.done():
                break
            running.cancel()
            await asyncio.wait([running], timeout=patience)


async def _then(state: Walk) -> Outcome:
    # LangGraph calls a plain function in a thread of its own.
    return state["then"]

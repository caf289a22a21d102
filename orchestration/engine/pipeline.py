"""Steps are asked about before their turn, on a state that is only expected, and count if it turns out right.

Why this changes no decision: the asks of a step are made from its input state, its number and the job's terms, nothing else
(`OpenStep`).  A step that was asked early on the state that the step before really led to has therefore sent the very asks
that it would have sent in its turn.  `Pipeline.decide` compares the states before it hands a decision out; a step on any other state
is squashed with all that follow it.  Whoever proposes states, the leading ballot of the step before or a `Draft`, casts no ballot.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Coroutine, Hashable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Model, ModelUnavailable
from surefoot.voting.samples import NOTHING, Sample

from .depth import Acceptance, Pace, best_depth
from .drafts import Draft
from .hypothetical import hypothetically
from .ledger import Ledger
from .lookahead import Lookahead
from .open_step import Decision, OpenStep, Terms
from .speculation import Speculation

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

Asked = tuple[OpenStep[S, A], int, Ask]
"""A step, the number of one of its samples, and the ask for it."""

ADAPT_EVERY = 64
"""Steps between two looks at the depth."""


class ModelCall(Generic[S, A]):
    """One call of the model: samples for several steps."""

    __slots__ = ("alone", "in_flight", "since", "task", "unanswered")

    def __init__(self, asked: Sequence[Asked[S, A]], in_flight: int) -> None:
        self.alone = len({step for step, *_ in asked}) == 1
        """Whether it asks for one step only, also counting those that are squashed before it ends."""
        self.unanswered = dict(enumerate(asked))
        self.in_flight = in_flight
        self.since = time.monotonic()
        self.task: asyncio.Task[None] | None = None

    @property
    def in_vain(self) -> bool:
        """Whether nobody waits for any of the samples that are still to come."""
        return bool(self.unanswered) and next(self.awaited(), None) is None

    def awaited(self) -> Iterator[Asked[S, A]]:
        """Yield the samples still to come that somebody waits for."""
        return (asked for asked in self.unanswered.values() if not (asked[0].squashed or asked[0].over))


class Pipeline(Generic[S, A]):
    """The steps that are open, in order, each on the state that the one before is expected to lead to.

    A task of its own, the scheduler, looks at what has come in and sends what is to be asked next, all in one call of the model.
    """

    def __init__(self, model: Model, speculation: Speculation) -> None:
        if isinstance(speculation.draft, str):
            raise BadInput(f"the draft {speculation.draft!r} has not been opened: see open_draft")
        self._model = model
        self._speculation = speculation
        self._terms: Terms[S, A] | None = None
        self._open: deque[OpenStep[S, A]] = deque()
        self._next = 0
        """The number of the step that would be opened next."""
        self._retired: OpenStep[S, A] | None = None
        """The step that was handed out last, until the next one is asked for."""
        self._wake, self._head_over = asyncio.Event(), asyncio.Event()
        self._lookahead: Lookahead[S] = Lookahead(speculation.draft, self._wake.set, self._fail)
        self._touched: list[OpenStep[S, A]] = []
        """Steps that something has happened to since the last look."""
        self._waiting: list[OpenStep[S, A]] = []
        """Steps that need further samples, but have to wait: for room, or for their turn if a call for them alone has failed."""
        self._calls: set[ModelCall[S, A]] = set()
        self._scheduler: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._acceptance, self._pace, self._ledger = Acceptance(), Pace(), Ledger()
        self._depth = 0
        self._reported = NOTHING if self.draft is None else self.draft.spent
        """What the draft has spent that has been told of, or was for another run."""

    @property
    def draft(self) -> Draft[S] | None:
        """Who proposes the states ahead, if it is not the leading ballot."""
        return self._lookahead.draft

    async def decide(self, terms: Terms[S, A], state: S, step: int) -> Decision[A]:
        """Return the decision of `step` on `state`, its turn having come.

        Raises `Stalled` and whatever else an election on just this state raises, and `ModelUnavailable`.
        """
        if self._scheduler is None:
            self._scheduler = self._background(self._schedule())
        self._verify(terms, state, step)
        while not (self._open and self._open[0].over):
            if self._failure is not None:
                raise self._failure
            self._head_over.clear()
            self._wake.set()
            await self._head_over.wait()
        return self._retire()

    def take_counts(self) -> Counter[str]:
        """Return what was counted since the last call, see `Ledger.counts`."""
        counts, self._ledger.counts = self._ledger.counts, Counter()
        if self.draft is not None and (spent := self.draft.spent) != self._reported:
            counts["draft_tokens"] = spent.total - self._reported.total
            counts["draft_uncounted"] = spent.uncounted - self._reported.uncounted
            self._reported = spent
        return counts

    @property
    def at_risk(self) -> int:
        """Samples that may turn out to be in vain: of the open steps, and those that may yet be asked for."""
        return sum(step.asked for step in self._open) + self._speculation.capacity

    def flush(self, state: S, step: int) -> None:
        """Count all open steps as in vain: nothing is asked ahead any more."""
        self._squash(0, state, step)

    async def aclose(self) -> None:
        """Drop everything; whatever still runs is cancelled."""
        # Nothing is asked again for a call that fails while it is being cancelled: nobody waits for it.
        for step in self._open:
            step.squashed = True
        tasks = [call.task for call in self._calls if call.task is not None]
        if self._scheduler is not None:
            tasks.append(self._scheduler)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._lookahead.aclose()

    @property
    def _head_number(self) -> int:
        """The number of the first open step."""
        return self._next - len(self._open)

    def _verify(self, terms: Terms[S, A], state: S, step: int) -> None:
        """Make the first open step the one whose turn it is; whatever does not fit is squashed."""
        taken, self._retired = self._retired, None
        if self.draft is not None and taken is not None and taken.step == step - 1:
            self.draft.decided(taken.state, state)
        if terms is not self._terms and terms != self._terms:
            self._terms = terms
            self._depth = self._best_depth(terms)
            self._squash(0, state, step)
        elif self._head_number != step or not self._expects(state):
            self._squash(0, state, step)

    def _expects(self, state: S) -> bool:
        if self._open:
            return self._open[0].state == state
        return bool(self._lookahead) and self._lookahead.first == state

    def _retire(self) -> Decision[A]:
        head = self._open[0]
        decision = head.decision()
        self._retired = self._open.popleft()
        self._ledger.use(head, len(self._open))
        if head.distance:
            self._acceptance.learn(head.distance, True)
        if head.step % ADAPT_EVERY == 0 and self._terms is not None:
            self._depth = self._best_depth(self._terms)
        self._wake.set()
        return decision

    def _best_depth(self, terms: Terms[S, A]) -> int:
        limits = self._speculation
        return best_depth(self._acceptance, self._pace, terms.fewest, limits.capacity, limits.depth)

    async def _schedule(self) -> None:
        """Send what is to be asked, whenever something has come in."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            asks = self._review() + self._open_ahead()
            if asks:
                self._send(asks)

    def _review(self) -> list[Asked[S, A]]:
        """See what the samples that came in mean for the steps after theirs, and what has to be asked once more."""
        stale, self._touched, self._waiting = self._waiting + self._touched, [], []
        asks: list[Asked[S, A]] = []
        for step in stale:
            if step.squashed:
                continue
            self._redirect(step)
            if not step.over and not step.outstanding:
                if step.refused and self._is_due(step):
                    self._send(self._asks(step))
                elif not step.refused and (self._is_head(step) or self._within_limits(step.fewest)):
                    asks += self._asks(step)
                else:
                    self._waiting.append(step)
            elif step.over and step.outstanding:
                self._cancel_what_is_in_vain()
            self._tell(step)
        return asks

    def _redirect(self, step: OpenStep[S, A]) -> None:
        """Drop the steps after this one if its ballots speak for another state than theirs.

        A draft's word weighs as much as a ballot here, but only here: where to ask, not what to decide.
        """
        place = step.step - self._head_number + 1
        if place < 1:
            return  # its turn is past
        if place < len(self._open):
            follower = self._open[place].state
        elif self._lookahead:
            follower = self._lookahead.first
        else:
            return
        expected = step.expected()
        own = 0 if step.decided else expected[follower] + (self.draft is not None)
        for state, votes in expected.most_common(1):
            if state != follower and votes > own:
                self._squash(place, state, step.step + 1)

    def _open_ahead(self) -> list[Asked[S, A]]:
        """Open as many steps as are known and allowed."""
        asks: list[Asked[S, A]] = []
        while self._terms is not None:
            if not self._lookahead:
                self._predict_by_ballots()
            if not self._lookahead:
                break
            if not self._lookahead.settled:
                if not self._lookahead.drafting:
                    self._lookahead.start_draft(self._path())
                    break
                if not self._turn_has_come:
                    break
            if not self._may_open(self._terms, self._lookahead.first):
                break
            asks += self._open_next(self._terms)
        return asks

    @property
    def _turn_has_come(self) -> bool:
        """Whether the step to be opened next is the one that is waited for, on a state that is certain."""
        return not self._open and self._retired is None

    def _path(self) -> list[S]:
        """Return the states from the one decided last to the last open one."""
        taken = [] if self._retired is None else [self._retired.state]
        return [*taken, *(step.state for step in self._open)]

    def _predict_by_ballots(self) -> None:
        """Expect the state that most ballots of the last open step lead to, if there are any."""
        if self._open:
            for state, _ in self._open[-1].expected().most_common(1):
                self._lookahead.advance(state)

    def _may_open(self, terms: Terms[S, A], state: S) -> bool:
        last = self._open[-1] if self._open else self._retired
        if last is None:
            return True  # its turn has come
        task, steps = terms.task, terms.task.steps()
        return (
            len(self._open) <= self._depth
            and self._within_limits(terms.fewest)
            and (steps is None or self._next < steps)
            and not hypothetically(True, task.acts, last.state)
            and not hypothetically(True, task.finished, state)
        )

    def _within_limits(self, samples: int) -> bool:
        """Whether so many samples may be asked for ahead of their turn."""
        certain = self._open[0].asked if self._open and self._retired is None else 0
        ledger, limits = self._ledger, self._speculation
        return ledger.in_flight + samples <= limits.capacity and ledger.allows(
            samples, certain, limits.max_waste
        )

    def _open_next(self, terms: Terms[S, A]) -> list[Asked[S, A]]:
        step = OpenStep(terms, self._next, *self._lookahead.pop())
        step.distance = len(self._open) + (self._retired is not None)
        self._ledger.counts["ahead"] += step.distance > 0
        self._next += 1
        self._open.append(step)
        return self._asks(step)

    def _asks(self, step: OpenStep[S, A]) -> list[Asked[S, A]]:
        """Return what is to be asked for a step; if it cannot be asked that is its failure, raised when its turn comes."""
        try:
            asks = [(step, number, ask) for number, ask in step.asks()]
        except Exception as failure:
            step.failure = failure
            self._tell(step)
            return []
        self._ledger.ask(len(asks))
        return asks

    def _tell(self, step: OpenStep[S, A]) -> None:
        """Let whoever waits for the first open step know that it is over."""
        if step.over and self._is_head(step):
            self._head_over.set()

    def _is_head(self, step: OpenStep[S, A]) -> bool:
        return bool(self._open) and step is self._open[0]

    def _is_due(self, step: OpenStep[S, A]) -> bool:
        """Whether it is this step's turn, on a state that is certain."""
        return self._is_head(step) and self._retired is None

    def _send(self, asked: Sequence[Asked[S, A]]) -> None:
        call = ModelCall(asked, self._ledger.in_flight)
        self._calls.add(call)
        call.task = self._background(self._draw(call))
        call.task.add_done_callback(lambda _: self._ended(call))

    async def _draw(self, call: ModelCall[S, A]) -> None:
        asks = [ask for *_, ask in call.unanswered.values()]
        try:
            async with aclosing(self._model.sample(asks)) as samples:
                async for position, sample in samples:
                    step, number, _ = call.unanswered.pop(position)
                    self._ledger.arrive(sample)
                    self._cast(step, number, sample)
            if call.unanswered:
                what = f"{len(call.unanswered)} of {len(asks)} asks unanswered"
                raise ModelUnavailable(f"{self._model.name} left {what}")
        except Exception as failure:
            self._split(call, failure)
        else:
            self._pace.learn(call.in_flight, time.monotonic() - call.since)

    def _split(self, call: ModelCall[S, A], failure: Exception) -> None:
        """Ask in smaller calls for what a failed one has left open.

        It may have failed because of a step on a state that never comes true.  Only if a step is asked for alone, in its
        turn, its failure is the run's: without speculation the run would end there, too.
        """
        awaited = sorted(call.awaited(), key=lambda asked: asked[0].step)
        self._ledger.in_flight -= len(call.unanswered)
        call.unanswered = {}
        steps = list(dict.fromkeys(step for step, *_ in awaited))
        if len(steps) > 1:
            self._ledger.in_flight += len(awaited)
            middle = steps[1 if self._is_due(steps[0]) else len(steps) // 2].step
            self._send([asked for asked in awaited if asked[0].step < middle])
            self._send([asked for asked in awaited if asked[0].step >= middle])
        elif steps and self._is_due(steps[0]) and call.alone:
            self._fail(failure)
        elif steps and self._is_due(steps[0]):
            self._ledger.in_flight += len(awaited)
            self._send(awaited)
        elif steps:
            steps[0].refuse([number for _, number, _ in awaited])
            self._ledger.asked -= len(awaited)
            self._touched.append(steps[0])

    def _cast(self, step: OpenStep[S, A], number: int, sample: Sample) -> None:
        if step.squashed or step.over:
            return
        try:
            step.cast(number, sample)
        except Exception as failure:
            # What a task does with a state that may never come true is raised only if it does.
            step.failure = failure
        if step.over or not step.outstanding or step.disputed or self.draft is None:
            self._touched.append(step)
        self._wake.set()

    def _ended(self, call: ModelCall[S, A]) -> None:
        self._ledger.in_flight -= len(call.unanswered)
        self._calls.discard(call)
        self._wake.set()

    def _squash(self, place: int, state: S, step: int) -> None:
        """Drop the open steps from `place` on; `state` is what `step`, the one at that place, is expected to start from."""
        squashed = [self._open.pop() for _ in range(len(self._open) - place)]
        for late in squashed:
            late.squashed = True
            self._ledger.waste(late)
        if squashed:
            self._ledger.counts["rejected"] += 1
            self._acceptance.learn(squashed[-1].distance, False)
        self._cancel_what_is_in_vain()
        if squashed or self._lookahead or self._next != step:
            self._lookahead.restart(state)
        else:
            self._lookahead.advance(state)
        self._next = step
        self._wake.set()

    def _cancel_what_is_in_vain(self) -> None:
        for call in self._calls:
            if call.task is not None and call.in_vain:
                call.task.cancel()

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task whose failure is the pipeline's."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (failure := task.exception()):
                self._fail(failure)

        task = asyncio.create_task(work)
        task.add_done_callback(ended)
        return task

    def _fail(self, failure: BaseException) -> None:
        self._failure = failure
        self._head_over.set()

"""Speculation: steps are asked about before their turn, on a state that is only expected, and count if it turns out right.

Why this changes no decision: the asks of a step are made from its input state, its number and the job's terms, nothing else
(`OpenStep`).  A step that was asked early on the state that the step before really led to has therefore sent the very asks
that it would have sent in its turn.  `Window.decide` compares the states before it hands a decision out; a step on any other state
is dropped with all that follow it.  Whoever proposes states, the leading ballot of the step before or a `Draft`, casts no ballot.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Coroutine, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..agents.model import Ask, Model
from ..errors import BadInput
from ..voting.samples import Sample
from .depth import Acceptance, Pace, best_depth
from .drafts import Draft
from .open_step import Decision, OpenStep, Terms

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)

Asked = tuple[OpenStep[S, A], int, Ask]
"""A step, the number of one of its samples, and the ask for it."""

AHEAD = ("ahead", "accepted", "rejected", "wasted_samples", "wasted_tokens", "depth", "decisions")
"""What a window counts, see `Window.news`; the names under which a job's counters have it."""
LOOK_AHEAD = 64
"""States that a draft may be ahead of what has been asked."""
ADAPT_EVERY = 16
"""Decisions between two looks at the depth."""


@dataclass(frozen=True, slots=True)
class Speculation:
    """How far ahead of the decided steps a run may ask, and on whose word."""

    draft: Draft[Any] | str | None = None
    """A draft, or one by name (see `open_draft`); None is the leading ballot of the step before."""
    depth: int = 256
    """Most steps ahead; what is used adapts to what is measured."""
    max_waste: float = 0.5
    """Largest share of all samples that may turn out to have been drawn in vain."""
    capacity: int = 256
    """Most samples in flight."""

    def __post_init__(self) -> None:
        for what in ("depth", "capacity"):
            if getattr(self, what) < 1:
                raise BadInput(f"{what} must be at least 1, not {getattr(self, what)!r}")
        if not 0 <= self.max_waste < 1:
            raise BadInput(f"max_waste is a share from 0 to below 1, not {self.max_waste!r}")


class Call(Generic[S, A]):
    """One call of the model: samples for several steps."""

    __slots__ = ("entries", "in_flight", "left", "since", "task")

    def __init__(self, entries: Sequence[tuple[OpenStep[S, A], int]], in_flight: int) -> None:
        self.entries = entries
        self.in_flight = in_flight
        self.left = len(entries)
        self.since = time.monotonic()
        self.task: asyncio.Task[None] | None = None

    @property
    def in_vain(self) -> bool:
        """Whether nobody waits for any of its samples."""
        return all(step.dropped or step.over for step, _ in self.entries)


class Window(Generic[S, A]):
    """The steps that are open, in order, each on the state that the one before is expected to lead to.

    A task of its own, the pump, looks at what has come in and sends what is to be asked next, all in one call of the model.
    """

    def __init__(self, model: Model, speculation: Speculation) -> None:
        if isinstance(speculation.draft, str):
            raise BadInput(f"the draft {speculation.draft!r} has not been opened: see open_draft")
        self._model = model
        self._speculation = speculation
        self.draft: Draft[S] | None = speculation.draft
        self._terms: Terms[S, A] | None = None
        self._open: deque[OpenStep[S, A]] = deque()
        self._ahead: deque[S] = deque()
        """Expected states of the steps to be opened next."""
        self._next = 0
        """The number of the step that would be opened next."""
        self._taken: OpenStep[S, A] | None = None
        """The step that was handed out last, until the next one is asked for."""
        self._roll: asyncio.Task[None] | None = None
        self._rolled_out = False
        """Whether the draft knows no further than `_ahead`."""
        self._room, self._wake, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stale: list[OpenStep[S, A]] = []
        """Steps that something has happened to since the last look."""
        self._calls: set[Call[S, A]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._acceptance, self._pace = Acceptance(), Pace()
        self._depth = 0
        self._in_flight = self._asked = self._used = 0
        self._tokens = self._arrived = 0
        self._news: Counter[str] = Counter()

    async def decide(self, terms: Terms[S, A], state: S, step: int) -> Decision[A]:
        """Return the decision of `step` on `state`, its turn having come.

        Raises `Stalled` and whatever else an election on just this state raises, and `ModelUnavailable`.
        """
        if self._pump is None:
            self._pump = self._started(self._work())
        self._align(terms, state, step)
        while not (self._open and self._open[0].over):
            if self._failure is not None:
                raise self._failure
            self._moved.clear()
            self._wake.set()
            await self._moved.wait()
        return self._take_head()

    def news(self) -> Counter[str]:
        """Return what was counted since the last call.

        `ahead`: steps asked about before their turn.  `accepted` and `rejected`: of these, the steps whose state was right, and
        those whose state was the first to be wrong.  `wasted_samples`, `wasted_tokens`: drawn for states that did not come
        true; the tokens of samples that were cut off are estimated from the others.  `depth`: the steps that were open
        ahead at each decision, summed up; `decisions`: their number.
        """
        news, self._news = self._news, Counter()
        return news

    async def aclose(self) -> None:
        """Drop everything; whatever still runs is cancelled."""
        tasks = [call.task for call in self._calls if call.task is not None]
        tasks += [task for task in (self._roll, self._pump) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _align(self, terms: Terms[S, A], state: S, step: int) -> None:
        """Make the first open step the one whose turn it is; whatever does not fit is dropped."""
        if self.draft is not None and self._taken is not None:
            self.draft.decided(self._taken.state, state)
        self._taken = None
        if terms is not self._terms:
            self._terms = terms
            self._depth = self._best_depth()
            self._cut(0, state, step)
        elif self._next - len(self._open) != step or self._expected_first() != state:
            self._cut(0, state, step)

    def _expected_first(self) -> S | None:
        if self._open:
            return self._open[0].state
        return self._ahead[0] if self._ahead else None

    def _take_head(self) -> Decision[A]:
        head = self._open[0]
        decision = head.decision()
        self._open.popleft()
        self._taken = head
        self._used += head.asked
        self._news["decisions"] += 1
        self._news["depth"] += len(self._open)
        if head.distance:
            self._news["accepted"] += 1
            self._acceptance.learn(head.distance, True)
        if head.step % ADAPT_EVERY == 0:
            self._depth = self._best_depth()
        self._wake.set()
        return decision

    def _best_depth(self) -> int:
        most = min(self._speculation.depth, self._speculation.capacity // self._fewest)
        return best_depth(self._acceptance, self._pace, self._fewest, most, self._speculation.max_waste)

    @property
    def _fewest(self) -> int:
        """Samples that a step takes at least."""
        assert self._terms is not None
        return self._terms.rule.wanted({}) + self._terms.spare

    async def _work(self) -> None:
        """Be the pump."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            asks = self._look() + self._extend()
            if asks:
                self._send(asks)

    def _look(self) -> list[Asked[S, A]]:
        """See what the samples that came in mean for the steps after theirs, and what has to be asked once more."""
        stale, self._stale = self._stale, []
        asks: list[Asked[S, A]] = []
        for step in stale:
            if step.dropped:
                continue
            self._compare(step)
            if not step.over and not step.outstanding:
                asks += self._asks(step)
            if step.over and self._open and step is self._open[0]:
                self._moved.set()
        return asks

    def _compare(self, step: OpenStep[S, A]) -> None:
        """Drop the steps after this one if its ballots speak for another state than theirs.

        A draft's word weighs as much as a ballot here, but only here: where to ask, not what to decide.
        """
        place = step.step - (self._next - len(self._open)) + 1
        if 0 < place < len(self._open):
            follower = self._open[place].state
        elif place > 0 and self._ahead:
            follower = self._ahead[0]
        else:
            return  # nobody follows, or its turn is past
        expected = step.expected()
        own = 0 if step.decided else expected[follower] + (self.draft is not None)
        for state, votes in expected.most_common(1):
            if state != follower and votes > own:
                self._cut(place, state, step.step + 1)

    def _extend(self) -> list[Asked[S, A]]:
        """Open as many steps as are known and allowed."""
        asks: list[Asked[S, A]] = []
        while self._terms is not None:
            if not self._ahead and not self._follow_ballots():
                break
            if self.draft is not None and len(self._ahead) == 1 and not self._rolled_out:
                # The draft says first where the step may lead: some models answer faster when they are told.
                self._start_roll(self.draft)
                break
            if not self._may_open(self._terms, self._ahead[0]):
                break
            asks += self._open_next(self._terms)
        return asks

    def _follow_ballots(self) -> bool:
        """Expect the state that most ballots of the last open step lead to, if there are any."""
        for state, _ in self._open[-1].expected().most_common(1) if self._open else ():
            self._expect(state)
            return True
        return False

    def _may_open(self, terms: Terms[S, A], state: S) -> bool:
        if not self._open and self._taken is None:
            return True  # its turn has come
        task, last = terms.task, self._open[-1] if self._open else self._taken
        assert last is not None
        steps, samples, waste = task.steps(), self._fewest, self._speculation.max_waste
        at_risk = self._asked - self._used + samples
        if self._open and self._taken is None:
            at_risk -= self._open[0].asked  # whose state is certain
        return (
            len(self._open) <= self._depth
            and self._in_flight + samples <= self._speculation.capacity
            and at_risk * (1 - waste) <= self._used * waste
            and (steps is None or self._next < steps)
            and not task.acts(last.state)
            and not task.finished(state)
        )

    def _open_next(self, terms: Terms[S, A]) -> list[Asked[S, A]]:
        state = self._ahead.popleft()
        if len(self._ahead) <= LOOK_AHEAD // 2:
            self._room.set()
        step = OpenStep(terms, self._next, state, self._ahead[0] if self._ahead else None)
        step.distance = len(self._open) + (self._taken is not None)
        self._news["ahead"] += step.distance > 0
        self._next += 1
        self._open.append(step)
        return self._asks(step)

    def _asks(self, step: OpenStep[S, A]) -> list[Asked[S, A]]:
        """Return what is to be asked for a step; if it cannot be asked that is its failure, raised when its turn comes."""
        try:
            asks = [(step, number, ask) for number, ask in step.asks()]
        except Exception as failure:
            self._fail(step, failure)
            return []
        self._asked += len(asks)
        self._in_flight += len(asks)
        return asks

    def _fail(self, step: OpenStep[S, A], failure: Exception) -> None:
        step.failure = failure
        if self._open and step is self._open[0]:
            self._moved.set()

    def _send(self, asked: Sequence[Asked[S, A]]) -> None:
        call = Call([(step, number) for step, number, _ in asked], self._in_flight)
        self._calls.add(call)
        call.task = self._started(self._draw(call, [ask for *_, ask in asked]))
        call.task.add_done_callback(lambda _: self._ended(call))

    async def _draw(self, call: Call[S, A], asks: Sequence[Ask]) -> None:
        async with aclosing(self._model.sample(asks)) as samples:
            async for position, sample in samples:
                call.left -= 1
                self._in_flight -= 1
                self._take(*call.entries[position], sample)
        self._pace.learn(call.in_flight, time.monotonic() - call.since)

    def _take(self, step: OpenStep[S, A], number: int, sample: Sample) -> None:
        self._tokens += sample.usage.total
        self._arrived += 1
        if step.dropped or step.over:
            return
        try:
            step.cast(number, sample)
        except Exception as failure:
            # What a task does with a state that may never come true is raised only if it does.
            self._fail(step, failure)
        if step.over or not step.outstanding or len(step.support) > 1 or self.draft is None:
            self._stale.append(step)
        self._wake.set()

    def _ended(self, call: Call[S, A]) -> None:
        self._in_flight -= call.left
        self._calls.discard(call)
        self._wake.set()

    def _cut(self, place: int, state: S, step: int) -> None:
        """Drop the open steps from `place` on; `state` is what `step`, the one at that place, is expected to start from."""
        dropped = [self._open.pop() for _ in range(len(self._open) - place)]
        for late in dropped:
            late.dropped = True
            self._news["wasted_samples"] += late.asked
            self._news["wasted_tokens"] += late.usage.total + late.outstanding * self._tokens // max(
                self._arrived, 1
            )
        if dropped:
            self._news["rejected"] += 1
            self._acceptance.learn(dropped[-1].distance, False)
        for call in self._calls:
            if call.task is not None and call.in_vain:
                call.task.cancel()
        self._next = step
        self._expect(state)
        self._wake.set()

    def _expect(self, state: S) -> None:
        """Go on from this state alone."""
        if self._roll is not None:
            self._roll.cancel()
            self._roll = None
        self._rolled_out = False
        self._ahead = deque([state])

    def _start_roll(self, draft: Draft[S]) -> None:
        if self._roll is None:
            taken = () if self._taken is None else (self._taken.state,)
            path = (*taken, *(step.state for step in self._open), *self._ahead)
            self._roll = self._started(self._follow(draft, path))

    async def _follow(self, draft: Draft[S], path: Sequence[S]) -> None:
        """Write down what a draft proposes, not too far ahead of what is asked."""
        async with aclosing(draft.roll(path)) as states:
            async for state in states:
                self._ahead.append(state)
                self._wake.set()
                if len(self._ahead) >= LOOK_AHEAD:
                    self._room.clear()
                    await self._room.wait()
        self._rolled_out = True
        self._wake.set()

    def _started(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task whose failure is the window's."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._notice)
        return task

    def _notice(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()):
            self._failure = failure
            self._moved.set()

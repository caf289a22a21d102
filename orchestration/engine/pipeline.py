"""The pipeline: steps that are asked for before their turn, on states that are only expected, and retired in order.

The invariants that it keeps are in the docstring of the package.
"""

import asyncio
from collections import Counter, deque
from operator import attrgetter, is_
from typing import Any, Generic

from surefoot.agents.tasks.codec import Codec, written
from surefoot.agents.tasks.failures import said
from surefoot.agents.tasks.task import A, S
from surefoot.errors import BadInput
from surefoot.models.base import Model
from surefoot.orchestration.budget import Paused
from surefoot.orchestration.events import Listen, Noted, ignore
from surefoot.orchestration.meter import Meter
from surefoot.voting.samples import NOTHING

from .background import background, cancel_once
from .calls import Calls, Placed
from .depth import Acceptance, best_depth
from .drafts import Draft
from .hypothetical import hypothetically
from .ledger import Ledger
from .lookahead import Lookahead
from .open_step import DECIDED, RETIRED, SQUASHED, Decision, OpenStep, Status, StepStalled, Terms
from .speculation import Speculation

ADAPT_EVERY = 64
"""Steps between two looks at the depth."""


class Pipeline(Generic[S, A]):
    """The open steps in order, the expected states beyond them, and the calls that ask for their samples.

    A task of its own, the scheduler, looks at what has come in and sends what is to be asked next, all in one
    call of the model.
    """

    def __init__(
        self, model: Model, speculation: Speculation, meter: Meter | None = None, listen: Listen = ignore
    ) -> None:
        if isinstance(speculation.draft, str):
            raise BadInput(f"the draft {speculation.draft!r} has not been opened: see open_draft")
        self.draft: Draft[S] | None = speculation.draft
        """What proposes the states ahead, if it is not the leading ballot."""
        self._speculation, self._meter, self._listen = speculation, meter, listen
        self.room: int | None = None
        """Samples that the budget lets be at risk; None without one."""
        self._terms: Terms[S, A] | None = None
        self._open: deque[OpenStep[S, A]] = deque()
        """Steps that are neither squashed nor retired; the first is the head."""
        self._next = 0
        """The number of the step that would be opened next."""
        self._retired: OpenStep[S, A] | None = None
        """The step that was handed out last, until the next one is asked for."""
        self._wake, self._head_over = asyncio.Event(), asyncio.Event()
        self._lookahead: Lookahead[S] = Lookahead(self.draft, self._wake.set, self._draft_failed)
        self._ledger, self._acceptance = Ledger(), Acceptance()
        # Without a draft the ballots propose the states, so that each of them may open a step.
        self._calls = Calls(
            model, self._ledger, every_ballot=self.draft is None, changed=self._wake.set, failed=self._fail
        )
        self._waiting: list[OpenStep[S, A]] = []
        """Steps that need further samples, but have to wait: for room, or for their turn if a call for them alone has failed."""
        self._scheduler: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self._draft_has_failed = False
        self._depth = 0
        self._reported = NOTHING if self.draft is None else self.draft.spent
        """What the draft has spent that has been told of, or was for another run."""

    async def decide(self, terms: Terms[S, A], state: S, step: int) -> Decision[A]:
        """Return the decision of `step` on `state`, its turn having come.

        Raises `Stalled` and whatever else an election on just this state raises, and `ModelUnavailable`.
        """
        if self._scheduler is None:
            self._scheduler = background(self._schedule(), self._fail)
        self._verify(terms, state, step)
        while not (self._open and self._open[0].over):
            if self._failure is not None:
                raise self._failure
            # Nothing else runs between the look at the head and the wait, so that no `set` is lost.
            self._head_over.clear()
            self._wake.set()  # WAKE-UP: a step that is due is allowed more than it was
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
    def may_waste(self) -> int:
        """Samples that may turn out to be wasted: of the open steps, and those that may yet be asked for before the next step is due."""
        return self._asked + self._speculation.capacity

    @property
    def _asked(self) -> int:
        return sum([step.asked for step in self._open])

    async def aclose(self) -> None:
        """Drop everything, and count it as wasted; whatever still runs is cancelled."""
        # A call that fails while it is being cancelled is not asked again: samples of a squashed step count for nothing.
        while self._open:
            step = self._open.popleft()
            # What these failures of a step whose turn has come carry is on the bill with them.
            if not (step.due and isinstance(step.failure, StepStalled | Paused)):
                self._ledger.waste(step)
            step.squash()
        tasks = [*self._calls.owed]
        if self._scheduler is not None:
            tasks.append(self._scheduler)
        # All before the first await: a call that has not begun yet never asks.
        for task in tasks:
            cancel_once(task)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._lookahead.aclose()

    @property
    def _head_number(self) -> int:
        return self._next - len(self._open)

    def _verify(self, terms: Terms[S, A], state: S, step: int) -> None:
        """Make the head the step whose turn it is, on its true state; whatever does not fit is squashed."""
        retired, self._retired = self._retired, None
        # After a rewind the step asked for is not the one after the last: nothing led from there to here.
        if self.draft is not None and retired is not None and retired.step == step - 1:
            self.draft.decided(retired.state, state)
        # SAME ASKS: what is open was asked on other terms.  (By identity first: to compare tasks may take long.)
        other_terms = terms is not self._terms and terms != self._terms
        if other_terms:
            self._terms, self._depth = terms, self._best_depth(terms)
        # TRUE STATE: from here on the head, or the next to be opened, is this step on this state.
        codec = terms.task.state_codec
        fits = not other_terms and self._head_number == step
        if not fits or not any(_same(codec, expected, state) for expected in self._expected_at(0)):
            self._squash(0, state, step)
        if self._open:
            self._open[0].due = True

    def _expected_at(self, place: int) -> list[S]:
        """Return the state that the step at this place, 0 the head's, is expected to start from; none if none is."""
        if place < len(self._open):
            return [self._open[place].state]
        return [self._lookahead.first] if self._lookahead else []

    def _retire(self) -> Decision[A]:
        head = self._open[0]  # IN ORDER: no other is ever handed out
        decision = head.retire()  # if it raises, the head stays, and a second `decide` raises the same
        self._retired = self._open.popleft()
        self._ledger.use(head, len(self._open))
        if head.distance:
            self._acceptance.learn(head.distance, True)
        if head.step % ADAPT_EVERY == 0 and self._terms is not None:
            self._depth = self._best_depth(self._terms)
        self._wake.set()  # WAKE-UP: there is room for one more step
        return decision

    def hand_over(self) -> None:
        """Take the head off, which has failed: it is decided by other means, and what it has cost goes with that decision."""
        head = self._retired = self._open.popleft()  # IN ORDER: the head alone
        self._ledger.use(head, len(self._open))
        if head.distance:
            self._acceptance.learn(head.distance, True)
        head.squash()  # so that a look at what was touched passes it by
        self._wake.set()  # WAKE-UP: there is room for one more step

    def _best_depth(self, terms: Terms[S, A]) -> int:
        limits = self._speculation
        return best_depth(self._acceptance, self._calls.pace, terms.fewest, limits.capacity, limits.depth)

    async def _schedule(self) -> None:
        """Send what is to be asked, whenever something has come in."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            asks = self._review() + self._open_ahead()
            if asks:
                self._calls.send(asks)

    def _review(self) -> list[Placed]:
        """See what the samples that came in mean for the steps after theirs, and what has to be asked once more."""
        steps, self._calls.touched, self._waiting = self._waiting + self._calls.touched, [], []
        asks: list[Placed] = []
        # In order, so that a step is squashed before it is looked at, and not when it has been asked for.
        for step in sorted(steps, key=attrgetter("step")):
            if step.status is SQUASHED:
                continue  # after its samples came in, perhaps by one of those just seen here
            if step.status is not RETIRED:
                self._redirect(step)
            match step.status:
                case Status.READY if step.due or self._within_limits(step.wanted):
                    # ONE CALL: nothing of it is outstanding.  BOUNDS: within them before its turn, also at the head, whose state
                    # may not be decided for long yet: a step climbs, or the journal waits for Redis.
                    # PROGRESS: without them in its turn, which wakes the scheduler.
                    asks += self._asks(step)
                case Status.REFUSED if step.due:
                    # ITS TURN: in a call of its own.  If that fails this step is to blame, on its true state.
                    # There is something to ask: its prompts are rendered already, and what it may cost was checked.
                    self._calls.send(self._asks(step))
                case Status.READY | Status.REFUSED:
                    self._waiting.append(step)
                case Status.DECIDED | Status.FAILED | Status.RETIRED if step.outstanding:
                    self._calls.cancel_in_vain()
            self._tell(step)
        return asks

    def _redirect(self, step: OpenStep[S, A]) -> None:
        """Squash the steps after this one if its ballots speak for another state than theirs.

        With a draft the state asked ahead weighs one ballot more, whoever said it: where to ask is at stake, not what to decide.
        """
        place = step.step - self._head_number + 1
        for follower in self._expected_at(place):
            expected = step.expected()
            # Once it is decided there is one state alone, and no word against it.
            own = 0 if step.status is DECIDED else expected[follower] + (self.draft is not None)
            for state, votes in expected.most_common(1):
                if state != follower and votes > own:
                    self._squash(place, state, step.step + 1)

    def _open_ahead(self) -> list[Placed]:
        """Open as many steps as are known and allowed."""
        asks: list[Placed] = []
        while self._terms is not None:
            if not self._lookahead:
                self._predict_by_ballots()
            if not self._lookahead:
                break
            if not self._lookahead.settled:
                if not self._lookahead.drafting:
                    self._lookahead.start_draft(self._path())
                    break  # it wakes the scheduler, and may have said something by then
                if not self._turn_has_come:
                    break  # PROGRESS: else it is opened without an expected next state
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
        retired = [] if self._retired is None else [self._retired.state]
        return [*retired, *(step.state for step in self._open)]

    def _predict_by_ballots(self) -> None:
        """Expect the state that most ballots of the last open step lead to, if there are any."""
        if self._open:
            for state, _ in self._open[-1].expected().most_common(1):
                self._lookahead.advance(state)

    def _may_open(self, terms: Terms[S, A], state: S) -> bool:
        last = self._open[-1] if self._open else self._retired
        if last is None:
            return True  # PROGRESS: its turn has come
        task, steps = terms.task, terms.task.steps()
        return (
            # BOUNDS: one more than the depth, for the head, which is not ahead once its turn has come.
            len(self._open) <= self._depth
            and self._within_limits(terms.fewest)
            and (steps is None or self._next < steps)
            # BARRIER: also where the task raises, as it may on a state that never comes true.
            and (terms.acting is None or not hypothetically(True, terms.acting.acts, state))
            and not hypothetically(True, task.finished, state)
        )

    def _within_limits(self, samples: int) -> bool:
        """Whether so many samples may be asked for ahead of their turn: BOUNDS."""
        if self.room is not None and self._asked + samples > self.room:
            return False
        certain = self._open[0].asked if self._open and self._open[0].due else 0
        ledger, limits = self._ledger, self._speculation
        fits = ledger.in_flight + samples <= limits.capacity
        return fits and ledger.allows(samples, certain, limits.max_waste)

    def _open_next(self, terms: Terms[S, A]) -> list[Placed]:
        step = OpenStep(terms, self._next, *self._lookahead.pop())
        step.due = self._turn_has_come
        step.distance = len(self._open) + (self._retired is not None)
        self._ledger.counts["ahead"] += step.distance > 0
        # IN ORDER: at the end, by the next number.  ONE CALL: a new step has nothing outstanding.
        self._next += 1
        self._open.append(step)
        return self._asks(step)

    def _asks(self, step: OpenStep[S, A]) -> list[Placed]:
        try:
            # BOUNDS: what the first samples may cost was checked before the step; only a further round may be too much.
            if self._meter is not None and step.due and step.drawn and step.status is Status.READY:
                self._meter.check_more(step.step, step.usage, len(step.drawn), step.wanted)
            asks = [(step, number, ask) for ask, number in zip(step.asks(), step.numbers, strict=True)]
        except Exception as failure:
            step.fail(failure)
            self._tell(step)
            return []
        self._ledger.ask(len(asks))  # ACCOUNTS: all of them are sent
        return asks

    def _tell(self, step: OpenStep[S, A]) -> None:
        """Wake `decide`, which waits for the head, if this is the head and it is over."""
        # At once, not at the end of a look: `decide` is then scheduled before a draft that this look may start, and the draft is told
        # what was decided before it begins.
        if step.over and step is self._open[0]:
            self._head_over.set()

    def _squash(self, place: int, state: S, step: int) -> None:
        """Drop the open steps from `place` on; `state` is what `step`, the one at that place, is expected to start from."""
        # IN ORDER: none remains behind one that is dropped.
        squashed = [self._open.pop() for _ in range(len(self._open) - place)]
        for late in squashed:
            late.squash()
            self._ledger.waste(late)
        if squashed:
            # Only the first of them was wrong, and is counted: those after it were built on it.
            self._ledger.counts["rejected"] += 1
            self._acceptance.learn(squashed[-1].distance, False)
        self._calls.cancel_in_vain()
        if squashed or self._lookahead or self._next != step:
            self._lookahead.restart(state)
        else:
            # Nothing that was expected is wrong: the draft is only late, and may go on with what it is at.
            self._lookahead.advance(state)
        self._next = step
        self._wake.set()  # WAKE-UP

    def _draft_failed(self, failure: BaseException) -> None:
        """End the run if what the draft was at follows from the state decided last, or from one before; else say so."""
        # ITS TURN: a squash ends the draft, so that all before the open steps has come true.  In places: the state decided last is 1,
        # then the open steps, then what is drafted.  At 1 or less the draft has failed on a state that is certain.
        if len(self._path()) + self._lookahead.drafted <= 1:
            self._fail(failure)
        elif not self._draft_has_failed:
            self._draft_has_failed = True
            name = "" if self.draft is None else f" ({self.draft.name})"
            self._listen(Noted(sentence=f"the draft{name} has failed, the run goes on: {said(failure)}"))

    def _fail(self, failure: BaseException) -> None:
        self._failure = failure
        self._head_over.set()


def _same(codec: Codec[S] | None, expected: S, state: S) -> bool:
    """Whether equal states are written alike, too: (1,) equals (True,), but a task may ask otherwise about it."""
    if expected is state:
        return True
    if expected != state:
        return False
    if codec is not None:
        # ITS TURN: the expected state is what a draft has made, which the codec may not take.
        known = hypothetically(None, lambda: (written(codec, expected),))
        return known is not None and bool(known[0] == written(codec, state))
    return _of_same_types(expected, state)


def _of_same_types(one: Any, other: Any) -> bool:
    """Whether equal plain values have parts of the same types; named tuples are tuples, as which they come back from the journal."""
    if not isinstance(one, tuple):
        return type(one) is type(other)
    # Most parts are small numbers, and these are the same object.
    return all(map(is_, one, other)) or all(map(_of_same_types, one, other))

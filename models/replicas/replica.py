"""One replica: its circuit breaker, how long it takes, and what it owes."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import NamedTuple

from surefoot.models.base import Model, ModelUnavailable

FAILURES = 2
"""Failures without an answer between them that open the breaker: one by itself is a dropped connection."""
FIRST_REST_S, LONGEST_REST_S = 0.5, 15.0
"""How long a replica is left alone, first and at most; it doubles."""
STEADY = 20
"""Answers in a row after which the next rest is the first one again."""
SMOOTHING = 0.2
"""Weight of the latest answer in the smoothed latency."""
HALF_LIFE_S = 10.0
"""In so long half of what a replica was slower than the quickest is forgotten: one that nobody asks could not show that it has recovered."""
NOISE_S = 0.01
"""Latencies below it differ by chance."""


class BreakerState(StrEnum):
    """Whether a replica is asked.

    closed --failures--> open --its rest is over--> half-open --an answer--> closed
                           ^-----------a failure--------'

    Set aside, for good, is one whose answers differ from those of the others beyond chance, or that serves another model.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    SET_ASIDE = "set aside"


class ReplicaCounts(NamedTuple):
    """How a replica has done so far; numbers are those of asks."""

    server: str
    state: BreakerState
    asked: int
    answered: int
    failed: int
    """Left unanswered by a failure."""
    hedged: int
    """Given to it because another replica was late."""
    outstanding: int
    latency_s: float | None
    """Smoothed time to an answer; None before the first."""


class Replica:
    """A model among several that answer alike."""

    def __init__(
        self, model: Model, server: str, clock: Callable[[], float], changed: "Callable[[Replica], None]"
    ) -> None:
        self.model, self.server = model, server
        self.state = BreakerState.CLOSED
        self.error = ""
        """Why it was last left alone, or is set aside."""
        self.met = False
        """Its name is known, and is that of the others."""
        self.asked = self.answered = self.failed = self.hedged = self.outstanding = 0
        self.rest_s = 0.0
        """How long it is left alone this time."""
        self._clock, self._changed = clock, changed
        self._next_rest_s = FIRST_REST_S
        self._tried_again_at = 0.0
        self._epoch = 0
        self._failures = self._answers_in_row = 0
        self._latency_s: float | None = None
        self._latest = 0.0
        self._given: set[Assignment] = set()

    @property
    def latency_s(self) -> float | None:
        """Return the smoothed time to an answer."""
        return self._latency_s

    @property
    def due(self) -> bool:
        """Whether it has been left alone for long enough to be tried with one ask."""
        return self.state is BreakerState.OPEN and self._clock() >= self._tried_again_at

    def counts(self) -> ReplicaCounts:
        """Return how it has done so far."""
        return ReplicaCounts(
            server=self.server,
            state=self.state,
            asked=self.asked,
            answered=self.answered,
            failed=self.failed,
            hedged=self.hedged,
            outstanding=self.outstanding,
            latency_s=self._latency_s,
        )

    def cost(self, more: int, quickest_s: float) -> float:
        """Return how little it suits to be given so many asks more: what is outstanding then, times the square of the latency.

        Times the latency alone is what Finagle's load balancer compares (peak EWMA, twitter.github.io/finagle/guide/Clients.html).
        Squared, since a step waits for its slowest sample: a slow one that is kept as full as the others holds up all that follows.
        """
        latency_s = quickest_s if self._latency_s is None else self._latency_s
        if latency_s > quickest_s:
            forgotten = math.exp2(-(self._clock() - self._latest) / HALF_LIFE_S)
            latency_s = quickest_s + (latency_s - quickest_s) * forgotten
        return (self.outstanding + more) * max(latency_s, NOISE_S) ** 2

    def assign(self, count: int) -> "Assignment":
        """Give it so many asks; where it was left alone they are what it is tried with."""
        if self.state is BreakerState.OPEN:
            self.state = BreakerState.HALF_OPEN
            self._epoch += 1
        self.asked += count
        self.outstanding += count
        given = Assignment(self, count, self._epoch, self._clock())
        self._given.add(given)
        return given

    def leave_alone(self, why: str, at_least_s: float = 0.0) -> None:
        """Open the breaker."""
        tried = self.state is BreakerState.HALF_OPEN
        self.error = why
        self.rest_s = max(self._next_rest_s, at_least_s)
        self._next_rest_s = min(2 * self._next_rest_s, LONGEST_REST_S)
        self._tried_again_at = self._clock() + self.rest_s
        self._epoch += 1
        self._answers_in_row = 0
        self.state = BreakerState.OPEN
        if tried:
            # It fails still: what it was given before will not be answered either, and is asked elsewhere.
            for given in self._given:
                given.interrupt()
        else:
            self._changed(self)

    def set_aside(self, why: str) -> None:
        """Ask it no more."""
        self.state, self.error = BreakerState.SET_ASIDE, why
        self._epoch += 1
        self._changed(self)

    def _answer(self, given: "Assignment") -> None:
        self._learn(self._clock() - given.began)
        self.answered += 1
        self.outstanding -= 1
        if given.epoch != self._epoch:
            return  # From before the breaker opened: it is for the trial to say whether it may close.
        self._failures = 0
        self._answers_in_row += 1
        if self._answers_in_row == STEADY:
            self._next_rest_s = FIRST_REST_S
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.CLOSED
            self._changed(self)

    def _fail(self, given: "Assignment", why: str, at_least_s: float, certain: bool) -> None:
        self.failed += given.left
        self.outstanding -= given.left
        given.left = 0
        if self.state is not BreakerState.SET_ASIDE:
            self.error = why
        if given.epoch != self._epoch:
            return  # Those that were in flight together fail together, and open it once.
        self._failures += 1
        if certain or at_least_s or self._failures >= FAILURES or self.state is BreakerState.HALF_OPEN:
            self._failures = 0
            self.leave_alone(why, at_least_s)

    def _learn(self, latency_s: float) -> None:
        before_s = latency_s if self._latency_s is None else self._latency_s
        self._latency_s, self._latest = before_s + SMOOTHING * (latency_s - before_s), self._clock()

    def _over(self, given: "Assignment") -> None:
        self._given.discard(given)
        waited_s = self._clock() - given.began
        if given.left and waited_s > (self._latency_s or 0.0):
            self._learn(
                waited_s
            )  # Cancelled, and not answered for so long: or one that is too slow to answer would seem quick.
        self.outstanding -= given.left
        given.left = 0
        if self.state is BreakerState.HALF_OPEN and given.epoch == self._epoch:
            # A trial that was cancelled has said nothing: the next ask is one.
            self.state = BreakerState.OPEN


class Assignment:
    """Asks that a replica was given together, for as long as it owes an answer to any of them."""

    def __init__(self, replica: Replica, count: int, epoch: int, began: float) -> None:
        self.replica, self.left, self.epoch, self.began = replica, count, epoch, began
        self._timeout: asyncio.Timeout | None = None

    def add(self, count: int) -> None:
        """Give as many asks more, before it is begun."""
        self.left += count
        self.replica.asked += count
        self.replica.outstanding += count

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Hold a block that `interrupt` ends, which then raises `ModelUnavailable`."""
        try:
            async with asyncio.timeout(None) as timeout:
                self._timeout = timeout
                try:
                    yield
                finally:
                    self._timeout = None
        except TimeoutError:
            if not timeout.expired():
                raise
            raise ModelUnavailable(f"{self.replica.server} has not answered, and fails by now") from None

    def interrupt(self) -> None:
        """End the block, if it has begun."""
        if (timeout := self._timeout) is not None:
            self._timeout = None  # A second one, while the block is ending, would be an error.
            timeout.reschedule(asyncio.get_running_loop().time())

    def answered(self) -> None:
        """Note an answer."""
        self.left -= 1
        self.replica._answer(self)

    def failed(self, why: str, at_least_s: float = 0.0, *, certain: bool = False) -> None:
        """Note a failure; the replica is to be left alone for `at_least_s` seconds, and at once if it is `certain` that it fails."""
        self.replica._fail(self, why, at_least_s, certain)

    def over(self) -> None:
        """Take off what it has not answered; said twice it changes nothing."""
        self.replica._over(self)

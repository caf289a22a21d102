"""How many requests may be in flight at once: found out by trying, one server at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from surefoot.errors import BadInput

SHORTEST_ROUND = 8
"""Fewest answers that a latency is averaged over; at higher limits a round is as long as the limit."""
SMOOTHING = 0.25
"""Weight of the latest round in the smoothed latency."""
TOLERANCE = 16.0
"""How many times the best smoothed latency is too slow.

Generous on purpose: a batching server answers each request several times slower when full and is still faster in all.
"""
NOISE_S = 0.05
"""Latencies that differ by less say nothing about load."""
RELIEF = 0.9
"""Halving helped if the latency of the next round is at most this share of the one before."""


class Limiter:
    """Lets in a number of requests that adapts to the server: additive increase, multiplicative decrease.

    The limit doubles with every round of answers until the first sign of overload, then grows by one a round, and only
    while it is in use.  It is halved, at most once for the requests that were in flight together, when the server says
    so (429, 503) or when the smoothed latency exceeds `TOLERANCE` times the best one seen.  If halving does not make
    answers faster then load was not what made them slow (longer prompts, say, or other users), and the new latency
    becomes the best one.  Requests that wait are let in first come, first served.

        limiter = Limiter(ceiling=64)
        async with limiter.slot() as slot:
            response = await ask()
            if response.status_code == 429:
                slot.overloaded()
    """

    def __init__(
        self, ceiling: int = 256, *, start: int = 16, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if ceiling < 1:
            raise BadInput(f"at least one request must be allowed in flight, not {ceiling!r}")
        self._ceiling = ceiling
        self._limit = float(min(start, ceiling))
        self._clock = clock
        self._in_flight = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._epoch = 0
        self._slow_start = True
        self._full = False
        self._best_s: float | None = None
        self._smoothed_s: float | None = None
        self._before_halving_s: float | None = None
        self._at, self._busy_s, self._allowed_s = clock(), 0.0, 0.0
        self._ended = 0
        self._start_round()

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return int(self._limit)

    @property
    def in_flight(self) -> int:
        """Requests that are."""
        return self._in_flight

    def so_far(self) -> tuple[int, float, float]:
        """Return the requests that are over, the seconds that requests were in flight, and the seconds that they may have been."""
        self._pass()
        return self._ended, self._busy_s, self._allowed_s

    def slot(self) -> "Slot":
        """Return an async context manager that waits its turn and holds one place."""
        return Slot(self)

    async def _acquire(self) -> tuple[int, float]:
        self._pass()
        if self._waiters or self._in_flight >= self.limit:
            await self._turn()
        else:
            self._in_flight += 1
        self._full = self._full or self._in_flight >= self.limit
        return self._epoch, self._clock()

    async def _turn(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # The place may have been granted in the same turn of the loop as the cancellation: pass it on.
            if waiter.done() and not waiter.cancelled():
                self._release()
            raise

    def _admit(self) -> None:
        while self._waiters and self._in_flight < self.limit:
            waiter = self._waiters.popleft()
            if not waiter.cancelled():
                self._in_flight += 1
                waiter.set_result(None)

    def _pass(self) -> None:
        """Count the time that has passed since requests in flight, or the limit, last changed."""
        now = self._clock()
        passed_s, self._at = now - self._at, now
        self._busy_s += self._in_flight * passed_s
        self._allowed_s += self.limit * passed_s

    def _release(self) -> None:
        self._in_flight -= 1
        self._admit()

    def _learn(self, epoch: int, latency_s: float) -> None:
        """Take one answer into account, unless its request was sent before the last halving."""
        if epoch != self._epoch:
            return
        if self._full:
            self._limit = min(self._limit + (1 if self._slow_start else 1 / self._limit), self._ceiling)
        self._latencies_s += latency_s
        self._answers += 1
        if self._answers == self._round:
            self._judge(self._latencies_s / self._answers)
            self._start_round()

    def _judge(self, mean_s: float) -> None:
        before_s, self._before_halving_s = self._before_halving_s, None
        smoothed_s = mean_s if self._smoothed_s is None else self._smoothed_s
        self._smoothed_s = smoothed_s = smoothed_s + SMOOTHING * (mean_s - smoothed_s)
        in_vain = before_s is not None and mean_s > RELIEF * before_s
        self._best_s = best_s = (
            smoothed_s if self._best_s is None or in_vain else min(self._best_s, smoothed_s)
        )
        if smoothed_s > TOLERANCE * best_s and smoothed_s - best_s > NOISE_S:
            self._halve(self._epoch)
            self._before_halving_s = mean_s

    def _halve(self, epoch: int) -> None:
        if epoch != self._epoch:
            return
        self._epoch += 1
        self._slow_start = False
        # Within a round the limit may have doubled already: what was too much is what the round began with.
        self._limit = max(1.0, min(self._limit, self._round) / 2)
        self._smoothed_s = self._before_halving_s = None
        self._start_round()

    def _start_round(self) -> None:
        self._latencies_s, self._answers = 0.0, 0
        self._round = max(SHORTEST_ROUND, self.limit)
        self._full = self._in_flight >= self.limit


class Slot:
    """One request's place; it tells the limiter how the request fared."""

    __slots__ = ("_began", "_epoch", "_limiter", "_overloaded", "_started")

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._overloaded = False
        self._began: float | None = None

    def began(self) -> None:
        """Report that the answer has begun: how long it then goes on says nothing about load, but about its length."""
        if self._began is None:
            self._began = self._limiter._clock()

    def overloaded(self) -> None:
        """Report that the server turned the request away because it has too many."""
        self._overloaded = True

    async def __aenter__(self) -> "Slot":
        self._epoch, self._started = await self._limiter._acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        limiter = self._limiter
        limiter._pass()
        limiter._ended += 1
        if self._overloaded:
            limiter._halve(self._epoch)
        elif kind is None:
            ended = limiter._clock() if self._began is None else self._began
            limiter._learn(self._epoch, ended - self._started)
        limiter._release()

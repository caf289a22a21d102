"""The limit of requests in flight: what moves it, and who gets in."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.models.openai.limiter import TOLERANCE, Limiter, Slot


class Clock:
    """Time that passes on request."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def one_round(limiter: Limiter, clock: Clock, latency_s: float, *, overloaded: bool = False) -> None:
    """Fill the limit, let all requests take the same time, and let them go."""
    slots = [limiter.slot() for _ in range(limiter.limit)]
    for slot in slots:
        await slot.__aenter__()
    clock.now += latency_s
    for slot in slots:
        if overloaded:
            slot.overloaded()
        await slot.__aexit__(None, None, None)


async def test_it_doubles_each_round_until_the_first_overload_and_then_grows_by_one() -> None:
    clock = Clock()
    limiter = Limiter(1000, start=8, clock=clock)
    await one_round(limiter, clock, 0.1)
    await one_round(limiter, clock, 0.1)
    doubled = limiter.limit
    await one_round(limiter, clock, 0.1, overloaded=True)
    halved = limiter.limit
    for _ in range(5):
        await one_round(limiter, clock, 0.1)
    assert doubled == 32
    assert halved == doubled // 2
    assert halved + 2 <= limiter.limit <= halved + 5


async def test_how_long_a_stream_goes_on_is_not_taken_for_load() -> None:
    clock = Clock()
    limits = []
    for told in (True, False):
        limiter = Limiter(64, start=64, clock=clock)
        for number in range(200):
            async with limiter.slot() as slot:
                clock.now += 0.1
                if told:
                    slot.began()
                clock.now += 0.0 if number < 100 else 10 * TOLERANCE
        limits.append(limiter.limit)
    assert limits[0] == 64 > limits[1]


async def test_it_does_not_grow_while_it_is_not_in_use() -> None:
    limiter = Limiter(start=4)
    for _ in range(100):
        async with limiter.slot():
            pass
    assert limiter.limit == 4


async def test_a_round_of_refusals_halves_it_once() -> None:
    clock = Clock()
    limiter = Limiter(64, start=64, clock=clock)
    await one_round(limiter, clock, 0.1, overloaded=True)
    assert limiter.limit == 32


async def test_it_stays_between_one_and_the_ceiling() -> None:
    clock = Clock()
    limiter = Limiter(10, clock=clock)
    for _ in range(50):
        await one_round(limiter, clock, 0.1)
    assert limiter.limit == 10
    for _ in range(50):
        await one_round(limiter, clock, 0.1, overloaded=True)
    assert limiter.limit == 1


async def test_it_stops_growing_where_answers_become_too_slow() -> None:
    clock = Clock()
    limiter = Limiter(4096, clock=clock)
    highest = 0
    for number in range(400):
        await one_round(limiter, clock, 0.1 * max(1.0, limiter.limit / 16))
        if number > 20:
            highest = max(highest, limiter.limit)
    assert 16 < highest <= 18 * TOLERANCE


async def test_noise_does_not_halve_it() -> None:
    clock, rng = Clock(), random.Random(7)
    limiter = Limiter(32, start=32, clock=clock)
    for _ in range(500):
        await one_round(limiter, clock, rng.lognormvariate(-2, 0.8))
    assert limiter.limit == 32


async def test_fast_servers_are_not_judged_by_the_jitter_of_the_event_loop() -> None:
    clock = Clock()
    limiter = Limiter(32, start=32, clock=clock)
    for latency_s in (0.0005, 0.02) * 50:
        await one_round(limiter, clock, latency_s)
    assert limiter.limit == 32


async def test_answers_that_are_slow_for_another_reason_than_load_do_not_throttle_it() -> None:
    clock = Clock()
    limiter = Limiter(64, start=64, clock=clock)
    for _ in range(5):
        await one_round(limiter, clock, 0.1)
    lowest = 64
    for _ in range(60):
        await one_round(limiter, clock, 10.0)
        lowest = min(lowest, limiter.limit)
    assert lowest == 32
    assert limiter.limit == 64


async def test_failed_requests_teach_it_nothing() -> None:
    limiter = Limiter(start=1)
    for _ in range(10):
        with pytest.raises(ConnectionError):
            async with limiter.slot():
                raise ConnectionError
    assert (limiter.limit, limiter.in_flight) == (1, 0)


def test_a_ceiling_below_one_is_refused() -> None:
    with pytest.raises(BadInput, match="0"):
        Limiter(0)


class Guest:
    """A task that enters, stays until told to leave, and writes down when it got in."""

    def __init__(self, limiter: Limiter, arrivals: "list[Guest]") -> None:
        self.inside = False
        self.slot: Slot | None = None
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._stay(limiter, arrivals))

    async def _stay(self, limiter: Limiter, arrivals: "list[Guest]") -> None:
        async with limiter.slot() as self.slot:
            self.inside = True
            arrivals.append(self)
            try:
                await self._leave.wait()
            finally:
                self.inside = False

    def leave(self, overloaded: bool) -> None:
        assert self.slot
        if overloaded:
            self.slot.overloaded()
        self._leave.set()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "overloaded", "cancel", "leave and cancel"]), st.integers(0, 99)
    ),
    max_size=60,
)


@given(OPERATIONS)
@settings(max_examples=200)
def test_requests_are_let_in_in_turn_and_none_is_lost_when_others_are_cancelled(
    operations: list[tuple[str, int]],
) -> None:
    asyncio.run(_check_guests(operations))


async def _check_guests(operations: list[tuple[str, int]]) -> None:
    limiter = Limiter(8, start=2)
    guests: list[Guest] = []
    arrivals: list[Guest] = []
    for operation, which in operations:
        inside = [guest for guest in guests if guest.inside]
        here = [guest for guest in guests if not guest.task.done()]
        if operation == "enter":
            guests.append(Guest(limiter, arrivals))
        elif operation in ("leave", "overloaded") and inside:
            inside[which % len(inside)].leave(operation == "overloaded")
        elif operation == "cancel" and here:
            here[which % len(here)].task.cancel()
        elif operation == "leave and cancel" and inside and len(here) > len(inside):
            # The place is granted to the first who waits, who is cancelled before it can run.
            waiting = [guest for guest in here if not guest.inside]
            inside[which % len(inside)].leave(overloaded=False)
            await asyncio.sleep(0)
            waiting[0].task.cancel()
        await settle()
        inside = [guest for guest in guests if guest.inside]
        waiting = [guest for guest in guests if not guest.inside and not guest.task.done()]
        assert limiter.in_flight == len(inside)
        assert not waiting or len(inside) >= limiter.limit
    order = [guests.index(guest) for guest in arrivals]
    assert order == sorted(order)
    for _ in guests:
        for guest in guests:
            if guest.inside:
                guest.leave(overloaded=False)
        await settle()
    assert limiter.in_flight == 0
    assert all(guest.task.done() for guest in guests)

"""What a model asks of its servers is counted."""

import asyncio
from contextlib import aclosing

from surefoot.models import Ask, Equated, Model, Replicas
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer, Fault
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.limiter import Limiter
from surefoot.models.server_load import server_load_of

ASKS = [Ask("---;AabcBC>", 0.1, 50, seed) for seed in range(6)]


class Clock:
    """Time that passes on request."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def drawn(model: Model) -> int:
    async with aclosing(model.sample(ASKS)) as samples:
        return len([sample async for sample in samples])


async def test_seconds_of_requests_in_flight_are_added_up_to_the_moment() -> None:
    clock = Clock()
    limiter = Limiter(8, start=4, clock=clock)
    clock.now = 10.0
    async with limiter.slot():
        clock.now = 12.0
        async with limiter.slot():
            clock.now = 15.0
            assert limiter.so_far() == (0, 2 * 1 + 3 * 2, 15 * 4)
    clock.now = 20.0
    ended, busy_s, allowed_s = limiter.so_far()
    assert (ended, busy_s, allowed_s) == (2, 8, 20 * 4)


async def test_a_request_that_was_given_up_is_over() -> None:
    clock = Clock()
    limiter = Limiter(1, clock=clock)
    async with limiter.slot():
        waiting = asyncio.create_task(limiter.slot().__aenter__())
        await asyncio.sleep(0)
        clock.now = 3.0
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert limiter.so_far() == (1, 3, 3)


async def test_retries_are_counted() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        before = model.server_load()
        server.fail(Fault("status"), times=2)
        assert await drawn(model) == len(ASKS)
        after = model.server_load()
        assert after.retries - before.retries == 2
        assert after.requests - before.requests == 3


async def test_of_several_models_together_it_is_the_sum_and_of_doubles_nothing() -> None:
    double = towers_double()
    async with (
        DoubleServer(double) as one,
        DoubleServer(double) as two,
        OpenAIModel(one.url) as first,
        OpenAIModel(two.url) as second,
    ):
        both = Replicas([first, second])
        assert await drawn(both) == len(ASKS)
        asked = server_load_of(both)
        assert asked is not None
        assert asked.requests == first.server_load().requests + second.server_load().requests
        assert server_load_of(Equated(double, first)) is not None
    assert server_load_of(double, Equated(double, double)) is None
    assert server_load_of() is None

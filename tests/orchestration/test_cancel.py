"""A cancellation ends a run wherever it is (Z14): nothing under it may swallow one."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from redis.asyncio import Redis

import surefoot
from surefoot import Settings, Towers
from surefoot.models.doubles import towers_double
from surefoot.orchestration.checkpoints.saver import RedisSaver
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.redis.client import connect

PATIENCE_S = 30.0
"""Far more than an end takes on a busy machine; a cancellation that is lost is lost for ever."""
SETTINGS = Settings(k=3, segment=100)
LONG = Towers(16, "compact", "move")
QUICK = towers_double(error=0.01)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    """A client as redis-py makes it: since redis-py 8 with a time-out of its own."""
    async with Redis.from_url(redis_url, socket_timeout=5) as client:
        yield client


def run(
    redis: str | Redis, job: str, settings: Settings = SETTINGS, **options: Any
) -> Coroutine[Any, Any, Any]:
    return surefoot.run(LONG, settings, model=QUICK, redis=redis, job=job, **options)


async def ends_when_cancelled(work: Coroutine[Any, Any, Any], after_s: float) -> None:
    running = asyncio.create_task(work)
    await asyncio.sleep(after_s)
    assert not running.done()
    running.cancel()
    await asyncio.wait([running], timeout=PATIENCE_S)
    assert running.cancelled(), "the cancellation was lost"


async def ends_when_its_time_is_over(work: Coroutine[Any, Any, Any], after_s: float) -> None:
    async def limited() -> None:
        async with asyncio.timeout(after_s):
            await work

    running = asyncio.create_task(limited())
    await asyncio.wait([running], timeout=after_s + PATIENCE_S)
    assert running.done(), "the time-out was lost"
    assert isinstance(running.exception(), TimeoutError)


WAYS = {"task.cancel": ends_when_cancelled, "asyncio.timeout": ends_when_its_time_is_over}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whose", ["a URL", "a client of the user's"])
@pytest.mark.parametrize("speculate", [None, "leading", "recall"])
async def test_z14_a_run_that_never_waits_for_its_model_ends_and_gives_its_lease_back(
    redis_url: str, client: Redis, way: str, whose: str, speculate: Any
) -> None:
    rng = random.Random(speculate)
    ahead = surefoot.Speculation(speculate) if speculate else None
    for number in range(6):
        job = f"job-{number}"
        await WAYS[way](
            run(redis_url if whose == "a URL" else client, job, speculate=ahead), rng.uniform(0, 0.2)
        )
        assert not await client.exists(Keys(job).lease)


@pytest.mark.parametrize("way", WAYS)
async def test_z14_a_calibration_that_never_waits_for_its_model_can_be_stopped(
    redis_url: str, way: str
) -> None:
    await WAYS[way](run(redis_url, "job", Settings(states=20_000)), 0.2)


async def test_z14_every_step_that_was_decided_before_the_end_is_kept(redis_url: str, client: Redis) -> None:
    progress = Progress()
    running = asyncio.create_task(run(redis_url, "job", on_event=progress.listen))
    while not progress.durable:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running], timeout=PATIENCE_S)
    assert running.cancelled()
    assert (await jobs.load(client, "job")).step >= progress.step > 0


class Count(TypedDict):
    number: int


@pytest.mark.parametrize("way", WAYS)
async def test_z14_a_graph_of_the_users_own_that_never_waits_ends_under_the_saver(
    client: Redis, way: str
) -> None:
    graph = StateGraph(Count)
    graph.add_node("count", lambda state: {"number": state["number"] + 1})
    graph.add_edge(START, "count")
    graph.add_conditional_edges("count", lambda state: "count" if state["number"] < 10**9 else END)
    compiled = graph.compile(checkpointer=RedisSaver(client, keep=2))
    for number in range(6):
        config: Any = {"configurable": {"thread_id": f"t-{number}"}, "recursion_limit": 10**9}
        await WAYS[way](compiled.ainvoke({"number": 0}, config, durability="sync"), 0.05 + number / 50)


async def test_z14_reading_in_a_loop_can_be_stopped_at_any_moment(redis_url: str) -> None:
    client = await connect(redis_url)

    async def read_on() -> None:
        while True:
            await client.get("x")

    for number in range(20):
        await ends_when_cancelled(read_on(), number / 1000)
    await client.aclose()


async def test_an_interrupted_run_does_not_wait_for_a_redis_that_is_gone(
    start_server: Callable[..., Any],
) -> None:
    """Its last steps are decided again, as after a kill."""
    server = start_server()
    progress = Progress()
    running = asyncio.create_task(run(server.url, "job", on_event=progress.listen))
    while not progress.durable:
        await asyncio.sleep(0.01)
    server.kill()
    while not progress.waiting:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running], timeout=PATIENCE_S)
    assert running.cancelled()

"""A Valkey with jobs of every kind, done by doubles, and a dashboard that listens on it."""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from redis.exceptions import RedisError

import surefoot
from surefoot import Agent, Budget, Settings, Stalled, Towers
from surefoot.models import Call, Model, write_calls
from surefoot.models.doubles import Garbage, Scripted, goal_double, towers_double
from surefoot.orchestration.redis.embedded import server_binary
from surefoot.orchestration.workers import stitch
from surefoot.serving.dashboard import serve_dashboard

TOKEN = "0123456789abcdef-token"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u202e\x1b[31m"
"""What a model may write into an answer or a call."""
Dashboard = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@contextmanager
def valkey() -> Iterator[str]:
    """The URL of a Valkey of these tests' own."""
    # Not pytest's tmp_path: a unix socket's path must be shorter than about 100 characters.
    with tempfile.TemporaryDirectory(prefix="sf-board-") as folder:
        command = [str(server_binary()), "--port", "0", "--unixsocket", "s", "--dir", folder, "--save", ""]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        url = f"unix://{Path(folder) / 's'}"
        deadline = time.monotonic() + 20
        with Redis.from_url(url) as client:
            while True:
                try:
                    client.ping()
                    break
                except RedisError:
                    assert process.poll() is None and time.monotonic() < deadline
                    time.sleep(0.01)
        yield url
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def other() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
def empty(other: str) -> str:
    """The URL of a Redis without a job."""
    with Redis.from_url(other) as client:
        client.flushall()
    return other


async def fill(redis: str) -> None:
    """Do jobs of every kind."""
    model = towers_double(error=0.15, invalid=0.02, seed=3)
    await surefoot.run(
        Towers(9, "compact"), Settings(k=3, segment=100), model=model, redis=redis, job="towers"
    )
    calibrated = Settings(reliability=0.9, states=200, segment=100)
    await surefoot.run(
        Towers(6, "compact"), calibrated, model=towers_double(error=0.02), redis=redis, job="calibrated"
    )
    await stitch(Towers(7, "compact"), Settings(k=3), parts=4, model=model, redis=redis, job="tall")
    await surefoot.solve(
        "What is 734 * 902?", votes=3, model=goal_double(error=0.1), redis=redis, job="product"
    )
    await agent().run(f"Look after the stock. {HOSTILE}", redis=redis, job="agent")
    await agent(votes={"irreversible": "person"}).run("Order two packets.", redis=redis, job="asks")
    with suppress(Stalled):
        await surefoot.run(
            Towers(4, "compact"), Settings(k=2, limit=10), model=Garbage(), redis=redis, job="stuck"
        )
    await surefoot.run(
        Towers(5, "compact"), Settings(k=2), model=model, redis=redis, job="halted", budget=Budget(steps=7)
    )


@surefoot.tool(effect="reads")
def in_stock(what: str) -> str:
    """Say how many of something are in stock."""
    return f"3 packets of {what} {HOSTILE}"


@surefoot.tool(effect="irreversible")
def order(what: str, pieces: int) -> str:
    """Order something."""
    raise ValueError(f"nobody sells {what}")


def agent(**options: Any) -> Agent:
    """An agent that looks, orders and answers."""
    script: Model = Scripted(
        [
            write_calls(f"I look first. {HOSTILE}", [Call("in_stock", '{"what": "tea"}')]),
            write_calls("Two are missing.", [Call("order", '{"pieces": 2, "what": "tea"}')]),
            "There are three packets of tea.",
        ]
    )
    return Agent(script, [in_stock, order], **options)


@pytest.fixture(scope="session")
def house() -> Iterator[str]:
    """The URL of a Redis with jobs of every kind; no test changes them."""
    with valkey() as url:
        asyncio.run(fill(url))
        yield url


@pytest.fixture
def dashboard() -> Dashboard:
    """Listens on a free port of this machine, and yields a client of it."""

    @asynccontextmanager
    async def listening(redis: str, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve_dashboard(redis, **{"port": 0, **options}, ready=ready.set_result)
        )
        try:
            await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            async with httpx.AsyncClient(base_url=ready.result(), timeout=60) as client:
                yield client
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    return listening

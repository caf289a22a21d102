import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
import surefoot
from surefoot import Report, Towers
from surefoot.agents.doubles import towers_double
from surefoot.orchestration.progress import Progress

PATIENCE_S = 60.0
DISKS = 8
DOUBLE = towers_double(error=0.03, seed=11, latency=0.003)
TASK = Towers(DISKS, "compact")

Running = tuple[asyncio.Task[Report], Progress]


@pytest.fixture(scope="module")
def undisturbed() -> Report:
    """The report of a run with no outage, against a server of its own (the embedded one)."""
    double = towers_double(error=0.03, seed=11)
    return asyncio.run(_calm(double))


async def _calm(double: Any) -> Report:
    return await surefoot.run(TASK, model=double, k=3, segment=50, job=f"calm-{os.getpid()}")


def begin(redis: str, model: Any = DOUBLE) -> Running:
    progress = Progress()
    run = surefoot.run(TASK, model=model, redis=redis, k=3, segment=50, job="job", progress=progress)
    return asyncio.create_task(run), progress


async def until(true: Callable[[], Any], running: asyncio.Task[Report]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            assert not running.done(), running.result()
            await asyncio.sleep(0.005)


async def finished(running: asyncio.Task[Report]) -> Report:
    async with asyncio.timeout(PATIENCE_S):
        return await running

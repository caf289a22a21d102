"""What a user's type checker makes of surefoot.  `make types` checks this file against the wheel and against the editable install."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, assert_type

import surefoot
from surefoot.agents.tasks.task import Task
from surefoot.orchestration.events import Ended
from surefoot.voting import Sample

task = surefoot.Towers(disks=3, style="compact")
begin: Callable[..., Coroutine[Any, Any, surefoot.Report]] = surefoot.run
report = asyncio.run(surefoot.run(task, surefoot.Settings(k=2), model="pebble"))

assert_type(report, surefoot.Report)
assert_type(report.votes, int)
assert_type(report.risk, float | None)
assert_type(task.steps(), int)
assert_type(Sample("x").text, str)


async def last() -> None:
    async for event in surefoot.events(task, surefoot.Settings(k=2), model="pebble"):
        if isinstance(event, Ended):
            assert_type(event.report, surefoot.Report | None)


surefoot.events(task, modell="pebble")  # type: ignore[call-arg]


@surefoot.voted(k=3)
async def age(name: str) -> int:
    return len(name)


assert_type(asyncio.run(age("Ann")), int)
asyncio.run(age(3))  # type: ignore[arg-type]
asyncio.run(surefoot.run(task, modell="pebble"))  # type: ignore[call-arg]  # an error, and known as one
strange: Task[int, int] = surefoot.Towers(disks="3")  # type: ignore[arg-type, assignment]

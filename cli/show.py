"""Jobs that are there already: show one or its steps, cancel one."""

from typing import Annotated

import typer

from ..orchestration import jobs, segments
from ..orchestration.again import task_known
from ..orchestration.open_redis import open_redis
from ..orchestration.report import Report, report
from . import common, display
from .answers import write
from .common import go
from .options import AsJson, JobId, Out, RedisUrl, TaskAddress
from .step import Step
from .tasks import at_address


def show(
    job: JobId,
    task: TaskAddress = None,
    step: Annotated[int | None, typer.Option(help="Show one step: verdict, tally, samples if kept.")] = None,
    out: Out = None,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a job's report, or one of its steps."""

    async def whole() -> Report:
        async with open_redis(redis) as store:
            kind = at_address(task)
            await write(out, store, job, kind)
            return await report(store, job, task_known(await jobs.load(store, job), kind))

    async def one(number: int) -> Step:
        async with open_redis(redis) as store:
            known = await jobs.load(store, job)
            entry = await segments.record(store, known, number)
            return Step(known, entry, await segments.kept(store, known, number))

    if step is None:
        found = go(whole(), as_json, redis=redis)
        show_report(found, as_json, redis)
    else:
        decided = go(one(step), as_json, redis=redis)
        common.show(decided.row(), decided, as_json)


def cancel(job: JobId, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Stop a job for good, whoever runs it."""

    async def work() -> None:
        async with open_redis(redis) as store:
            await jobs.cancel(store, job)

    go(work(), as_json, redis=redis)
    common.show({"job": job, "status": "cancelled"}, f"job {job} is cancelled", as_json)


def show_report(found: Report, as_json: bool, redis: str | None) -> None:
    """Print a report."""
    again = common.command("show", found.job, redis)
    common.show(found.model_dump(mode="json"), display.page(found, again), as_json)

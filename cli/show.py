"""Jobs that are there already: show one or its steps, cancel one."""

from typing import Annotated

import typer
from redis.asyncio import Redis

from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.report import Report
from surefoot.orchestration.reporting import read_report
from surefoot.orchestration.task_of_job import task_known

from . import common, display
from .answers import write
from .common import look_up
from .options import AsJson, JobId, Out, RedisUrl, TaskAddress
from .step import StepView
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

    async def whole(store: Redis) -> Report:
        kind = at_address(task)
        await write(out, store, job, kind)
        return await read_report(store, job, task_known(await jobs.load(store, job), kind))

    async def one(store: Redis) -> StepView:
        assert step is not None
        known = await jobs.load(store, job)
        entry = await segments.record(store, known, step)
        return StepView(known, entry, await segments.kept(store, known, step))

    if step is None:
        show_report(look_up(whole, as_json, redis), as_json, redis, task)
    else:
        decided = look_up(one, as_json, redis)
        common.print_result(decided.row(), decided, as_json)


def cancel(job: JobId, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Stop a job for good, even while it runs."""
    look_up(lambda store: jobs.cancel(store, job), as_json, redis)
    common.print_result({"job": job, "status": "cancelled"}, f"job {job} is cancelled", as_json)


def show_report(found: Report, as_json: bool, redis: str | None, task: str | None) -> None:
    """Print a report."""
    common.print_result(
        found.model_dump(mode="json"), display.page(found, _then(found, redis, task)), as_json
    )


def _then(found: Report, redis: str | None, task: str | None) -> str:
    """Return the command that a reader of a report is likely to want next; "" if there is nothing to see."""
    if found.status in ("stopped", "stalled", "cancelled"):
        again = ("--again",) if found.status == "cancelled" else ()
        return common.job_command("resume", found.job, redis, *common.task_option(task), *again)
    if not found.steps:
        return ""
    step = found.contested_steps[0].step if found.contested_steps else found.steps - 1
    return common.job_command("show", found.job, redis, "--step", str(step))

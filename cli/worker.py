"""`surefoot worker`: one of many, on any number of machines, at the parts of stitched jobs."""

from typing import Annotated

import typer
from redis.asyncio import Redis
from rich.console import Group

from surefoot.errors import SurefootError
from surefoot.orchestration import workers
from surefoot.orchestration.events import Listen, Noted
from surefoot.orchestration.journal import stitched
from surefoot.orchestration.journal.jobs import listed
from surefoot.orchestration.progress import ProgressOfSeveral
from surefoot.orchestration.redis.client import RedisUnavailable
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.workers.stitched import StitchedReport, summed

from . import common
from .common import go
from .grouped import grouped
from .jobs import STOPPED
from .options import AsJson, AtOnce, BudgetOptions, RedisUrl, SpeculationOptions, TaskAddress
from .server_options import ServerOptions
from .tasks import at_address
from .telemetry import TelemetryOptions


@grouped("max_steps", "budget_working_s")
def worker(
    *,
    job: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[JOB]...",
            help="Names of stitched jobs; all that are not done if absent, the oldest first.",
        ),
    ] = None,
    task: TaskAddress = None,
    model: Annotated[
        str | None, typer.Option(help="Another model than the job began with, or the same with its key.")
    ] = None,
    server: ServerOptions,
    redis: RedisUrl = None,
    at_once: AtOnce = 1,
    again: Annotated[
        bool, typer.Option("--again", help="Take up parts that stalled, failed or were cancelled, too.")
    ] = False,
    speculation: SpeculationOptions,
    budget: BudgetOptions,
    telemetry: TelemetryOptions,
    as_json: AsJson = False,
) -> None:
    """Work on the parts of stitched jobs that nobody holds, until none is left.

    Start it on any number of machines, at any time: `surefoot run TASK --parts P --job NAME` begins a stitched job.  Of several jobs, one that cannot
    be worked on is named, and the others are worked on.
    """
    work, read = workers.work, workers.read_stitched  # loaded before the display counts seconds
    progress = ProgressOfSeveral()

    failed: dict[str, SurefootError] = {}

    async def worked() -> list[tuple[int, StitchedReport]]:
        async with telemetry.listening(progress, redis) as listen:
            return await done_here(listen)

    async def done_here(listen: Listen) -> list[tuple[int, StitchedReport]]:
        other = server.other(model)
        kind = at_address(task)
        found: list[tuple[int, StitchedReport]] = []
        async with open_redis(redis, progress.listen) as store:
            names = job or await _not_done(store)
            for name in names:
                progress.job = name
                try:
                    done = await work(
                        name,
                        redis=store,
                        model=other,
                        task=kind,
                        at_once=at_once,
                        again=again,
                        speculate=speculation.made(),
                        budget=budget.made(),
                        options=server.made(),
                        on_event=listen,
                    )
                    found.append((done, await read(store, name, kind)))
                except SurefootError as error:
                    # A task that is not installed here, a model that is away, a record that cannot be read: other jobs have others.
                    if len(names) == 1 or isinstance(error, RedisUnavailable):
                        raise
                    failed[name] = error
                    progress.listen(Noted(sentence=f"{name}: {error.sentence}"))
        return found

    done = go(worked(), as_json, progress, redis, task, named=True)
    rows = [{"finished": count, **report.model_dump(mode="json")} for count, report in done]
    rows += [{"job": name, "error": error.sentence} for name, error in failed.items()]
    lines = [line for each in done for line in _lines(*each)] + [f"{name}: left as it is" for name in failed]
    common.print_result(rows, Group(*lines) if lines else "no stitched job is left to work on", as_json)
    left = {report.status for _, report in done if not report.solved}
    if failed or left:
        raise typer.Exit(STOPPED if left == {"stopped"} and not failed else 1)


async def _not_done(redis: Redis) -> list[str]:
    """Return the stitched jobs of which a part is not done, oldest first, and those that cannot be read."""
    return [
        each.id
        for each in await stitched.every(redis)
        if not isinstance(each, stitched.StitchedJob)
        or summed(each, await listed(redis, each.names)).status != "done"
    ]


def _lines(count: int, report: StitchedReport) -> list[str]:
    over = sum(part.status == "done" for part in report.parts)
    here = "1 part" if count == 1 else f"{count:,} parts"
    said = f"{report.job}: {here} done here, {over:,} of {len(report.parts):,} in all, {report.status}"
    return [said, *report.faults]

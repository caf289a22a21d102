"""Jobs: begin one, forecast it, take it up."""

from functools import partial
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

import surefoot  # what is taken from it is loaded when it is used, and LangGraph with it: a page of help needs none
from surefoot.errors import BadInput
from surefoot.orchestration import workers
from surefoot.orchestration.events import Listen
from surefoot.orchestration.journal.jobs import new_id
from surefoot.orchestration.progress import Progress, ProgressOfSeveral
from surefoot.orchestration.report import Report

from . import common, display
from .answers import check_out, write
from .common import go
from .grouped import grouped
from .options import (
    AsJson,
    AtOnce,
    BudgetOptions,
    JobId,
    Out,
    RayOptions,
    RedisUrl,
    SettingsOptions,
    SpeculationOptions,
    TaskAddress,
)
from .server_options import ServerOptions
from .show import show_report
from .tasks import TaskOptions, at_address
from .telemetry import TelemetryOptions

ModelAddress = Annotated[
    str, typer.Option("--model", help="`pebble` (embedded) or an OpenAI-compatible URL.")
]
STOPPED = 3
"""A run that stopped in order, within its budget; resuming goes on."""


@grouped()
def run(
    *,
    task: TaskOptions,
    model: ModelAddress = "pebble",
    server: ServerOptions,
    redis: RedisUrl = None,
    settings: SettingsOptions,
    job: Annotated[str | None, typer.Option(help="A name for the job; taken up if it exists.")] = None,
    parts: Annotated[
        int | None,
        typer.Option(
            help="Do it in so many parts, each from a state that the task knows in advance; `surefoot worker` helps."
        ),
    ] = None,
    at_once: AtOnce = 1,
    ray: RayOptions,
    speculation: SpeculationOptions,
    budget: BudgetOptions,
    telemetry: TelemetryOptions,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Do a job, one voted step at a time."""
    run_job, stitch = surefoot.run, workers.stitch  # loaded before the display counts seconds
    progress = Progress() if parts is None else ProgressOfSeveral()

    async def work() -> Report:
        async with telemetry.listening(progress, redis) as listen:
            return await done(listen)

    async def done(listen: Listen) -> Report:
        made = task.made(model)
        check_out(out)
        on_ray = ray.made(redis)
        telemetry.check(on_ray=on_ray is not None)
        if on_ray is not None and parts is None:
            raise BadInput("--on ray spreads parts: say in how many, --parts P")
        if parts is not None:
            progress.job, progress.steps = job or new_id(made.name), made.steps()
            do: Any = stitch if on_ray is None else partial(workers.stitch_on_ray, on=on_ray)
            with ray.quiet():
                stitched: Report = await do(
                    made,
                    settings.made(made),
                    parts=parts,
                    model=server.address(model),
                    redis=redis,
                    job=progress.job,
                    at_once=at_once,
                    speculate=speculation.made(),
                    budget=budget.made(),
                    options=server.made(),
                    on_event=listen,
                )
            await write(out if stitched.solved else None, redis, stitched.job, made)
            return stitched
        found = await run_job(
            made,
            settings.made(made),
            model=server.address(model),
            redis=redis,
            job=job,
            speculate=speculation.made(),
            budget=budget.made(),
            options=server.made(),
            on_event=listen,
        )
        await write(out, redis, found.job, made)
        return found

    _finish(go(work(), as_json, progress, redis, task.task), as_json, redis, task.task)


@grouped(
    "k",
    "ladder",
    "dissent",
    "model_k",
    "limit",
    "spare",
    "segment",
    "max_steps",
    "budget_tokens",
    "budget_cost",
    "budget_wall_s",
    "budget_working_s",
)
def plan(
    *,
    task: TaskOptions,
    model: ModelAddress = "pebble",
    server: ServerOptions,
    settings: SettingsOptions,
    budget: BudgetOptions,
    as_json: AsJson = False,
) -> None:
    """Calibrate, then say k, votes, tokens, cost, time and risk before anything is spent."""
    plan_job = surefoot.plan  # loaded before the display counts seconds
    progress = Progress()

    async def work() -> surefoot.Plan:
        made = task.made(model)
        return await plan_job(
            made,
            settings.made(made),
            model=server.address(model),
            price=budget.price(),
            options=server.made(),
            on_event=progress.listen,
        )

    found = go(work(), as_json, progress)
    common.print_result(
        TypeAdapter(surefoot.Plan).dump_python(found, mode="json"), display.forecast_table(found), as_json
    )
    if not found.choice.supported:
        raise typer.Exit(1)


@grouped()
def resume(
    *,
    job: JobId,
    task: TaskAddress = None,
    model: Annotated[
        str | None, typer.Option(help="Go on with another model than the job began with.")
    ] = None,
    server: ServerOptions,
    redis: RedisUrl = None,
    limit: Annotated[int | None, typer.Option(help="Another limit of samples per step.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Take it up even if it was cancelled.")] = False,
    speculation: SpeculationOptions,
    budget: BudgetOptions,
    telemetry: TelemetryOptions,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Take a job up where it stands."""
    resume_job = surefoot.resume  # loaded before the display counts seconds
    progress = Progress()

    async def work() -> Report:
        async with telemetry.listening(progress, redis) as listen:
            return await done(listen)

    async def done(listen: Listen) -> Report:
        other = server.other(model)
        check_out(out)
        kind = at_address(task)
        found = await resume_job(
            job,
            task=kind,
            model=other,
            redis=redis,
            limit=limit,
            again=again,
            speculate=speculation.made(),
            budget=budget.made(),
            options=server.made(),
            on_event=listen,
        )
        await write(out, redis, job, kind)
        return found

    _finish(go(work(), as_json, progress, redis, task), as_json, redis, task)


def _finish(found: Report, as_json: bool, redis: str | None, task: str | None) -> None:
    show_report(found, as_json, redis, task)
    if not found.solved:
        raise typer.Exit(STOPPED if found.status == "stopped" else 1)

"""Jobs: begin one, forecast it, take it up."""

from dataclasses import replace
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

import surefoot  # what is taken from it is loaded when it is used, and LangGraph with it: a page of help needs none
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Sampling
from surefoot.orchestration.budget import Budget
from surefoot.orchestration.engine.speculation import Speculation
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.report import Report
from surefoot.orchestration.settings import LIMIT, RELIABILITY, SEGMENT, STATES
from surefoot.voting.reliability import Price

from . import common, display, model_options
from .answers import check_out, write
from .common import go
from .options import (
    ApiKey,
    ApiKeyFile,
    AsJson,
    BudgetCost,
    BudgetTokens,
    Capacity,
    ChatLimit,
    Checked,
    Depth,
    Disks,
    Factors,
    Fields,
    FirstTemperature,
    Form,
    InputPrice,
    JobId,
    MaxSteps,
    MaxTokens,
    MaxWaste,
    ModelAddress,
    ModelName,
    Out,
    OutputPrice,
    RedisUrl,
    Reliability,
    Seed,
    Speculate,
    States,
    Style,
    TaskAddress,
    TaskArguments,
    TaskName,
    Temperature,
)
from .show import show_report
from .tasks import at_address, task_from

USUAL = Speculation()
STOPPED = 3
"""A run that stopped in order, within its budget; resuming goes on."""


def run(
    name: TaskName = None,
    task: TaskAddress = None,
    arg: TaskArguments = None,
    disks: Disks = None,
    factors: Factors = None,
    style: Style = None,
    form: Form = None,
    checked: Checked = None,
    model: ModelAddress = "pebble",
    model_name: ModelName = None,
    api_key: ApiKey = None,
    api_key_file: ApiKeyFile = None,
    chat_limit: ChatLimit = None,
    option: Fields = None,
    redis: RedisUrl = None,
    reliability: Reliability = RELIABILITY,
    k: Annotated[int | None, typer.Option(help="Lead that decides; from calibration if absent.")] = None,
    states: States = STATES,
    temperature: Temperature = None,
    first_temperature: FirstTemperature = None,
    max_tokens: MaxTokens = None,
    limit: Annotated[int, typer.Option(help="Samples that one step may use before it stalls.")] = LIMIT,
    spare: Annotated[int, typer.Option(help="Samples asked for beyond the fewest that could decide.")] = 0,
    segment: Annotated[int, typer.Option(help="Steps per segment.")] = SEGMENT,
    seed: Seed = 0,
    job: Annotated[str | None, typer.Option(help="A name for the job; taken up if it exists.")] = None,
    speculate: Speculate = "off",
    depth: Depth = USUAL.depth,
    max_waste: MaxWaste = USUAL.max_waste,
    capacity: Capacity = USUAL.capacity,
    max_steps: MaxSteps = None,
    budget_tokens: BudgetTokens = None,
    budget_cost: BudgetCost = None,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Do a job, one voted step at a time."""
    run_job = surefoot.run  # loaded before the display counts seconds
    progress = Progress()

    async def work() -> Report:
        made = task_from(
            name, task, arg, model, disks=disks, factors=factors, style=style, form=form, checked=checked
        )
        check_out(out)
        found = await run_job(
            made,
            model=common.named_address(model, model_name),
            redis=redis,
            reliability=reliability,
            k=k,
            job=job,
            states=states,
            limit=limit,
            spare=spare,
            segment=segment,
            seed=seed,
            sampling=_sampling(made, temperature, first_temperature, max_tokens),
            speculate=_speculation(speculate, depth, max_waste, capacity),
            budget=_budget(
                max_steps, budget_tokens, budget_cost, _price(input_price, output_price, budget_cost)
            ),
            api_key=model_options.key(api_key, api_key_file),
            options=model_options.client_options(chat_limit, option),
            on_event=progress.listen,
        )
        await write(out, redis, found.job, made)
        return found

    _finish(go(work(), as_json, progress, redis, task), as_json, redis, task)


def plan(
    name: TaskName = None,
    task: TaskAddress = None,
    arg: TaskArguments = None,
    disks: Disks = None,
    factors: Factors = None,
    style: Style = None,
    form: Form = None,
    checked: Checked = None,
    model: ModelAddress = "pebble",
    model_name: ModelName = None,
    api_key: ApiKey = None,
    api_key_file: ApiKeyFile = None,
    chat_limit: ChatLimit = None,
    option: Fields = None,
    reliability: Reliability = RELIABILITY,
    states: States = STATES,
    temperature: Temperature = None,
    first_temperature: FirstTemperature = None,
    max_tokens: MaxTokens = None,
    seed: Seed = 0,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate, then say k, votes, tokens, cost, time and risk before anything is spent."""
    plan_job = surefoot.plan  # loaded before the display counts seconds
    progress = Progress()

    async def work() -> surefoot.Plan:
        made = task_from(
            name, task, arg, model, disks=disks, factors=factors, style=style, form=form, checked=checked
        )
        return await plan_job(
            made,
            model=common.named_address(model, model_name),
            reliability=reliability,
            states=states,
            seed=seed,
            sampling=_sampling(made, temperature, first_temperature, max_tokens),
            price=_price(input_price, output_price),
            api_key=model_options.key(api_key, api_key_file),
            options=model_options.client_options(chat_limit, option),
            on_event=progress.listen,
        )

    found = go(work(), as_json, progress)
    common.print_result(
        TypeAdapter(surefoot.Plan).dump_python(found, mode="json"), display.forecast_table(found), as_json
    )
    if not found.choice.supported:
        raise typer.Exit(1)


def resume(
    job: JobId,
    task: TaskAddress = None,
    model: Annotated[
        str | None, typer.Option(help="Go on with another model than the job began with.")
    ] = None,
    model_name: ModelName = None,
    api_key: ApiKey = None,
    api_key_file: ApiKeyFile = None,
    chat_limit: ChatLimit = None,
    option: Fields = None,
    redis: RedisUrl = None,
    limit: Annotated[int | None, typer.Option(help="Another limit of samples per step.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Take it up even if it was cancelled.")] = False,
    speculate: Speculate = "off",
    depth: Depth = USUAL.depth,
    max_waste: MaxWaste = USUAL.max_waste,
    capacity: Capacity = USUAL.capacity,
    max_steps: MaxSteps = None,
    budget_tokens: BudgetTokens = None,
    budget_cost: BudgetCost = None,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Take a job up where it stands."""
    resume_job = surefoot.resume  # loaded before the display counts seconds
    progress = Progress()

    async def work() -> Report:
        named = _another(model, model_name)
        check_out(out)
        kind = at_address(task)
        found = await resume_job(
            job,
            task=kind,
            model=named,
            redis=redis,
            limit=limit,
            again=again,
            speculate=_speculation(speculate, depth, max_waste, capacity),
            budget=_budget(
                max_steps, budget_tokens, budget_cost, _price(input_price, output_price, budget_cost)
            ),
            api_key=model_options.key(api_key, api_key_file),
            options=model_options.client_options(chat_limit, option),
            on_event=progress.listen,
        )
        await write(out, redis, job, kind)
        return found

    _finish(go(work(), as_json, progress, redis, task), as_json, redis, task)


def _sampling(
    task: Task[Any, Any], temperature: float | None, first_temperature: float | None, max_tokens: int | None
) -> Sampling:
    """Return the task's own way of drawing ballots with what was given on the command line put in its place."""
    given = {"temperature": temperature, "first_temperature": first_temperature, "max_tokens": max_tokens}
    return replace(task.sampling, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _another(model: str | None, name: str | None) -> str | None:
    """Return the address of the model to go on with; None for the job's own."""
    if model is not None:
        return common.named_address(model, name)
    if name is not None:
        raise BadInput(
            f"--model-name {name!r} is a name on a server: give the server's address with --model too"
        )
    return None


def _speculation(draft: str, depth: int, max_waste: float, capacity: int) -> Speculation | None:
    if draft == "off":
        return None
    return Speculation(draft, depth=depth, max_waste=max_waste, capacity=capacity)


def _budget(steps: int | None, tokens: int | None, cost: float | None, price: Price | None) -> Budget | None:
    if steps is None and tokens is None and cost is None:
        return None
    return Budget(steps=steps, tokens=tokens, cost=cost, price=price if cost is not None else None)


def _price(input_price: float | None, output_price: float | None, cost: float | None = None) -> Price | None:
    """Return the price of a million tokens, which a bound on the cost cannot do without."""
    if input_price is None and output_price is None and cost is None:
        return None
    if input_price is None or output_price is None:
        raise BadInput(
            "a cost takes both prices of a million tokens, --input-price and --output-price: 0 if it is free"
        )
    return Price(input_price, output_price)


def _finish(found: Report, as_json: bool, redis: str | None, task: str | None) -> None:
    show_report(found, as_json, redis, task)
    if not found.solved:
        raise typer.Exit(STOPPED if found.stopped else 1)

"""The command line: it parses, calls, prints."""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import TypeAdapter
from rich.console import Console, RenderableType

from . import display
from .agents.catalogue import task_of
from .agents.connect import PEBBLES
from .agents.local_vllm import Serving
from .agents.model import Sampling
from .agents.serve import serve_forever
from .agents.task import Task
from .errors import BadInput, SurefootError
from .orchestration import jobs as jobs_room
from .orchestration.calibrate import STATES
from .orchestration.plan import RELIABILITY, Plan
from .orchestration.plan import plan as plan_job
from .orchestration.progress import Progress
from .orchestration.report import Report, records, report
from .orchestration.run import LIMIT, SEGMENT, open_redis
from .orchestration.run import resume as resume_job
from .orchestration.run import run as run_job
from .orchestration.speculate import Speculation
from .voting.reliability import Price

T = TypeVar("T")

INTERRUPTED = 130
DRAIN_S = 5.0
"""An interrupted run has so long to make durable what it has decided; Redis may be away, and who interrupts may not wait."""

USUAL = Speculation()

app = typer.Typer(
    help="Agents that take a million steps without a stumble.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="`towers` or `columns`.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `surefoot jobs` lists it.")]
Disks = Annotated[int | None, typer.Option(help="towers: how many disks (10).")]
Factors = Annotated[tuple[str, str] | None, typer.Option(help="columns: the two whole numbers to multiply.")]
Style = Annotated[
    str | None, typer.Option(help="`verbose` chat prompts or `compact` text; compact for pebble.")
]
Form = Annotated[
    str | None, typer.Option("--answers", help="towers: `full` (move and next board) or `move`.")
]
Checked = Annotated[
    bool, typer.Option(help="towers: let the board red-flag illegal and inconsistent answers.")
]
ModelAddress = Annotated[
    str, typer.Option("--model", help="`pebble` (embedded) or an OpenAI-compatible URL.")
]
ModelName = Annotated[
    str | None, typer.Option(help="Which of the server's models; not needed if it has one.")
]
ApiKey = Annotated[
    str | None, typer.Option(envvar="SUREFOOT_API_KEY", help="Sent to the model server.", show_envvar=True)
]
RedisUrl = Annotated[
    str | None,
    typer.Option("--redis", envvar="SUREFOOT_REDIS", help="A Redis URL; the embedded one if absent."),
]
Reliability = Annotated[float, typer.Option(help="Wanted chance that every step is right.")]
States = Annotated[int, typer.Option(help="Different states to calibrate on.")]
Temperature = Annotated[
    float | None, typer.Option(help="Of every ballot but the first; the task's own if absent.")
]
FirstTemperature = Annotated[float | None, typer.Option(help="Of the first ballot of a step.")]
MaxTokens = Annotated[int | None, typer.Option(help="A sample is cut off here, which is a red flag.")]
Seed = Annotated[int, typer.Option(help="Seed of the job's random choices.")]
Speculate = Annotated[
    str,
    typer.Option(
        metavar="off|leading|short|ahead|recall|MODEL",
        help="Ask ahead: on the leading ballot, a draft, or another model rolled ahead. It changes no decision.",
    ),
]
Depth = Annotated[int, typer.Option(help="Most steps to ask ahead; what is used adapts.")]
MaxWaste = Annotated[float, typer.Option(help="Largest share of samples that may be drawn in vain.")]
Capacity = Annotated[int, typer.Option(help="Most samples in flight when asking ahead.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, typer.Option(help="Write the decided answers here, one a line.")]


@app.command()
def run(
    task: TaskName,
    disks: Disks = None,
    factors: Factors = None,
    style: Style = None,
    form: Form = None,
    checked: Checked = False,
    model: ModelAddress = "pebble",
    model_name: ModelName = None,
    api_key: ApiKey = None,
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
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Do a job, one voted step at a time."""
    progress = Progress()

    async def work() -> Report:
        made = _task(task, disks, factors, style, form, checked, model)
        _check_out(out)
        found = await run_job(
            made,
            model=_address(model, model_name),
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
            api_key=api_key,
            progress=progress,
        )
        await _write(out, redis, found.job, made)
        return found

    _finish(_go(work(), as_json, progress), as_json)


@app.command()
def plan(
    task: TaskName,
    disks: Disks = None,
    factors: Factors = None,
    style: Style = None,
    form: Form = None,
    checked: Checked = False,
    model: ModelAddress = "pebble",
    model_name: ModelName = None,
    api_key: ApiKey = None,
    reliability: Reliability = RELIABILITY,
    states: States = STATES,
    temperature: Temperature = None,
    first_temperature: FirstTemperature = None,
    max_tokens: MaxTokens = None,
    seed: Seed = 0,
    input_price: Annotated[float | None, typer.Option(help="Price of a million input tokens.")] = None,
    output_price: Annotated[float | None, typer.Option(help="Price of a million output tokens.")] = None,
    as_json: AsJson = False,
) -> None:
    """Calibrate, then say k, votes, tokens, cost, time and risk before anything is spent."""
    progress = Progress()

    async def work() -> Plan:
        made = _task(task, disks, factors, style, form, checked, model)
        return await plan_job(
            made,
            model=_address(model, model_name),
            reliability=reliability,
            states=states,
            seed=seed,
            sampling=_sampling(made, temperature, first_temperature, max_tokens),
            price=_price(input_price, output_price),
            api_key=api_key,
            progress=progress,
        )

    found = _go(work(), as_json, progress)
    _print(TypeAdapter(Plan).dump_python(found, mode="json"), display.forecast(found), as_json)
    if not found.choice.supported:
        raise typer.Exit(1)


@app.command()
def resume(
    job: JobId,
    model: Annotated[
        str | None, typer.Option(help="Go on with another model than the job began with.")
    ] = None,
    model_name: ModelName = None,
    api_key: ApiKey = None,
    redis: RedisUrl = None,
    limit: Annotated[int | None, typer.Option(help="Another limit of samples per step.")] = None,
    speculate: Speculate = "off",
    depth: Depth = USUAL.depth,
    max_waste: MaxWaste = USUAL.max_waste,
    capacity: Capacity = USUAL.capacity,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Take a job up where it stands."""
    progress = Progress()

    async def work() -> Report:
        address = None if model is None else _address(model, model_name)
        _check_out(out)
        found = await resume_job(
            job,
            model=address,
            redis=redis,
            limit=limit,
            speculate=_speculation(speculate, depth, max_waste, capacity),
            api_key=api_key,
            progress=progress,
        )
        await _write(out, redis, job, task_of(found.task, found.spec))
        return found

    _finish(_go(work(), as_json, progress), as_json)


@app.command()
def jobs(redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """List the jobs."""

    async def work() -> list[jobs_room.Job | jobs_room.Unreadable]:
        async with open_redis(redis) as store:
            return await jobs_room.every(store)

    found = _go(work(), as_json)
    rows = [_row(job) for job in found]
    _print(rows, display.listing(found), as_json)


@app.command()
def show(
    job: JobId,
    step: Annotated[int | None, typer.Option(help="Show one step: verdict, tally, samples if kept.")] = None,
    out: Out = None,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a job's report, or one of its steps."""

    async def whole() -> Report:
        async with open_redis(redis) as store:
            known = await jobs_room.load(store, job)
            task = task_of(known.task, known.spec)
            await _write(out, store, job, task)
            return await report(store, job, task)

    async def one(number: int) -> dict[str, Any]:
        async with open_redis(redis) as store:
            known = await jobs_room.load(store, job)
            entry = await jobs_room.record(store, known, number)
            return {**entry._asdict(), "samples": await jobs_room.kept(store, known, number)}

    if step is None:
        found = _go(whole(), as_json)
        _print(found.model_dump(mode="json"), display.page(found), as_json)
    else:
        _print(_go(one(step), as_json), None, as_json=True)


@app.command()
def cancel(job: JobId, redis: RedisUrl = None, as_json: AsJson = False) -> None:
    """Stop a job, whoever runs it."""

    async def work() -> None:
        async with open_redis(redis) as store:
            await jobs_room.cancel(store, job)

    _go(work(), as_json)
    _print({"job": job, "status": "cancelled"}, f"job {job} is cancelled", as_json)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="`pebble`, a folder, or a Hugging Face id.")],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    gpu: Annotated[bool | None, typer.Option("--gpu/--cpu", help="Whichever is there if absent.")] = None,
    max_model_len: Annotated[int | None, typer.Option(help="Longest prompt and answer, in tokens.")] = None,
    reasoning_parser: Annotated[
        str | None, typer.Option(help="vLLM's name for how the model thinks.")
    ] = None,
) -> None:
    """Start a local vLLM with the flags that suit this toolkit, and end it cleanly."""
    stdout, stderr = Console(), Console(stderr=True)

    def say(sentence: str) -> None:
        stderr.print(sentence, style="dim", highlight=False, soft_wrap=True)

    def ready(url: str) -> None:
        stdout.print(url, highlight=False, soft_wrap=True)

    async def work() -> None:
        settings = Serving(
            host=host,
            port=port,
            device=None if gpu is None else "gpu" if gpu else "cpu",
            max_model_len=max_model_len,
            reasoning_parser=reasoning_parser,
        )
        await serve_forever(model, settings, ready=ready, say=say)

    _go(work(), as_json=False)


def main() -> None:
    """Run the command line."""
    app()


def _row(job: jobs_room.Job | jobs_room.Unreadable) -> dict[str, Any]:
    if isinstance(job, jobs_room.Unreadable):
        return {"job": job.id, "task": None, "status": "unreadable", "step": None, "why": job.why}
    return {
        "job": job.id,
        "task": job.task,
        "spec": job.spec,
        "status": job.status,
        "step": job.step,
        "held_by": job.holder,
    }


def _task(
    name: str,
    disks: int | None,
    factors: tuple[str, str] | None,
    style: str | None,
    form: str | None,
    checked: bool,
    model: str,
) -> Task[Any, Any]:
    """Make the task from the options that belong to it; an option of another task is refused."""
    given: dict[str, Any] = {
        "disks": disks,
        "factors": factors,
        "style": style,
        "form": form,
        "checked": checked or None,
    }
    given = {option: value for option, value in given.items() if value is not None}
    mine = {"towers": {"disks", "style", "form", "checked"}, "columns": {"factors"}}.get(name, set(given))
    if strange := set(given) - mine:
        raise BadInput(f"task {name!r} has no option --{strange.pop()}")
    if name == "towers":
        given.setdefault("style", "compact" if model in PEBBLES else "verbose")
    return task_of(name, given)


def _sampling(
    task: Task[Any, Any], temperature: float | None, first_temperature: float | None, max_tokens: int | None
) -> Sampling:
    """Return the task's own way of drawing ballots with what was given on the command line put in its place."""
    given = {"temperature": temperature, "first_temperature": first_temperature, "max_tokens": max_tokens}
    return replace(task.sampling, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _speculation(draft: str, depth: int, max_waste: float, capacity: int) -> Speculation | None:
    if draft == "off":
        return None
    return Speculation(draft, depth, max_waste, capacity)


def _address(model: str, name: str | None) -> str:
    return model if name is None else f"{model}#{name}"


def _price(input_price: float | None, output_price: float | None) -> Price | None:
    if input_price is None and output_price is None:
        return None
    return Price(input_price or 0.0, output_price or 0.0)


def _check_out(out: Path | None) -> None:
    """Refuse a file that cannot be written before anything is spent on its content."""
    if out is None:
        return
    if out.is_dir():
        raise BadInput(f"the answers cannot be written to {str(out)!r}: it is a directory")
    try:
        with tempfile.TemporaryFile(dir=out.absolute().parent):
            pass
    except OSError as error:
        raise BadInput(f"the answers cannot be written to {str(out)!r}: {error.strerror}") from None


async def _write(out: Path | None, redis: Any, job: str, task: Task[Any, Any]) -> None:
    """Write the decided answers, one a line; the file appears as a whole or not at all."""
    if out is None:
        return
    part = out.with_name(out.name + ".part")
    try:
        async with open_redis(redis) as store:
            with part.open("w") as file:
                async for record in records(store, await jobs_room.load(store, job)):
                    file.write(task.show(record.answer) + "\n")
        part.replace(out)
    except OSError as error:
        raise BadInput(
            f"the answers cannot be written to {str(out)!r}: {error.strerror}; they are safe, and "
            f"`surefoot show {job} --out FILE` writes them"
        ) from None


def _go(work: Coroutine[Any, Any, T], as_json: bool, progress: Progress | None = None) -> T:
    """Run a coroutine to its end; an error becomes one sentence and an exit code."""
    try:
        if progress is None:
            return asyncio.run(_interruptible(work))
        with display.Watch(progress):
            return asyncio.run(_interruptible(work))
    except SurefootError as error:
        _fail(str(error), as_json, error.exit_code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        hint = f"; `surefoot resume {progress.job}` goes on" if progress and progress.job else ""
        _fail(f"interrupted; what was decided is safe{hint}", as_json, INTERRUPTED)


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """End in order on SIGINT and SIGTERM: what is decided is committed, the lease is given back; a second one ends at once."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        task.cancel()
        loop.call_later(DRAIN_S, task.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return await task


def _finish(found: Report, as_json: bool) -> None:
    _print(found.model_dump(mode="json"), display.page(found), as_json)
    if not found.solved:
        raise typer.Exit(1)


def _print(data: Any, shown: RenderableType | None, as_json: bool) -> None:
    if as_json or shown is None:
        sys.stdout.write(json.dumps(data, indent=2, default=_plain) + "\n")
    else:
        Console().print(shown)


def _plain(value: Any) -> Any:
    """JSON for what json does not know: a mapping that is no dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} cannot be written as JSON")


def _fail(sentence: str, as_json: bool, code: int) -> NoReturn:
    if as_json:
        sys.stdout.write(json.dumps({"error": sentence}) + "\n")
    Console(stderr=True).print(
        f"surefoot: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True
    )
    raise typer.Exit(code)


if __name__ == "__main__":
    main()

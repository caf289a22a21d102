"""`surefoot swe`: runs over the instances of SWE-bench, or of a set in its form."""

import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from surefoot.errors import BadInput

from .common import INTERRUPTED, go, print_result
from .grouped import grouped
from .options import AsJson, RayOptions, RedisUrl
from .server_options import ServerOptions
from .swe_display import FleetDisplay, results_table, status_table
from .swe_replay import replay
from .telemetry import TelemetryOptions
from .terminal import complain, fail

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Work on the issues of SWE-bench, or of a set in its form.",
)
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Workers = Annotated[int, typer.Option(help="Instances at a time in this process, or in each actor.")]
STOPPED = 3
"""Some instances are not over; resuming goes on, as with any other job."""
UNRESOLVED = 4
"""Every instance is over, and some are not resolved, or could not be graded."""


@dataclass(frozen=True)
class SweOptions:
    """What a run is."""

    instances: Annotated[
        Path, typer.Option(help="Rows of SWE-bench: a .json, .jsonl or .parquet file, or a folder of them.")
    ]
    out: Annotated[Path, typer.Option(help="The run's folder: results, predictions, trajectories.")]
    repos: Annotated[
        Path | None, typer.Option(help="The folder of clones or mirrors, `owner__name` or `owner/name`.")
    ] = None
    env: Annotated[
        str, typer.Option(help="Where commands run: bubblewrap, docker, podman, or local, for trusted ones.")
    ] = "bubblewrap"
    readable: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder that commands in bubblewrap may read, such as a Python; may be repeated."
        ),
    ] = None
    mode: Annotated[
        str, typer.Option(help="`agent`, or `decomposed`: localise, reproduce, patch, verify, each voted on.")
    ] = "agent"
    candidates: Annotated[int, typer.Option(help="Tests, and patches, of a decomposed attempt.")] = 12
    attempts: Annotated[int, typer.Option(help="At most so many an instance, while none holds.")] = 1
    turns: Annotated[int, typer.Option(help="Of an attempt.")] = 100
    votes: Annotated[int, typer.Option(help="The lead that a turn needs which changes anything.")] = 1
    window: Annotated[
        int | None,
        typer.Option(
            help="The model's, in tokens; if it is not given, what its server says, or 32,000 if decomposed."
        ),
    ] = None
    max_tokens: Annotated[int, typer.Option(help="Of an answer.")] = 4096
    temperature: Annotated[float, typer.Option(help="Of every ballot but the first.")] = 0.7
    timeout: Annotated[float, typer.Option(help="Seconds that a command may take.")] = 120.0
    tests_timeout: Annotated[float, typer.Option(help="Seconds that a run of tests may take.")] = 1800.0
    rebuild: Annotated[
        str,
        typer.Option(
            help="How a workspace is made anew after a kill: `replay` makes the calls again, `snapshot` takes one after each."
        ),
    ] = "replay"
    monitor: Annotated[
        bool, typer.Option("--monitor", help="Step in where an agent thinks instead of acting.")
    ] = False
    budget_tokens: Annotated[int | None, typer.Option(help="Of an attempt.")] = None
    budget_cost: Annotated[float | None, typer.Option(help="Of an attempt, in money.")] = None
    input_price: Annotated[float | None, typer.Option(help="Price of a million input tokens.")] = None
    output_price: Annotated[float | None, typer.Option(help="Price of a million output tokens.")] = None
    budget_wall_s: Annotated[float | None, typer.Option(help="Seconds since an attempt began.")] = None
    budget_working_s: Annotated[float | None, typer.Option(help="Seconds of work on an attempt.")] = None
    grade: Annotated[bool, typer.Option(help="Run the row's tests on the patch at the end.")] = True
    keep: Annotated[bool, typer.Option("--keep", help="Leave the workspaces there.")] = False

    def made(self, model: str) -> Any:
        """Return the settings; raises `BadInput`."""
        from pydantic import ValidationError

        from surefoot.orchestration.swe.settings import SweSettings

        if self.repos is None and self.env not in ("docker", "podman"):
            raise BadInput(
                "--repos is missing: the folder with the clones or mirrors of the rows' repositories"
            )
        if (self.budget_cost is not None) and (self.input_price is None or self.output_price is None):
            raise BadInput(
                "a cost takes both prices of a million tokens, --input-price and --output-price: 0 if it is free"
            )
        try:
            return SweSettings(
                instances=self.instances.absolute(),
                repos=None if self.repos is None else self.repos.absolute(),
                model=model,
                environment=cast(Any, "bubblewrap" if self.env == "bwrap" else self.env),
                readable=tuple(folder.absolute() for folder in self.readable or ()),
                mode=cast(Any, self.mode),
                candidates=self.candidates,
                attempts=self.attempts,
                turns=self.turns,
                votes=self.votes,
                window=self.window,
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                timeout_s=self.timeout,
                tests_s=self.tests_timeout,
                rebuild=cast(Any, self.rebuild),
                monitor=self.monitor,
                tokens=self.budget_tokens,
                cost=self.budget_cost,
                wall_s=self.budget_wall_s,
                working_s=self.budget_working_s,
                input_price=self.input_price,
                output_price=self.output_price,
                grade=self.grade,
                keep=self.keep,
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


@dataclass(frozen=True)
class PurseOptions:
    """What all attempts that this command makes may spend together."""

    all_tokens: Annotated[int | None, typer.Option(help="Of all attempts together.")] = None
    all_cost: Annotated[float | None, typer.Option(help="Of all attempts together, in money.")] = None
    all_wall_s: Annotated[float | None, typer.Option(help="Seconds in which attempts may take turns.")] = None

    def made(self, settings: Any) -> Any:
        """Return the purse, None if nothing bounds it; raises `BadInput`."""
        from surefoot.orchestration.budget import Purse
        from surefoot.voting.reliability import Price

        if self.all_tokens is None and self.all_cost is None and self.all_wall_s is None:
            return None
        price = None
        if self.all_cost is not None:
            if settings.input_price is None or settings.output_price is None:
                raise BadInput("--all-cost takes the prices of a million tokens with which the run was begun")
            price = Price(settings.input_price, settings.output_price)
        return Purse(tokens=self.all_tokens, cost=self.all_cost, price=price, wall_s=self.all_wall_s)


@app.command("run")
@grouped()
def run(
    *,
    swe: SweOptions,
    model: Annotated[str, typer.Option("--model", help="The URL of an OpenAI-compatible server.")],
    server: ServerOptions,
    purse: PurseOptions,
    workers: Workers = 4,
    ray: RayOptions,
    redis: RedisUrl = None,
    telemetry: TelemetryOptions,
    as_json: AsJson = False,
) -> None:
    """Work on every instance: an agent resolves its issue, and the tests of the row say whether it did."""
    from surefoot.models.openai.redaction import without_keys_in_query
    from surefoot.orchestration.swe.fleet import Fleet

    address = server.address(model)

    async def begun() -> Fleet:
        ray.made(redis)  # refuses what cannot be before there is a folder
        return Fleet.begun(swe.out, swe.made(without_keys_in_query(address)))

    _work(go(begun(), as_json), address, server, purse, workers, ray, redis, telemetry, as_json)


@app.command("resume")
@grouped()
def resume(
    *,
    out: Folder,
    model: Annotated[
        str | None, typer.Option(help="Another address of the model, or the same with its key.")
    ] = None,
    server: ServerOptions,
    purse: PurseOptions,
    workers: Workers = 4,
    ray: RayOptions,
    redis: RedisUrl = None,
    telemetry: TelemetryOptions,
    as_json: AsJson = False,
) -> None:
    """Go on with a run where it stands: every instance that is not over is taken up at its turn."""
    from surefoot.models.openai.redaction import HIDDEN

    fleet = _again(out, as_json)
    address = fleet.settings.model if model is None else server.address(model)
    if HIDDEN in address:
        fail(
            f"the run's model {address!r} had a key, which is not kept: give it once more, --model URL",
            as_json,
            2,
        )
    _work(fleet, address, server, purse, workers, ray, redis, telemetry, as_json)


@app.command("status")
def status(*, out: Folder, as_json: AsJson = False) -> None:
    """Say how far a run is: which instances are over, and how they ended."""
    _show(out, as_json, status_table)


@app.command("report")
def report(*, out: Folder, as_json: AsJson = False) -> None:
    """Show what became of every instance: status, patch, tests, turns, tokens, score."""
    _show(out, as_json, results_table)


app.command("replay")(replay)


def _work(
    fleet: Any,
    address: str,
    server: ServerOptions,
    purse: PurseOptions,
    workers: int,
    ray: RayOptions,
    redis: str | None,
    telemetry: TelemetryOptions,
    as_json: bool,
) -> None:
    from surefoot.models.connect import open_model
    from surefoot.orchestration.progress import ProgressOfSeveral
    from surefoot.orchestration.redis.open import open_redis
    from surefoot.orchestration.swe.in_folder import work_on_ray

    display = FleetDisplay(fleet)
    progress = ProgressOfSeveral(job=f"swe-{fleet.settings.run}")

    async def work() -> Any:
        on, shared = ray.made(redis), purse.made(fleet.settings)
        telemetry.check(on_ray=on is not None)
        if on is not None and redis is not None:
            if shared is not None:
                raise BadInput(
                    "--all-tokens, --all-cost and --all-wall-s bound one process: leave them out with --on ray"
                )
            with ray.quiet():
                await work_on_ray(
                    fleet.out,
                    on,
                    redis=redis,
                    model=address,
                    options=server.made(),
                    workers=workers,
                    listen=display.listen,
                )
            return fleet.results()
        async with (
            telemetry.listening(progress, redis, say=display.listen) as listen,
            open_redis(redis, display.listen) as store,
            open_model(address, options=server.made()) as model,
        ):
            return await fleet.work(store, model, workers=workers, purse=shared, on_event=listen)

    try:
        with display:
            results = go(work(), as_json, redis=redis)
    except typer.Exit as left:
        if left.exit_code == INTERRUPTED:
            complain(
                f"`surefoot swe resume {shlex.quote(str(fleet.out))}` goes on where every instance stands"
            )
        raise
    print_result(record(fleet), results_table(fleet), as_json)
    if not all(result.chosen.is_over for result in results.values()):
        raise typer.Exit(STOPPED)
    graded = {each.instance_id for each in fleet.instances if each.fail_to_pass and fleet.settings.grade}
    if not all(result.resolved for name, result in results.items() if name in graded):
        raise typer.Exit(UNRESOLVED)


def _show(out: Path, as_json: bool, table: Any) -> None:
    fleet = _again(out, as_json)
    print_result(record(fleet), table(fleet), as_json)


def _again(out: Path, as_json: bool) -> Any:
    """Take up the run of a folder; what cannot be read there is said in a sentence."""
    from surefoot.orchestration.swe.fleet import Fleet

    async def again() -> Fleet:
        fleet = Fleet.again(out)
        fleet.results()
        return fleet

    return go(again(), as_json)


def record(fleet: Any) -> dict[str, Any]:
    """Return a run as JSON has it."""
    results = fleet.results()
    counted = Counter(result.chosen.exit_status.value for result in results.values())
    return {
        "out": str(fleet.out),
        "instances": len(fleet.instances),
        "over": sum(result.chosen.is_over for result in results.values()),
        "resolved": sum(result.resolved is True for result in results.values()),
        "statuses": dict(sorted(counted.items())),
        "results": [result.model_dump(mode="json") for result in results.values()],
    }

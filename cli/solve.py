"""`surefoot solve`: a problem in plain words, and its answer alone."""

import shlex
from functools import partial
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

import surefoot
from surefoot.agents.planner.goal import Goal
from surefoot.agents.planner.state import Part
from surefoot.errors import BadInput
from surefoot.orchestration.events import Event, Listen, Noted
from surefoot.orchestration.journal.jobs import new_id
from surefoot.orchestration.looks import VotedObservation
from surefoot.orchestration.progress import Progress, ProgressOfSeveral
from surefoot.orchestration.solve import task_of
from surefoot.printable import printable

from .common import go, job_command, print_line
from .files import early
from .grouped import grouped
from .jobs import STOPPED
from .known import At, KnownFile, Tried, print_tried, read_numbered, try_all
from .options import (
    AsJson,
    BudgetOptions,
    PatternNames,
    RedisUrl,
    SettingsOptions,
    SpeculationOptions,
    by_stage,
)
from .problem import ProblemOptions
from .server_options import ServerOptions
from .telemetry import TelemetryOptions
from .terminal import fail

LADDER = ("ladder", "dissent", "model_k")
NOT_HERE = ("reliability", "k", "states", "spare", "segment", "seed", "speculation.depth", *LADDER)
"""Steps of a problem in plain words cannot be calibrated and have their own leads; `--depth` is that of its parts."""
_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])
_SEEN: TypeAdapter[tuple[VotedObservation, ...]] = TypeAdapter(tuple[VotedObservation, ...])


@grouped(*NOT_HERE)
def solve(
    *,
    problem: ProblemOptions,
    data: KnownFile = None,
    at: At = None,
    model: Annotated[str, typer.Option("--model", help="An OpenAI-compatible URL.")],
    equivalence: Annotated[
        str | None,
        typer.Option(
            help="URL of a model that says which answers in words are the same, where normal forms differ."
        ),
    ] = None,
    server: ServerOptions,
    redis: RedisUrl = None,
    settings: SettingsOptions,
    pattern: PatternNames = None,
    job: Annotated[str | None, typer.Option(help="A name for the job; taken up if it exists.")] = None,
    branches: Annotated[
        int, typer.Option(help="So many parts are answered at once, each in a job of its own.")
    ] = 1,
    replans: Annotated[int, typer.Option(help="How often another way is taken where a decision stalls.")] = 1,
    speculation: SpeculationOptions,
    budget: BudgetOptions,
    telemetry: TelemetryOptions,
    as_json: AsJson = False,
) -> None:
    """Solve a problem in plain words that is too large for one call, or that needs a look at pictures.

    The answer alone is printed; `surefoot show JOB --mermaid` draws how it came about.  With --data each problem is a job of its own, JOB-N, and has
    the whole budget; a line for each says whether its answer is right.
    """
    solve_problem = surefoot.solve  # loaded before the display counts seconds
    name = job or new_id(Goal.name)
    progress = Progress() if branches == 1 else ProgressOfSeveral(job=name)
    if data is not None:
        known = early(lambda: read_numbered(data, at, problem), as_json)
    elif at is not None:
        fail("--at goes with --data", as_json, BadInput.exit_code)
    else:
        given = read_given(problem, as_json)

    async def work(given: dict[str, Any], job: str, *, listen: Listen) -> surefoot.Solution:
        made = settings.made(task_of(**given))
        return await solve_problem(
            **given,
            pattern=by_stage(pattern) if pattern else None,
            model=server.address(model),
            equivalence=equivalence,
            redis=redis,
            job=job,
            branches=branches,
            replans=replans,
            limit=made.limit,
            sampling=made.sampling,
            speculate=speculation.made(),
            budget=budget.made(),
            options=server.made(),
            on_event=listen,
        )

    async def one() -> surefoot.Solution:
        async with telemetry.listening(progress, redis) as listen:
            return await work(given, name, listen=listen)

    async def several() -> list[Tried]:
        async with telemetry.listening(progress, redis) as listen:
            solve_it = partial(work, listen=listen if job is not None else _naming(name, listen))
            return await try_all(known, problem, name, solve_it, progress.listen)

    if data is None:
        _print(go(one(), as_json, progress, redis, samples=False), name, as_json, redis)
        return
    tried = go(several(), as_json, progress, redis, samples=False)
    print_tried(tried, as_json)
    if any(each.verdict != "right" for each in tried):
        raise typer.Exit(STOPPED if any(each.stopped for each in tried) else 1)


def _naming(job: str, listen: Listen) -> Listen:
    """Say with the first event how to go on: each problem has a job of its own, of which no sentence leads to all the others."""
    sentence = f"the same command with `--job {job}` goes on where this one ends"
    unsaid = [Noted(sentence=sentence)]

    def heard(event: Event) -> None:
        if unsaid:
            listen(unsaid.pop())
        listen(event)

    return heard


def read_given(problem: ProblemOptions, as_json: bool) -> dict[str, Any]:
    """Read the problem."""
    return early(problem.given, as_json)


def _print(found: surefoot.Solution, job: str, as_json: bool, redis: str | None) -> None:
    """Print the answer; where there is none, say why not and how to go on."""
    report = found.report
    more = {
        "answer": found.answer,
        "parts": _PARTS.dump_python(found.parts, mode="json"),
        "observations": _SEEN.dump_python(found.observations, mode="json"),
        "report": report.model_dump(mode="json"),
        "runs": [
            {"node": run.node, "place": run.place, "report": run.report.model_dump(mode="json")}
            for run in found.runs
        ],
    }
    if found.answer is None:
        going_on = f"`{job_command('resume', report.job, redis)}` goes on"
        if len(found.runs) > 1 or report.job != job:
            going_on = f"the same command with `--job {shlex.quote(job)}` goes on"
        code = STOPPED if report.status == "stopped" else 1
        fail(f"no answer yet: {report.stopped or report.status}; {going_on}", as_json, code, more)
    print_line(more, printable(found.answer, keep="\n"), as_json)

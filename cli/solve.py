"""`surefoot solve`: a problem in plain words, and its answer alone."""

from typing import Annotated, Any

import typer
from pydantic import TypeAdapter

import surefoot
from surefoot.agents.perception.looking_state import Observation
from surefoot.agents.planner.state import Part
from surefoot.errors import BadInput
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.solve import task_of
from surefoot.printable import printable

from .common import INTERRUPTED, go, job_command, print_line
from .grouped import grouped
from .jobs import STOPPED
from .options import AsJson, BudgetOptions, RedisUrl, SettingsOptions, SpeculationOptions
from .problem import ProblemOptions
from .server_options import ServerOptions
from .terminal import fail

NOT_HERE = ("reliability", "k", "states", "spare", "segment", "seed", "speculation.depth")
"""Steps of a problem in plain words cannot be calibrated and have their own leads; `--depth` is that of its parts."""
_PARTS: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])
_SEEN: TypeAdapter[tuple[Observation, ...]] = TypeAdapter(tuple[Observation, ...])


@grouped(*NOT_HERE)
def solve(
    *,
    problem: ProblemOptions,
    model: Annotated[str, typer.Option("--model", help="An OpenAI-compatible URL.")],
    server: ServerOptions,
    redis: RedisUrl = None,
    settings: SettingsOptions,
    job: Annotated[str | None, typer.Option(help="A name for the job; taken up if it exists.")] = None,
    speculation: SpeculationOptions,
    budget: BudgetOptions,
    as_json: AsJson = False,
) -> None:
    """Solve a problem in plain words that is too large for one call, or that needs a look at pictures.

    The answer alone is printed; `surefoot show JOB --mermaid` draws how it came about.
    """
    solve_problem = surefoot.solve  # loaded before the display counts seconds
    progress = Progress()
    given = _given(problem, as_json)

    async def work() -> surefoot.Solution:
        made = settings.made(task_of(**given))
        return await solve_problem(
            **given,
            model=server.address(model),
            redis=redis,
            job=job,
            limit=made.limit,
            sampling=made.sampling,
            speculate=speculation.made(),
            budget=budget.made(),
            options=server.made(),
            on_event=progress.listen,
        )

    _print(go(work(), as_json, progress, redis, samples=False), as_json, redis)


def _given(problem: ProblemOptions, as_json: bool) -> dict[str, Any]:
    """Read the problem before the event loop runs, which would not hear a signal while standard input or a FIFO is waited for."""
    try:
        return problem.given()
    except BadInput as error:
        fail(error.sentence, as_json, error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", as_json, INTERRUPTED)


def _print(found: surefoot.Solution, as_json: bool, redis: str | None) -> None:
    """Print the answer; where there is none, say why not and how to go on."""
    report = found.report
    more = {
        "answer": found.answer,
        "parts": _PARTS.dump_python(found.parts, mode="json"),
        "observations": _SEEN.dump_python(found.observations, mode="json"),
        "report": report.model_dump(mode="json"),
    }
    if found.answer is None:
        going_on = f"`{job_command('resume', report.job, redis)}` goes on"
        code = STOPPED if report.status == "stopped" else 1
        fail(f"no answer yet: {report.stopped or report.status}; {going_on}", as_json, code, more)
    print_line(more, printable(found.answer, keep="\n"), as_json)

"""How `surefoot solve` has made a problem smaller: as a chart, and as a file that can be edited and given back."""

from pathlib import Path
from typing import Annotated

from pydantic_core import to_json
from redis.asyncio import Redis
from typer import Option

from surefoot.agents.planner.mermaid import flowchart
from surefoot.agents.planner.outlines import SHOWN, Outline
from surefoot.agents.tasks.guarded import guarded
from surefoot.errors import BadInput
from surefoot.orchestration.decomposition import decomposition, goal_of
from surefoot.orchestration.reporting import state_reached
from surefoot.printable import printable
from surefoot.private_files import check_target, replacement

from .common import look_up, print_line
from .terminal import fail

OutlineFile = Annotated[
    Path | None,
    Option("--outline", help="goal: write how the problem is made smaller to this file, to be edited."),
]
WithAnswers = Annotated[
    bool, Option("--answers", help="goal: put the answers so far into the outline, in place of those parts.")
]
AsMermaid = Annotated[
    bool, Option("--mermaid", help="goal: draw how the problem is made smaller as a Mermaid flowchart.")
]


def show_chart(job: str, redis: str | None, as_json: bool) -> None:
    """Print the flowchart."""

    async def drawn(store: Redis) -> str:
        return flowchart(*await decomposition(store, job))

    chart = look_up(drawn, as_json, redis)
    print_line({"job": job, "mermaid": chart}, chart, as_json)


def write_outline(job: str, out: Path, answers: bool, redis: str | None, as_json: bool) -> None:
    """Write the outline of a job to a file."""

    async def reached(store: Redis) -> Outline:
        known, task = await goal_of(store, job)
        return Outline.of(await state_reached(store, known, guarded(task)), answers=answers)

    print_outline(job, look_up(reached, as_json, redis), out, as_json)


def print_outline(job: str, outline: Outline, out: Path, as_json: bool) -> None:
    """Write an outline to a file, which appears as a whole or not at all, and say what it is called."""
    try:
        _write(outline, out)
    except BadInput as error:
        fail(error.sentence, as_json, error.exit_code)
    said = f"outline {outline.digest[:SHOWN]} is in {printable(str(out))}: edited or not, `surefoot solve --outline` goes by it"
    print_line({"job": job, "digest": outline.digest, "outline": str(out)}, said, as_json)


def _write(outline: Outline, out: Path) -> None:
    try:
        check_target(out)
        with replacement(out) as file:
            file.write(to_json(outline.plain, indent=2).decode() + "\n")
    except OSError as error:
        raise BadInput(f"the outline cannot be written to {str(out)!r}: {error.strerror}") from None

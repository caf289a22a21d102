"""`surefoot solve --data`: problems with known answers, solved one after the other, and counted exactly."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer
from rich.console import Group

import surefoot
from surefoot.agents.planner.known import KnownProblem, read_known
from surefoot.agents.tasks.failures import cut
from surefoot.errors import BadInput
from surefoot.models.openai.failures import RequestRefused
from surefoot.orchestration.events import Listen, Noted
from surefoot.tools.answers.normal_forms import Kind

from .common import print_result
from .files import lines_of
from .problem import ProblemOptions

KnownFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help='Solve the problems in this file, lines of {"question": ..., "answer": ...}, and count the right answers.',
    ),
]
At = Annotated[
    int | None, typer.Option(metavar="N", help="Of the problems in --data the N-th alone, from 1.")
]
OF_THE_PROBLEM = (400, 413, 422)
"""What a server refuses a request with that is too long for it, or not to its taste; another problem may be."""
Verdict = Literal["right", "wrong", "no answer"]
Solve = Callable[[dict[str, Any], str], Awaitable[surefoot.Solution]]
"""Solves what is given, in the job of that name."""


@dataclass(frozen=True)
class Tried:
    """What became of a problem."""

    id: str
    job: str
    verdict: Verdict
    answer: str | None
    expected: str
    why: str = ""
    """Why there is no answer."""
    stopped: bool = False
    """Whether that is because a budget was spent, so that the same command goes on."""

    def __str__(self) -> str:
        said = {"right": self.answer, "wrong": f"{self.answer}, not {self.expected}", "no answer": self.why}
        return f"{self.id}: {self.verdict}: {cut(said[self.verdict] or '')}"


def read_numbered(data: Path, at: int | None, problem: ProblemOptions) -> list[tuple[int, KnownProblem]]:
    """Return the problems to solve, each with its number in the file."""
    if any((problem.problem, problem.file, problem.outline, problem.image)):
        raise BadInput(
            "with --data the problems are those of the file: leave PROBLEM, --file, --outline and --image out"
        )
    kind = cast(Kind, problem.kind)
    found = [*enumerate(lines_of(data, lambda line: read_known(line, kind)), 1)]
    if not found:
        raise BadInput(f"{str(data)!r} has no problems")
    if at is None:
        return found
    if not 1 <= at <= len(found):
        raise BadInput(f"{str(data)!r} has the problems 1 to {len(found):,}, not {at!r}")
    return [found[at - 1]]


async def try_all(
    known: Sequence[tuple[int, KnownProblem]], problem: ProblemOptions, job: str, solve: Solve, listen: Listen
) -> list[Tried]:
    """Solve them, each in a job of its own, `JOB-N`; a stall or a spent budget is no answer, and the next one follows."""
    given = replace(problem, problem="any").given()
    found = []
    for number, each in known:
        name = f"{job}-{number}"
        solving = solve({**given, "problem": each.problem, "kind": each.kind}, name)
        found.append(await _tried(each, number, name, solving))
        listen(Noted(sentence=str(found[-1])))
    return found


async def _tried(known: KnownProblem, number: int, job: str, solving: Awaitable[surefoot.Solution]) -> Tried:
    no_answer = Tried(known.id or f"problem {number}", job, "no answer", None, known.answer)
    try:
        solution = await solving
    except surefoot.Stalled as stall:
        return replace(no_answer, why=stall.sentence)
    except RequestRefused as refused:
        if refused.status not in OF_THE_PROBLEM:
            raise
        return replace(no_answer, why=refused.sentence)
    if solution.answer is None:
        report = solution.report
        return replace(no_answer, why=report.stopped or report.status, stopped=report.status == "stopped")
    verdict: Verdict = "right" if known.right(solution.answer) else "wrong"
    return replace(no_answer, answer=solution.answer, verdict=verdict)


def print_tried(tried: Sequence[Tried], as_json: bool) -> None:
    """Print a line for each, and how many are right."""
    count = Counter(each.verdict for each in tried)
    right, wrong, none = count["right"], count["wrong"], count["no answer"]
    said = f"{right:,} of {len(tried):,} right, {wrong:,} wrong, {none:,} without an answer"
    record = {
        "right": right,
        "wrong": wrong,
        "unanswered": none,
        "problems": [asdict(each) for each in tried],
    }
    print_result(record, Group(*map(str, tried), said), as_json)

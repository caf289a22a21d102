"""Jobs beside the towers, by doubles that are wrong one time in five, and on hard steps two times in five.

python bench/domains.py --runs 20 --results bench/results

Each job is run with several doubles, once with one sample a step and once with the k that a calibration asks for; each double errs on other
steps.  The doubles know the procedure, and err at chosen rates: what this measures is the votes, not a model.  Exits 1 if voted runs without
hard steps are solved less often than the reliability explains by chance.
"""

import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pages import options, origin, table, write
from pydantic_core import from_json
from servers import redis_server

import surefoot
from surefoot.models import Prompt
from surefoot.models.doubles import Double, puzzle_double

PAGE = "domains.md"
ERROR, HARD, HARD_ERROR = 0.2, 0.05, 0.4
RELIABILITY = 0.99
GIVEN_K = 12
"""Where the calibration refuses."""
LIMIT = 300
"""Samples of a step: short jobs whose every state is met may get a large k."""
COLUMNS = (
    "job",
    "steps",
    "hard steps",
    "one sample a step: solved",
    "voted: solved",
    "k",
    "votes a step",
    "contested",
    "risk, as printed",
    "hard steps, as printed",
)
PAGE_TEXT = """\
# Jobs beside the towers

{origin}

{runs} runs a line, each with another double: a program that knows the procedure, and is wrong in one sample of five; where there are hard steps, they are
one in twenty, drawn by the prompt, and wrong in two samples of five. No audit helps: steps that the task's own check would find stay as they are. k comes from a calibration on {states} states for a reliability of {reliability}. "As printed" is
what the report says: the risk of at least one wrong step if all are alike, and how many steps may be such that votes repeat a mistake (at 95 % confidence).
A run that went wrong may have ended in a stall: medians are of all runs.

{table}

{missed}Hard steps count by how many wrong answers there are to agree on: a comparison has one or two, a product 99, a move a few. The printed risk leaves hard steps out,
and says so. Crossings with four seats or more never need the rule: the first couples can always go. On a job of eleven steps a calibration knows each step
by thirty samples, too few to tell a fifth of wrong ones from a half: where it refuses, k = {given_k} is given instead.

Published, for the sizes: models that write the whole solution at once fail at river crossing with 3 pairs (11 moves; arXiv 2506.06941), and one-move-a-step
with o4-mini ended at 11 pairs of checkers, or 13 with a lookahead (arXiv 2603.06870). Those are measured on models, and this page is not: it says
how many votes such jobs take at a known error rate.
"""


def product(prompt: Prompt) -> str:
    """Work out `a * b + digit + carry`."""
    a, _, b, _, digit, _, carry = _asked(prompt).split()
    return f"{int(a) * int(b) + int(digit) + int(carry):02d}"


def other_product(prompt: Prompt, which: int) -> str:
    """Some other two digits."""
    return f"{(int(product(prompt)) + 1 + which % 99) % 100:02d}"


def first(prompt: Prompt) -> str:
    """Compare two numbers."""
    a, b = (from_json(line[3:]) for line in _asked(prompt).splitlines())
    return f"first = {'A' if a < b else 'B'}"


def last(prompt: Prompt, which: int) -> str:
    """Say the other one, always: the worst that wrong answers can do is to agree."""
    return "first = A" if first(prompt)[-1] == "B" else "first = B"


def _asked(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1].content


def unaudited(task: surefoot.Task[Any, Any]) -> surefoot.Task[Any, Any]:
    """Return the task without its audit, which would find wrong steps from outside the model, and have them decided again."""
    kind = type(task)
    alone: type[surefoot.Task[Any, Any]] = type(
        kind.__name__, (kind,), {"audit": lambda self, state, answer: None}
    )
    return alone(**task.spec())


def columns_double(**faults: Any) -> Double:
    return Double(product, other_product, **faults)


def sorting_double(**faults: Any) -> Double:
    return Double(first, last, **faults)


@dataclass
class Line:
    """A job at one size, and what came of its runs."""

    name: str
    task: surefoot.Task[Any, Any]
    double: Callable[..., Double]
    hard: float
    alone: int = 0
    refused: int = 0
    """Runs whose calibration saw no k that it could promise anything for."""
    voted: list[surefoot.Report] = field(default_factory=list)

    @property
    def solved(self) -> int:
        return sum(report.solved for report in self.voted)

    def cells(self, runs: int) -> list[str]:
        """Return the line of the page."""
        risks = [report.risk for report in self.voted if report.risk is not None]
        hard = [
            report.hard.steps_bound
            for report in self.voted
            if report.hard and report.hard.steps_bound is not None
        ]
        return [
            self.name,
            f"{_median([report.steps for report in self.voted]):,}",
            f"{self.hard:.0%}",
            f"{self.alone} of {runs}",
            f"{self.solved} of {runs}",
            f"{_median([report.k for report in self.voted])}"
            + (f"; {self.refused} refused" if self.refused else ""),
            f"{_median([report.votes / max(1, report.steps) for report in self.voted]):.1f}",
            f"{_median([report.contested / max(1, report.steps) for report in self.voted]):.0%}",
            f"{_median(risks):.1g}" if risks else "",
            f"{_median(hard):.1f}" if hard else "",
        ]


def lines(small: bool) -> list[Line]:
    """Return the jobs; the small ones are there to see that all works."""
    rng = Random(0)
    six, ten = (
        (str(rng.randrange(10 ** (n - 1), 10**n)), str(rng.randrange(10 ** (n - 1), 10**n))) for n in (6, 10)
    )
    numbers = tuple(rng.sample(range(100_000), 500))
    jobs: list[tuple[str, surefoot.Task[Any, Any], Callable[..., Double]]] = [
        ("multiplication, 6 x 6 digits", surefoot.Columns(six), columns_double),
        ("multiplication, 10 x 10 digits", surefoot.Columns(ten), columns_double),
        ("sorting 500 numbers", surefoot.Sorting(numbers), sorting_double),
        ("checkers, 13 pairs", surefoot.Checkers(13), puzzle_double),
        ("checkers, 50 pairs", surefoot.Checkers(50), puzzle_double),
        ("crossing, 3 pairs, 2 seats", surefoot.Crossing(3, 2), puzzle_double),
        ("crossing, 5 pairs, 3 seats", surefoot.Crossing(5, 3), puzzle_double),
        ("crossing, 100 pairs, 4 seats", surefoot.Crossing(100, 4), puzzle_double),
        ("blocks, 50", surefoot.Blocks(50), puzzle_double),
        ("blocks, 200", surefoot.Blocks(200), puzzle_double),
    ]
    if small:
        jobs = [
            ("sorting 4 numbers", surefoot.Sorting(numbers[:4]), sorting_double),
            ("checkers, 2 pairs", surefoot.Checkers(2), puzzle_double),
        ]
    return [Line(name, unaudited(task), double, hard) for name, task, double in jobs for hard in (0.0, HARD)]


async def played(line: Line, runs: int, states: int) -> None:
    """Run one line's job with so many doubles."""
    for number in range(runs):
        model = line.double(error=ERROR, hard=line.hard, hard_error=HARD_ERROR, seed=number)
        with redis_server() as url:
            alone = await reported(line, surefoot.Settings(k=1, seed=number), model, url)
            line.alone += alone.solved
            settings = surefoot.Settings(reliability=RELIABILITY, states=states, limit=LIMIT, seed=number)
            try:
                line.voted.append(await reported(line, settings, model, url))
            except surefoot.Unsupported:
                line.refused += 1
                settings = surefoot.Settings(k=GIVEN_K, limit=LIMIT, seed=number)
                line.voted.append(await reported(line, settings, model, url))
    print(f"{line.name}, {line.hard:.0%} hard: {line.alone} and {line.solved} of {runs} solved", flush=True)


async def reported(line: Line, settings: surefoot.Settings, model: Double, redis: str) -> surefoot.Report:
    """Run a job, and return its report, whether it came to its end or not."""
    job = f"k-{settings.k}"
    with suppress(surefoot.Stalled):  # after a wrong move the procedure may know no other
        await surefoot.run(line.task, settings, model=model, redis=redis, job=job)
    return await surefoot.report(job, redis=redis)


def too_few(solved: int, runs: int) -> bool:
    """Whether so few of the runs are solved with a chance below 1 % at the reliability."""
    chances = (
        math.comb(runs, n) * RELIABILITY**n * (1 - RELIABILITY) ** (runs - n) for n in range(solved + 1)
    )
    return sum(chances) < 0.01


def missed(lines: Sequence[Line], runs: int) -> str:
    """Name the lines whose voted runs were not all solved."""
    found = [f"{line.name} with {line.hard:.0%} hard steps" for line in lines if line.solved < runs]
    return f"Not solved by votes in every run: {', '.join(found)}. " if found else ""


def _median(values: Sequence[Any]) -> Any:
    return sorted(values)[len(values) // 2] if values else math.nan


def main() -> None:
    """Run all jobs, and write the page."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--runs", type=int, default=20, help="doubles a line")
    parser.add_argument("--states", type=int, default=500, help="of a calibration")
    parser.add_argument("--small", action="store_true", help="tiny jobs, to see that all works")
    given = parser.parse_args()
    found = lines(given.small)
    for line in found:
        asyncio.run(played(line, given.runs, given.states))
    page = PAGE_TEXT.format(
        origin=origin("domains", given.results),
        runs=given.runs,
        reliability=RELIABILITY,
        states=given.states,
        table=table(COLUMNS, [line.cells(given.runs) for line in found]),
        given_k=GIVEN_K,
        missed=missed(found, given.runs),
    )
    print(page)
    write(given.results, PAGE, page)
    if seldom := [line.name for line in found if not line.hard and too_few(line.solved, given.runs)]:
        sys.exit(f"solved too seldom: {', '.join(seldom)}")


if __name__ == "__main__":
    main()

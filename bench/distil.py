"""A task without a micro model gets one: long multiplication in columns, from the verdicts of one voted job.

python bench/distil.py [--digits 100] [--training-steps 3000] [--results bench/results]

A double that is wrong in one sample of five decides a job of digits x digits steps by votes; its verdicts are exported, and a micro model is
trained on them alone: no right answer is looked up anywhere.  It then decides another job of as many chained steps, by votes and, for contrast, by one
sample a step; neither job has the task's audit, which would find wrong steps from outside the model.  Needs the extra `train` (`make distil`).

Predicted before the first run: 2 % wrong or less on sums that it was not shown, since a tenth of all sums is missing at most; trained in 5 minutes of CPU; 10,000 chained
steps without a wrong one at the k that its calibration asks for; slower than the double, which does nothing but look up a product, by a factor of 10.

Exits 1 if a step of the voted job is wrong.
"""

import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from domains import columns_double, unaudited
from pages import options, origin, table, write
from servers import redis_server

import surefoot
from surefoot.models import Model
from surefoot.orchestration.exports import export
from surefoot.training.distil.examples import as_text, is_held_out, read_examples, shared_instructions
from surefoot.training.distil.train import STEPS, DistilReport, count_wrong, distil
from surefoot.voting import Uncalibrated, Unreachable

PAGE = "distil.md"
TEACHER = "the double, by votes"
ERROR = 0.2
RELIABILITY = 0.99
SHOWN = 2000
"""Prompts that it was shown and is asked again."""
COLUMNS = (
    "who decides",
    "steps",
    "solved",
    "k",
    "votes a step",
    "contested",
    "steps a second",
    "risk, as printed",
)
PAGE_TEXT = """\
# A micro model from verdicts

{origin}

A double that is wrong in {error:.0%} of its samples multiplied two numbers of {digits} digits by votes. Each step's prompt, in both views, with the answer that was elected
became an example: {prompts:,} different prompts, {ambiguous} of them with several answers. The micro model ({parameters:,} parameters) saw nine tenths of them, and nothing else.

| | |
| --- | --- |
| training | {cpu_s:.0f} s of CPU, {clock_s:.0f} s by the clock |
| wrong on prompts that it was never shown, one sample each at temperature 1 | {wrong} of {asked} ({share:.2%}) |
| wrong on prompts that it was shown | {shown_wrong} of {shown} |

Then {steps:,} chained steps of another multiplication, without the task's own audit:

{table}

Predicted before the first run: 2 % wrong or less on unseen prompts, 5 minutes of CPU, no wrong step, a tenth of the double's pace.
"""


class Decided(NamedTuple):
    """One job."""

    who: str
    report: surefoot.Report | None
    """None where votes stalled, or the model errs too often for any k."""
    why: str = ""
    """The error then."""

    def row(self) -> list[str]:
        report = self.report
        if report is None:
            return [self.who, "0", f"no, {self.why}", *[""] * 5]
        risk = "" if report.risk is None else f"{report.risk:.2g}"
        return [
            self.who,
            f"{report.steps:,}",
            "yes" if report.solved else "no",
            str(report.k),
            f"{report.votes / max(1, report.steps):.2f}",
            f"{report.contested:,}",
            f"{report.steps / report.wall_s:,.0f}",
            risk,
        ]


def factors(digits: int, seed: int) -> tuple[str, str]:
    """Draw two numbers of so many digits."""
    rng = random.Random(f"distil {seed}")
    first, second = (str(rng.randrange(10 ** (digits - 1), 10**digits)) for _ in range(2))
    return first, second


async def decided(
    who: str,
    factors: tuple[str, str],
    model: str | Model,
    redis: str,
    k: int | None = None,
) -> Decided:
    """Multiply, by votes or with a given k; a vote that stalls ends the job, and is shown as that."""
    settings = surefoot.Settings(k=k) if k else surefoot.Settings(reliability=RELIABILITY)
    task = unaudited(surefoot.Columns(factors))
    try:
        return Decided(who, await surefoot.run(task, settings, model=model, redis=redis, job=who))
    except (surefoot.Stalled, Uncalibrated, Unreachable, surefoot.Unsupported) as error:
        return Decided(who, None, type(error).__name__)


def learned(files: list[Path], folder: Path, steps: int) -> tuple[DistilReport, int, int]:
    """Train on the examples; return what came of it, and how many prompts that were shown are asked again, and answered wrong."""
    examples, ambiguous = read_examples(files)
    report = distil(examples, folder, steps=steps, ambiguous=ambiguous)
    known = shared_instructions(examples)
    shown = [each for each in examples if not is_held_out(as_text(each.messages, known))]
    again = random.Random(0).sample(shown, min(SHOWN, len(shown)))
    return report, len(again), asyncio.run(count_wrong(folder, again))


def main() -> int:
    """Decide, export, train, decide again, print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--digits", type=int, default=100)
    parser.add_argument("--training-steps", type=int, default=STEPS)
    given = parser.parse_args()
    with redis_server() as redis, tempfile.TemporaryDirectory(prefix="sf-distil-") as made:
        folder = Path(made)
        first, second = (factors(given.digits, seed) for seed in range(2))
        teacher = asyncio.run(decided(TEACHER, first, columns_double(error=ERROR), redis))
        file = folder / "examples.jsonl"
        task = unaudited(surefoot.Columns(first))
        asyncio.run(export(TEACHER, file, table="examples", task=task, redis=redis))
        report, shown, shown_wrong = learned([file], folder / "micro", given.training_steps)
        print(report, flush=True)
        student = f"micro:{folder / 'micro'}"
        voted = asyncio.run(decided("the micro model, by votes", second, student, redis))
        alone = asyncio.run(decided("the micro model, one sample a step", second, student, redis, k=1))
    page = PAGE_TEXT.format(
        origin=origin("distil", given.results),
        error=ERROR,
        digits=given.digits,
        prompts=report.prompts,
        ambiguous=report.ambiguous,
        parameters=report.parameters,
        cpu_s=report.cpu_seconds,
        clock_s=report.seconds,
        wrong=report.wrong,
        asked=report.asked,
        share=report.wrong / max(1, report.asked),
        shown=shown,
        shown_wrong=shown_wrong,
        steps=given.digits**2,
        table=table(COLUMNS, [each.row() for each in (teacher, voted, alone)]),
    )
    print(page)
    write(given.results, PAGE, page)
    return int(voted.report is None or not voted.report.solved)


if __name__ == "__main__":
    sys.exit(main())

"""Hard steps on which votes repeat a mistake, with and without a ladder: a chained job of 100,000 steps by a double whose mistakes are known.

python bench/ladder.py --disks 17 --results bench/results

One prompt in a thousand is hard: there the double gives one wrong answer, always or in six of ten samples, elsewhere it is wrong in two samples of a
thousand.  A run is stopped at its first wrong step, and a stall is a stall.  The task's own check is taken out, so that nothing but votes finds
a mistake.  Exits 1 if a run with a ladder that should be solved is not.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pages import options, origin, table, write
from servers import redis_server

import surefoot
from surefoot import Ladder, Settings
from surefoot.models.doubles import Double, towers_double
from surefoot.orchestration import Event, StepDecided
from surefoot.tools.towers import board

PAGE = "ladder.md"
ERROR, HARD = 0.002, 0.001
LIMIT = 60
COLUMNS = (
    "mistakes",
    "k",
    "climbs at",
    "ladder",
    "result",
    "votes a step",
    "climbed, decided, samples by rung",
)
PAGE_TEXT = """\
# Hard steps and the ladder

{origin}

Towers of Hanoi with {disks} disks, {steps:,} chained steps, full answers, no audit. {hard:.1%} of the prompts are hard, and elsewhere {error:.1%} of the samples are
wrong. "One of two views": ballots take two views of a step in turn, and in a hard view all samples give the same wrong answer, so that the votes for and
against it stay even. "The only view, 0.6": there is one view, and at a hard step six samples of ten give the same wrong answer, so that it is what votes
elect. `views` is a third view, in which other prompts are hard; `model` and `model 2` are other doubles, for which other prompts are hard.

{table}

A fixed k from 2 on stalls where the views contradict each other, and where the only view repeats the mistake it elects that, or stalls. A ladder is climbed where votes
differ. So it needs votes that can: two views that err apart show a hard step at the second ballot, for no more votes. In one view a mistake of six samples in ten is
unanimous in 0.6^k of the elections, which nobody sees: k has to be large, and the ladder climbed at the first vote against the leader, where two other
models have to agree against it.
"""


class PlainTowers(surefoot.Towers):
    """Compact towers in the first `in_turn` of their views, with the others for a ladder, and without a check."""

    name = "plain-towers"

    def __init__(self, disks: int, in_turn: int = 1, further: int = 0) -> None:
        super().__init__(disks, "compact")
        self.views, self.further = in_turn, further

    def spec(self) -> Mapping[str, Any]:
        return {"disks": self.disks, "in_turn": self.views, "further": self.further}

    def audit(self, state: Any, answer: Any) -> str | None:
        return None

    def paraphrases(self) -> int:
        return self.further


@dataclass
class Line:
    """One run."""

    mistakes: str
    task: PlainTowers
    model: Double
    settings: Settings
    to_be_solved: bool = False
    cells: Sequence[str] = ()
    solved: bool = False


def lines(disks: int, hard: float) -> list[Line]:
    """Return what is run: each kind of mistake by several k, and then with ladders."""

    def double(hard_error: float, seed: int = 0) -> Double:
        return towers_double(
            error=ERROR,
            hard=hard,
            hard_error=hard_error,
            hard_alike=True,
            seed=seed,
            name=f"double-{seed}",
        )

    others = [double(1.0, seed) for seed in (1, 2)]
    two, three, one = PlainTowers(disks, 2), PlainTowers(disks, 2, 1), PlainTowers(disks)
    views, models = Ladder(("views", *others)), Ladder(tuple(others))
    two_views, one_view = double(1.0), double(0.6)

    def at(k: int, ladder: Ladder | None = None) -> Settings:
        return Settings(k=k, limit=LIMIT, ladder=ladder)

    first = replace(models, dissent=1)
    return [
        *[Line("one of two views", two, two_views, at(k)) for k in (1, 2, 3, 5, 10)],
        Line("one of two views", three, two_views, at(3, views), True),
        Line("one of two views", two, two_views, at(3, models), True),
        *[Line("the only view, 0.6", one, one_view, at(k)) for k in (1, 3, 10, 20)],
        Line("the only view, 0.6", one, one_view, at(3, models)),
        Line("the only view, 0.6", one, one_view, at(10, first)),
        Line("the only view, 0.6", one, one_view, at(20, first), True),
    ]


async def played(line: Line) -> None:
    """Run one line to its end, its first wrong step or its stall."""
    wrong: list[int] = []
    running: list[asyncio.Task[surefoot.Report]] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepDecided) and not wrong:
            right = (
                board.optimal_move(line.task.disks, event.step),
                board.optimal_state(line.task.disks, event.step + 1),
            )
            if event.answer != right:
                wrong.append(event.step)
                running[0].cancel()

    with redis_server() as url:
        work = surefoot.run(
            line.task, line.settings, model=line.model, redis=url, job="ladder", on_event=listen
        )
        running.append(asyncio.create_task(work))
        (ended,) = await asyncio.gather(*running, return_exceptions=True)
        if isinstance(ended, BaseException) and not isinstance(
            ended, surefoot.Stalled | asyncio.CancelledError
        ):
            raise ended
        report = await surefoot.report("ladder", redis=url)
    result = f"{report.status} at step {report.steps:,}"
    if wrong:
        result = f"wrong at step {wrong[0]:,}"
    elif report.solved:
        result = "solved, 0 wrong"
    ladder = line.settings.ladder
    samples = report.samples + sum(use.samples for use in report.rungs)
    line.solved = report.solved and not wrong
    line.cells = [
        line.mistakes,
        f"{report.k}",
        "" if ladder is None else f"{ladder.dissent} against",
        "" if ladder is None else ", ".join(ladder.names),
        result,
        f"{samples / max(1, report.steps):.3f}",
        "; ".join(f"{use.rung}: {use.climbed:,}, {use.decided:,}, {use.samples:,}" for use in report.rungs),
    ]
    print(" | ".join(line.cells), flush=True)


async def main() -> int:
    parser = options(__doc__, PAGE)
    parser.add_argument("--disks", type=int, default=17, help="the job has 2^disks - 1 steps")
    parser.add_argument("--hard", type=float, default=HARD, help="share of hard prompts")
    given = parser.parse_args()
    done = lines(given.disks, given.hard)
    for line in done:
        await played(line)
    text = PAGE_TEXT.format(
        origin=origin("ladder", given.results),
        disks=given.disks,
        steps=2**given.disks - 1,
        hard=given.hard,
        error=ERROR,
        table=table(COLUMNS, [line.cells for line in done]),
    )
    write(given.results, PAGE, text)
    print(text)
    return int(any(line.to_be_solved and not line.solved for line in done))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

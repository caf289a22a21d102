"""A judge of equivalence off and on: answers in several wordings, compared by their normal forms alone, and by a judge that is wrong now and then.

python bench/equivalence.py --runs 100 --results bench/results

Questions with one right answer, by a double that says it in up to eight wordings and is wrong in a known share of its samples; the wrong answers are one
of two, or one of eleven.  All ways get the same questions and the same samples.  Exits 1 if what the page says in its first paragraph is not what was
measured.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import NamedTuple

from pages import options, origin, table, write
from servers import redis_server

import surefoot
from surefoot.models import Equated, Model
from surefoot.models.doubles import (
    ParaphraseDouble,
    equivalence_double,
    town_answer,
    town_in,
    town_problem,
)
from surefoot.voting import Stalled

PAGE = "equivalence.md"
VOTES, LIMIT = 3, 30
AT_ONCE = 5
"""Jobs: each has a lease, which many of them on a busy machine cannot renew in time."""
COLUMNS = ("judge", "right", "wrong", "stalled", "samples", "merged", "tokens", "the judge's")
WITHOUT = "none: normal forms alone"
PERFECT = "never wrong"
PAGE_TEXT = """\
# Answers in words, and who says which are the same

{origin}

**Where a model says the same in several wordings, votes on prose stall, and a judge decides them for less than the stalls take. Where it has one wording a judge
is paid for nothing, and a poor one does harm.** With eight wordings and one sample of ten wrong, {none} of the questions are decided rightly without a judge, and
{perfect} with one that is never wrong, for {ratio} of the tokens; {ten} with one that is wrong in a tenth of its verdicts. Where three samples of ten are wrong and there
are but three towns, {perfect_wrong} are decided wrongly with the best judge, {ten_wrong} with that poor one, and {stubborn_wrong} if its errors are the same in both orders, so that
to ask in both shows nothing. With one wording there {none_once} are decided wrongly without a judge, and {stubborn_once} with the poorest, for {more_once} more tokens.

{runs} questions a line, `votes={votes}`, at most {limit} samples. "Towns": among so many all answers are, so the fewer they are the more wrong ones agree. "Wrong in
2%" is the share of single verdicts: a pair is merged only if the judge says yes in both orders, so that two errors merge what differs, and one
splits what is the same. "Alike in both orders" is a judge whose error in one order is its error in the other: what one order alone would give, but for
the tokens of the second. A stall is no answer. "Merged" are samples that count in the words of others; tokens are input and output together, those of the judge included, a
token being four characters. Means. The doubles' wordings are told apart perfectly, but for the stated errors: the page shows what verdicts do to votes, not how good a
model judges.

It does not pay where answers are numbers, quantities, dates or JSON (the judge is never asked), nor where the model can be held to one wording: a word, a name from a
list.

{tables}"""


class World(NamedTuple):
    """How the double answers."""

    wordings: int
    error: float
    towns: int

    @property
    def title(self) -> str:
        words = "one wording" if self.wordings == 1 else f"{self.wordings} wordings"
        return f"{words}, {self.error:.0%} of the samples wrong, {self.towns} towns"


class Way(NamedTuple):
    """Who compares: nobody, or a judge with this share of wrong verdicts."""

    error: float | None
    stubborn: bool = False

    @property
    def name(self) -> str:
        if self.error is None:
            return WITHOUT
        if not self.error:
            return PERFECT
        return f"wrong in {self.error:.0%}" + (", alike in both orders" if self.stubborn else "")


WORLDS = (
    World(8, 0.1, 12),
    World(8, 0.3, 12),
    World(8, 0.3, 3),
    World(3, 0.1, 12),
    World(1, 0.1, 12),
    World(1, 0.3, 3),
)
WAYS = (Way(None), Way(0.0), Way(0.02), Way(0.02, True), Way(0.1), Way(0.1, True))


@dataclass
class Measured:
    """What became of a way, a number a run."""

    right: dict[int, bool] = field(default_factory=dict)
    """By question: they end in any order."""
    stalled: int = 0
    samples: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    judged: list[int] = field(default_factory=list)

    @property
    def share(self) -> float:
        return fmean(self.right.values())

    @property
    def wrong(self) -> float:
        return (len(self.right) - sum(self.right.values()) - self.stalled) / len(self.right)

    @property
    def price(self) -> float:
        return fmean(self.tokens)


async def solved(way: Way, world: World, door: int, redis: str, found: Measured) -> None:
    """Answer one question in one way."""
    model: Model = ParaphraseDouble(wordings=world.wordings, towns=world.towns, error=world.error, seed=door)
    equated = None
    if way.error is not None:
        judge = equivalence_double(error=way.error, stubborn=way.stubborn, seed=door)
        model = equated = Equated(model, judge)
    job = f"{door} {world} {way}"
    answer = None
    try:
        solution = await surefoot.solve(
            town_problem(door),
            depth=0,
            votes=VOTES,
            limit=LIMIT,
            replans=0,
            model=model,
            redis=redis,
            job=job,
        )
        answer, report = solution.answer, solution.report
        samples = report.samples
    except Stalled:
        found.stalled += 1
        samples = LIMIT  # the report has those of decided steps
        report = await surefoot.report(job, redis=redis)
    found.right[door] = town_in(answer) == town_answer(door, world.towns)
    found.samples.append(samples)
    found.tokens.append(report.tokens.total or 0)
    found.merged.append(equated.merged if equated else 0)
    found.judged.append(equated.usage.total if equated else 0)


async def measured(runs: int, redis: str) -> dict[World, dict[Way, Measured]]:
    """Answer the same questions in all ways, in all worlds."""
    found: dict[World, dict[Way, Measured]] = {}
    for world in WORLDS:
        found[world] = {}
        for way in WAYS:
            each = found[world][way] = Measured()
            for first in range(0, runs, AT_ONCE):
                doors = range(first, min(runs, first + AT_ONCE))
                await asyncio.gather(*(solved(way, world, door, redis, each) for door in doors))
    return found


def said(found: Mapping[World, Mapping[Way, Measured]]) -> Mapping[str, str]:
    """Return the figures of the first paragraph."""
    many, agreeing, once = found[WORLDS[0]], found[WORLDS[2]], found[WORLDS[-1]]
    none, poorest = once[Way(None)], once[Way(0.1, True)]
    return {
        "none": f"{many[Way(None)].share:.0%}",
        "perfect": f"{many[Way(0.0)].share:.0%}",
        "ratio": f"{many[Way(0.0)].price / many[Way(None)].price:.0%}",
        "ten": f"{many[Way(0.1)].share:.0%}",
        "perfect_wrong": f"{agreeing[Way(0.0)].wrong:.0%}",
        "ten_wrong": f"{agreeing[Way(0.1)].wrong:.0%}",
        "stubborn_wrong": f"{agreeing[Way(0.1, True)].wrong:.0%}",
        "none_once": f"{none.wrong:.0%}",
        "stubborn_once": f"{poorest.wrong:.0%}",
        "more_once": f"{poorest.price / none.price - 1:.0%}",
    }


def as_said(found: Mapping[World, Mapping[Way, Measured]]) -> bool:
    """Whether a judge helps where there are many wordings, for less, and does not where there is one, and which errors are worse."""
    many, agreeing, once = found[WORLDS[0]], found[WORLDS[2]], found[WORLDS[-1]]
    helps = many[Way(0.0)].share > many[Way(None)].share and many[Way(0.0)].price < many[Way(None)].price
    idle = once[Way(0.0)].right == once[Way(None)].right and not any(once[Way(0.0)].merged)
    wrong = [agreeing[way].wrong for way in (Way(0.0), Way(0.1), Way(0.1, True))]
    return helps and idle and wrong == sorted(wrong) and once[Way(None)].wrong <= once[Way(0.1, True)].wrong


def rows(found: Mapping[Way, Measured]) -> Iterator[Sequence[str]]:
    """Yield a row a way."""
    for way, each in found.items():
        yield (
            way.name,
            f"{each.share:.1%}",
            f"{each.wrong:.1%}",
            f"{each.stalled / len(each.right):.1%}",
            f"{fmean(each.samples):.1f}",
            f"{fmean(each.merged):.1f}",
            f"{each.price:,.0f}",
            f"{fmean(each.judged):,.0f}",
        )


def main() -> int:
    """Measure and print."""
    parser = options(__doc__, PAGE)
    parser.add_argument("--runs", type=int, default=100)
    arguments = parser.parse_args()
    with redis_server() as redis:
        found = asyncio.run(measured(arguments.runs, redis))
    page = PAGE_TEXT.format(
        origin=origin("equivalence", arguments.results),
        runs=arguments.runs,
        votes=VOTES,
        limit=LIMIT,
        tables="\n".join(
            f"## {world.title}\n\n{table(COLUMNS, rows(each))}\n" for world, each in found.items()
        ),
        **said(found),
    )
    print(page)
    write(arguments.results, PAGE, page)
    return int(not as_said(found))


if __name__ == "__main__":
    sys.exit(main())

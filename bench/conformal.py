"""Whether conformal exits keep their promise: P(exit | unsafe) <= delta, over 1,000 seeded splits.

python bench/conformal.py [--splits 1000] [--events FILE] [--results bench/results]

Each split draws 5 to 99 unsafe cues and as many safe ones to calibrate on, and looks what becomes of 100 new ones of
each.  Scores are continuous, or take four values, or are those of an overconfident model; then come whole traces of
dependent cues, calibrated per trace and, as published, per cue.  `--events` takes forced exits of a real model instead,
as `surefoot calibrate exits --events` writes them.  The score is fitted on a third of the file's traces; splits are
random divisions of the others, so the bound holds given the file.

A split is one observation: sigma is the standard deviation of its share of exits, over the root of the splits.  (The new
cues of a split all meet one threshold, whose own share is Beta distributed: they are not independent observations.)

Exits 1 if a promised share is above delta + 3 sigma.
"""

import math
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, product
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from pages import options, origin, table, write

from surefoot.agents.reasoning.exit_calibration import parted, scored
from surefoot.agents.reasoning.exit_labels import read_forced
from surefoot.agents.reasoning.exit_scores import Score
from surefoot.voting.conformal import ConformalExit, CueEvent, Per

DELTAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
SIZES = (5, 10, 20, 50, 99)
"""Unsafe cues, or traces with an unsafe cue, to calibrate on."""
NEW = 100
SPLITS = 1000

Trace = list[CueEvent]
Split = tuple[list[Trace], list[Trace]]
"""Traces to calibrate on, and new ones."""
Draw = Callable[[int, int], Split]
"""Draws a split, given the size and the number of the split."""


class New:
    """New traces, to be looked at with many rules."""

    def __init__(self, traces: list[Trace]) -> None:
        unsafe = [[event.score for event in one if not event.safe] for one in traces]
        self.cues = list(chain(*unsafe))
        self.worst = [max(scores) for scores in unsafe if scores]
        self.with_safe = [
            [(event.score, event.safe) for event in one]
            for one, scores in zip(traces, unsafe, strict=True)
            if len(scores) < len(one)
        ]

    def each(self, rule: ConformalExit) -> float:
        """Of the unsafe cues, the share that would exit."""
        return fmean(map(rule.exits, self.cues))

    def ever(self, rule: ConformalExit) -> float:
        """Of the traces with an unsafe cue, the share that would exit at one."""
        return fmean(map(rule.exits, self.worst))

    def kept(self, rule: ConformalExit) -> float:
        """Of the traces with a safe cue, the share whose first exit is at one."""
        first = [next((safe for score, safe in one if rule.exits(score)), False) for one in self.with_safe]
        return sum(first) / len(first) if first else 0.0


class Way(NamedTuple):
    """How to calibrate, and which share of exits to look at."""

    per: Per
    share: Callable[[New, ConformalExit], float]
    says: str
    promised: bool


SINGLE = Way("trace", New.ever, "unsafe cues that exit", True)
WAYS = (
    Way("trace", New.ever, "calibrated per trace: traces that ever exit at an unsafe cue", True),
    Way("cue", New.each, "calibrated per cue, no promise: unsafe cues that exit", False),
    Way("cue", New.ever, "calibrated per cue, no promise: traces that ever exit at an unsafe cue", False),
)


class Cell(NamedTuple):
    """One delta and one size, over all splits."""

    delta: float
    exited: float
    """Mean share of the unsafe that exit."""
    sigma: float
    kept: float

    @property
    def above(self) -> bool:
        return self.exited > self.delta + 3 * self.sigma

    def shown(self) -> str:
        share = f"{self.exited:.4f} ± {3 * self.sigma:.4f}, {self.kept:.0%}"
        return f"**{share}**" if self.above else share


class Section(NamedTuple):
    """One table: a row for each size."""

    title: str
    promised: bool
    rows: dict[int, list[Cell]]

    @property
    def broken(self) -> bool:
        return self.promised and any(cell.above for row in self.rows.values() for cell in row)

    def markdown(self) -> str:
        columns = ["calibrated on", *(f"delta {delta}" for delta in DELTAS)]
        rows = ([f"{size} unsafe", *(cell.shown() for cell in row)] for size, row in self.rows.items())
        return f"## {self.title}\n\n{table(columns, rows)}\n"


def continuous(draw: random.Random, safe: bool) -> float:
    """Safe cues score higher, with much overlap."""
    return math.pow(draw.random(), 1 / 3) if safe else 1 - math.pow(draw.random(), 1 / 2)


def four_values(draw: random.Random, safe: bool) -> float:
    """How many of the last three answers agree."""
    return draw.choices((0.0, 1 / 3, 2 / 3, 1.0), (1, 2, 3, 14) if safe else (8, 6, 5, 1))[0]


def overconfident(draw: random.Random, safe: bool) -> float:
    """Nearly all scores are above 0.9, whether safe or not."""
    return math.pow(draw.random(), 0.002 if safe else 0.02)


def cues(score: Callable[[random.Random, bool], float], size: int, split: int) -> Split:
    """Draw independent cues, every one a trace of its own."""
    draw = random.Random(f"{score.__name__} {size} {split}")

    def several(count: int) -> list[Trace]:
        return [[CueEvent(i, score(draw, i % 2 == 0), i % 2 == 0)] for i in range(2 * count)]

    return several(size), several(NEW)


def dependent(size: int, split: int) -> Split:
    """Draw whole traces, `size` and then `NEW` of them with an unsafe cue."""
    draw = random.Random(f"dependent {size} {split}")
    return until(size, partial(trace, draw)), until(NEW, partial(trace, draw))


def trace(draw: random.Random, number: int) -> Trace:
    """Draw a trace of dependent cues: a hard problem has more of them, is wrong for longer and looks surer of it."""
    hard = draw.gauss(0, 1)
    length = 1 + int(draw.expovariate(math.exp(-0.7 - 0.7 * hard)))
    right_from = draw.randrange(length + 1)
    looks = [0.8 * hard + draw.gauss(0, 1) + 3 * (cue >= right_from) for cue in range(length)]
    return [CueEvent(number, 1 / (1 + math.exp(-look)), cue >= right_from) for cue, look in enumerate(looks)]


def until(unsafe: int, drawn: Callable[[int], Trace]) -> list[Trace]:
    """Draw traces until so many have an unsafe cue."""
    traces: list[Trace] = []
    while unsafe:
        traces.append(drawn(len(traces)))
        unsafe -= is_unsafe(traces[-1])
    return traces


def is_unsafe(one: Trace) -> bool:
    return any(not event.safe for event in one)


def divided(pool: Sequence[Trace], size: int, split: int) -> Split:
    """Divide the traces of a file at random: `size` with an unsafe cue to calibrate on, the others are new."""
    shuffled = random.Random(f"divided {size} {split}").sample(pool, len(pool))
    known = until(size, shuffled.__getitem__)
    return known, shuffled[len(known) :]


def measure(title: str, ways: Sequence[Way], draw: Draw, sizes: Sequence[int], splits: int) -> list[Section]:
    """Calibrate and look, split by split; one section for each way."""
    found = [Section(f"{title}, {way.says}", way.promised, {}) for way in ways]
    for size in sizes:
        seen: dict[tuple[Way, float], list[tuple[float, float]]] = defaultdict(list)
        for split in range(splits):
            known, traces = draw(size, split)
            events, new = list(chain(*known)), New(traces)
            for per, delta in product(dict.fromkeys(way.per for way in ways), DELTAS):
                rule = ConformalExit.of(events, delta, per)
                kept = new.kept(rule)
                for way in ways:
                    if way.per == per:
                        seen[way, delta].append((way.share(new, rule), kept))
        for way, section in zip(ways, found, strict=True):
            section.rows[size] = [cell(delta, seen[way, delta]) for delta in DELTAS]
    return found


def cell(delta: float, splits: Sequence[tuple[float, float]]) -> Cell:
    exited, kept = zip(*splits, strict=True)
    return Cell(delta, fmean(exited), stdev(exited) / math.sqrt(len(splits)), fmean(kept))


def sections(splits: int, sizes: Sequence[int] = SIZES) -> list[Section]:
    single = (
        measure(f"Independent cues, {name}", [SINGLE], partial(cues, score), sizes, splits)
        for name, score in (
            ("continuous scores", continuous),
            ("scores of four values", four_values),
            ("overconfident scores", overconfident),
        )
    )
    return [*chain(*single), *measure("Dependent cues", WAYS, dependent, sizes, splits)]


def of_file(path: Path, splits: int) -> list[Section]:
    """Fit the score on a third of the file's traces and divide the others."""
    fitting, rest = parted(read_forced(path), 1 / 3)
    traces: dict[object, Trace] = defaultdict(list)
    for event in scored(rest, Score.fitted(fitting)):
        traces[event.trace].append(event)
    pool = list(traces.values())
    unsafe = sum(map(is_unsafe, pool))
    sizes = [size for size in SIZES if 2 * size <= unsafe]
    if not sizes:
        raise SystemExit(f"only {unsafe} traces with an unsafe cue to divide; {2 * min(SIZES)} are needed")
    return measure(path.name, WAYS, partial(divided, pool), sizes, splits)


def page(found: Sequence[Section], splits: int, results: Path | None) -> str:
    broken = [section.title for section in found if section.broken]
    verdict = (
        f"BROKEN: {'; '.join(broken)}." if broken else "Every promised share is at most delta + 3 sigma."
    )
    return (
        f"# Conformal exits: P(exit | unsafe) against delta, {splits:,} splits\n\n"
        f"{origin('conformal', results)}\n\n"
        f"{verdict}  In each cell: the mean share of exits among the unsafe ± 3 sigma, then the share of the traces with "
        f"a safe cue whose first exit is at one.  Bold: above delta + 3 sigma.  Where the unsafe are too few for delta "
        f"nothing exits.\n\n" + "\n".join(section.markdown() for section in found)
    )


def main() -> None:
    parser = options(__doc__, "conformal.md")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--events", type=Path, help="forced exits of a real model, JSONL")
    given = parser.parse_args()
    found = of_file(given.events, given.splits) if given.events else sections(given.splits)
    text = page(found, given.splits, given.results)
    print(text)
    write(given.results, "conformal-events.md" if given.events else "conformal.md", text)
    sys.exit(1 if any(section.broken for section in found) else 0)


if __name__ == "__main__":
    main()

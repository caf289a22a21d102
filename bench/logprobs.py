"""What log-probabilities tell about right and wrong, and what throwing unsure samples away saves.

python bench/logprobs.py [--states 4000] [--results bench/results]

Half of the states say what log-probabilities tell, and below which value at most 1 or 10 % of right samples lie (95 % sure); on the other half
samples below it are thrown away.  Six samples a state, two a view; eleven disks have 2,047 states.  Votes are those that first-to-ahead-by-k
needs for 10^6 steps at a reliability of 99 %, computed from the upper bound of the error rate, steps being alike and k mixed of two neighbours so
that rounding plays no part; samples are these and all thrown-away ones.  A state all of whose samples are thrown away has no error rate: such
a step draws more samples than is counted here, and may stall.  pebble was trained on at most 20 disks.  Calibration error compares right
samples with exp(mean log-probability): those of the doubles are in an order that tells as much as is said, and calibrated in no way.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import cycle
from typing import NamedTuple

from pages import options, origin, shown, table, write
from rich.console import Console
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from surefoot.agents.tasks.towers import MoveAndBoard, Towers, TowersState
from surefoot.models.base import Ask
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.double import Double
from surefoot.models.embedded.inference import Network
from surefoot.models.embedded.pool import CHUNK
from surefoot.voting import (
    PAPER,
    Calibration,
    Flag,
    LogprobBin,
    LogprobEvidence,
    Reading,
    RedFlag,
    Sample,
    StateOutcome,
    Unreachable,
    Unsure,
    expected_votes,
    k_min,
    screen,
    vote_risk,
)

LOST = (0.01, 0.1)
"""Shares of right samples that may be thrown away."""
STEPS, RELIABILITY = 10**6, 0.99
SAMPLES = 6
"""Of each state, two in each view."""
AUCS = (0.5, 0.7, 0.9, 0.99)
SHOWN = "pebble, 24 disks, move alone"
"""Whose reliability table is shown: pebble was trained on 20 disks, so that these errors are its own."""
TELLS = ("who answers", "valid samples", "wrong", "AUC", "AUC within a step", "calibration error")
EFFECTS = (
    "who answers",
    "right ones lost, at most",
    "threshold",
    "thrown away",
    "wrong ballots",
    "bound of that",
    "states without a ballot",
    "votes a step",
    "samples a step",
)
BINS = ("log-probability", "samples", "promised right", "right")

Columns = tuple[str, ...]
Row = tuple[str, ...]
Complete = Callable[[Sequence[Ask]], Sequence[Sample]]


class Field(NamedTuple):
    """Who answers, and about what."""

    name: str
    task: Towers
    temperature: float
    complete: Complete


class Answered(NamedTuple):
    """A state, what is right there, and its samples, a view each."""

    state: TowersState
    right: MoveAndBoard
    samples: list[Sample]

    def outcomes(self, task: Towers, flags: Flag) -> list[MoveAndBoard | RedFlag]:
        return [
            screen(Reading(sample, partial(task.read, state=self.state, view=view), self.state), flags)
            for view, sample in zip(cycle(range(task.views)), self.samples)
        ]


class Effect(NamedTuple):
    """What votes cost."""

    calibration: Calibration
    votes: float | None
    """None if no k will do."""
    samples: float | None


def fields(telling: Network) -> Iterator[Field]:
    """Yield what is measured: pebble where it was trained, pebble where it was not, and doubles."""
    for temperature in (1.0, 2.0):
        yield Field(
            f"pebble, 11 disks, temperature {temperature:g}",
            Towers(11, "compact"),
            temperature,
            telling.complete,
        )
    hot = "pebble, 11 disks, move alone, temperature 3"
    yield Field(hot, Towers(11, "compact", "move"), 3.0, telling.complete)
    for disks in (24, 26):
        yield Field(
            f"pebble, {disks} disks, move alone", Towers(disks, "compact", "move"), 1.0, telling.complete
        )
    for auc in AUCS:
        double = towers_double(error=0.05, auc=auc, seed=1)
        yield Field(f"a double, 5 % wrong, AUC {auc:g}", Towers(12, "compact"), 1.0, partial(_drawn, double))
    hard = towers_double(error=0.01, hard=0.01, hard_alike=True, auc=0.9, seed=2)
    about = "a double, 1 % wrong, 1 in 100 prompts hard, AUC 0.9"
    yield Field(about, Towers(12, "compact"), 1.0, partial(_drawn, hard))


def _drawn(double: Double, asks: Sequence[Ask]) -> list[Sample]:
    return [double.draw(ask) for ask in asks]


def answered(field: Field, states: int) -> list[Answered]:
    """Draw different states, and a sample of each in every view."""
    dice = random.Random(repr(field.task.spec()))
    task = field.task
    cases: dict[TowersState, MoveAndBoard] = {}
    for _ in range(2 * states):
        case = task.case(dice)
        if case.answer is not None:
            cases[case.state] = case.answer
        if len(cases) == states:
            break
    asks = []
    for state, right in cases.items():
        for number in range(SAMPLES):
            view = number % task.views
            guess = task.guess(state, (right[0], right[1] or state[1]), view)
            seed, limit = dice.randrange(2**63), task.disks + 16
            asks.append(Ask(task.ask(state, view), field.temperature, limit, seed, guess))
    found = [
        sample
        for first in range(0, len(asks), CHUNK)
        for sample in field.complete(asks[first : first + CHUNK])
    ]
    return [
        Answered(state, right, found[number * SAMPLES : (number + 1) * SAMPLES])
        for number, (state, right) in enumerate(cases.items())
    ]


def evidence_of(field: Field, states: Sequence[Answered]) -> LogprobEvidence:
    """Return what the log-probabilities of valid samples tell."""
    judged = []
    for one in states:
        outcomes = zip(one.samples, one.outcomes(field.task, PAPER), strict=True)
        judged.append(
            [(s.logprob, found == one.right) for s, found in outcomes if not isinstance(found, RedFlag)]
        )
    return LogprobEvidence.of(judged)


def effect_of(field: Field, states: Sequence[Answered], flags: Flag) -> Effect:
    """Return what votes cost with these red flags."""
    outcomes = [
        StateOutcome.count(one.state, one.outcomes(field.task, flags), one.right, views=field.task.views)
        for one in states
    ]
    calibration = Calibration.of(outcomes, known_answers=True)
    votes = mixed_votes(1 - calibration.bound)
    return Effect(calibration, votes, votes and votes / calibration.valid_rate)


def mixed_votes(p: float) -> float | None:
    """Return the votes a step of two neighbouring k, mixed so that the risk is spent and rounding plays no part."""
    try:
        k = k_min(p, STEPS, RELIABILITY)
    except Unreachable:
        return None
    if k == 1:
        return 1.0
    allowed = -math.expm1(math.log(RELIABILITY) / STEPS)
    more, less = vote_risk(p, k - 1), vote_risk(p, k)
    share = min(1.0, max(0.0, (allowed - less) / (more - less)))
    return share * expected_votes(p, k - 1) + (1 - share) * expected_votes(p, k)


def measure(
    field: Field, states: int
) -> tuple[LogprobEvidence, list[tuple[float | None, float | None, Effect]]]:
    """Return what is told on one half of the states, and what votes cost on the other: (share lost, threshold, effect)."""
    found = answered(field, states)
    known, others = found[::2], found[1::2]
    evidence = evidence_of(field, known)
    effects: list[tuple[float | None, float | None, Effect]] = [(None, None, effect_of(field, others, PAPER))]
    for lost in LOST:
        threshold = evidence.threshold(lost)
        flags = PAPER if threshold is None else PAPER | Unsure(threshold)
        effects.append((lost, threshold, effect_of(field, others, flags)))
    return evidence, effects


def told(number: float | None, form: str = ".2f") -> str:
    return "none" if number is None else format(number, form)


def tell_row(name: str, evidence: LogprobEvidence) -> Row:
    interval = f"({evidence.auc_low:.3f} to {evidence.auc_high:.3f})"
    auc = "not known" if evidence.auc is None else f"{evidence.auc:.3f} {interval}"
    near = evidence.within
    within = "too few" if near is None else f"{near.mean:.3f} ({near.low:.3f} to {near.high:.3f})"
    wrong = 1 - evidence.right / evidence.samples
    return name, f"{evidence.samples:,}", f"{wrong:.2%}", auc, within, f"{evidence.calibration_error:.4f}"


def effect_row(name: str, lost: float | None, threshold: float | None, effect: Effect) -> Row:
    found = effect.calibration
    thrown = found.flags.get("unsure", 0) / found.samples
    return (
        name,
        "no flag" if lost is None else f"{lost:.0%}",
        told(threshold, ".3g"),
        f"{thrown:.1%}",
        f"{found.error_rate:.2%}",
        f"{found.bound:.2%}",
        f"{found.states - found.measured} of {found.states:,}",
        told(effect.votes),
        told(effect.samples),
    )


def bin_row(row: LogprobBin) -> Row:
    between = f"{row.low:.3g} to {row.high:.3g}"
    return between, f"{row.samples:,}", f"{row.promised:.2%}", f"{row.right:.2%}"


def tables(states: int) -> Iterator[tuple[str, Columns, list[Row]]]:
    """Measure everything; yield the tables."""
    tells, effects, bins = [], [], list[Row]()
    for field in fields(Network(logprobs=True)):
        evidence, found = measure(field, states)
        tells.append(tell_row(field.name, evidence))
        effects += [effect_row(field.name, *each) for each in found]
        if field.name == SHOWN:
            bins = [bin_row(row) for row in evidence.bins]
    yield "What log-probabilities tell", TELLS, tells
    yield "What throwing away mends and saves", EFFECTS, effects
    yield f"Reliability: {SHOWN}", BINS, bins


def main() -> None:
    """Measure, print, write the page."""
    parser = options(__doc__, "logprobs.md")
    parser.add_argument("--states", type=int, default=4000)
    arguments = parser.parse_args()
    with threadpool_limits(1):
        found = list(tables(arguments.states))
    console = Console(width=180)
    for title, columns, rows in found:
        console.print(shown(title, columns, rows))
    parts = "\n\n".join(f"## {title}\n\n{table(columns, rows)}" for title, columns, rows in found)
    about = parser.description.split("\n\n", 2)[2].strip() if parser.description else ""
    head = f"# Log-probabilities as evidence\n\n{origin('logprobs', arguments.results)}\n\n{about}"
    write(arguments.results, "logprobs.md", f"{head}\n\n{parts}\n")


if __name__ == "__main__":
    main()

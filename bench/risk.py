"""What a risk budget saves, and what the printed risk is worth: theory, simulated elections, calibrations that learn, and pebble.

python bench/risk.py [--jobs 1000] [--million 500] [--learned 20] [--states 3000 30000] [--disks 11] [--results bench/results]

Elections are simulated with two candidates, all wrong answers alike, by numpy; calibrations are surefoot's own, made of simulated
ballots; pebble is asked for real.  Jobs of a million steps are not voted through: of their elections only those are drawn whose first
ballots are not all right, which is exact and leaves one in thousands.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from statistics import fmean, median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pages import options, origin, table, write
from rich.console import Console

import surefoot
from surefoot.voting import (
    ALARM,
    AdaptiveConsistency,
    Calibration,
    Margins,
    Plurality,
    RiskBudget,
    Rule,
    StateOutcome,
    StepClass,
    choose_budget,
    choose_k,
    drift_evidence,
    outlook,
    p_step,
    spend,
)
from surefoot.voting.choice import HARDEST

STEPS, ALLOWED = 1_000_000, 0.01
RELIABILITY = 1 - ALLOWED
DRAWN = 3
"""Samples of each state, as a calibration draws them."""
CHUNK = 4_000_000

Kinds = Mapping[str, tuple[float, Sequence[StepClass]]]


class Population(NamedTuple):
    """Steps of a job: how often ballots err on them."""

    name: str
    kinds: Kinds
    """What is known of a step before anybody is asked, and what is not."""

    @property
    def hidden(self) -> list[StepClass]:
        """The same, if nothing is known."""
        return [
            StepClass(share * each.share, each.errors)
            for share, classes in self.kinds.values()
            for each in classes
        ]


def alike(p: float) -> Population:
    return Population(f"alike, p = {p}", {"": (1.0, (StepClass(1.0, (1 - p,)),))})


EASY, HARD = 1e-4, 0.1
POPULATIONS = (
    alike(0.9),
    alike(0.95),
    alike(0.99),
    alike(0.998),
    alike(0.9999),
    Population(
        "0.1 % at p = 0.9, hidden", {"": (1.0, (StepClass(0.999, (EASY,)), StepClass(0.001, (HARD,))))}
    ),
    Population("1 % at p = 0.9, hidden", {"": (1.0, (StepClass(0.99, (EASY,)), StepClass(0.01, (HARD,))))}),
    Population("1 % at p = 0.8, hidden", {"": (1.0, (StepClass(0.99, (EASY,)), StepClass(0.01, (0.2,))))}),
    Population(
        "0.1 % at p = 0.9, named by the task",
        {"easy": (0.999, (StepClass(1.0, (EASY,)),)), "hard": (0.001, (StepClass(1.0, (HARD,)),))},
    ),
    Population(
        "0.1 % at p = 0.9, in one view of three",
        {
            "": (
                1.0,
                (StepClass(0.999, (EASY,) * 3), StepClass(0.001, (3 * HARD - 2 * EASY, EASY, EASY))),
            )
        },
    ),
)


# --- votes a step at equal failure --------------------------------------------------------------------------------------------


class Way(NamedTuple):
    """One rule on one population: votes a step, the chance that a step is decided wrongly, and how it is decided by kind."""

    rule: str
    votes: float
    risk: float
    of: RiskBudget | Rule | None = None

    @property
    def job(self) -> float:
        return -math.expm1(STEPS * math.log1p(-min(self.risk, 1 - 1e-12)))


def least(of: Callable[[int], Way]) -> Way:
    """Return the cheapest of a family of ways that really holds what is allowed."""
    return next(way for number in range(1, 200) if (way := of(number)).job <= ALLOWED)


def weighed(name: str, rule: Rule, classes: Sequence[StepClass]) -> Way:
    found = outlook(rule, classes, 1e-18)
    return Way(name, found.votes, found.risk, rule)


def fixed(classes: Sequence[StepClass], k: int) -> Way:
    return weighed(f"k = {k}", Margins((k,)), classes)


def plurality(classes: Sequence[StepClass], k: int) -> Way:
    """Return the majority of 2k - 1 ballots."""
    return weighed(f"majority of {2 * k - 1}", Plurality(2 * k - 1), classes)


def window(classes: Sequence[StepClass], w: int) -> Way:
    """Return ESC (Li et al. 2024, arXiv 2401.10480): windows of w ballots until one is unanimous."""
    risk = votes = 0.0
    for each in classes:
        views = [each.errors[ballot % len(each.errors)] for ballot in range(w)]
        right, wrong = math.prod(1 - e for e in views), math.prod(views)
        risk += each.share * wrong / (right + wrong)
        votes += each.share * w / (right + wrong)
    return Way(f"ESC, windows of {w}", votes, risk)


def beta(classes: Sequence[StepClass], nines: int) -> Way:
    """Return Adaptive-Consistency: with 1 "nine" the 0.95 of its authors, with more 1 - 10^-nines."""
    threshold = 0.05 if nines == 1 else 10.0**-nines

    return weighed(f"Beta, flat prior, 1 - {threshold:.0e}", AdaptiveConsistency(1 - threshold), classes)


def wald(error: float) -> float:
    """Return Wald's bound of the votes that any rule with this risk takes on average (1945, section 4)."""
    a = ALLOWED / STEPS
    return ((1 - a) * math.log((1 - a) / a) + a * math.log(a / (1 - a))) / (
        (1 - 2 * error) * math.log((1 - error) / error)
    )


def simulated(way: Way, population: Population, jobs: int, rng: np.random.Generator) -> str:
    """Return how many of so many jobs fail, and the votes a step, by drawing elections."""
    failed, votes = np.zeros(jobs, dtype=bool), 0
    for name, (share, classes) in population.kinds.items():
        for each in classes:
            steps = rng.binomial(jobs * STEPS, share * each.share)
            spending = way.of.kinds[name] if isinstance(way.of, RiskBudget) else None
            low = 0 if spending is None else rng.binomial(steps, spending.share)
            tables = (
                [(way.of, steps)] if spending is None else [(spending.low, low), (spending.high, steps - low)]
            )
            for margins, count in tables:
                assert isinstance(margins, Margins)
                wrong, cast = elections(margins, each.errors, count, rng)
                failed[rng.integers(jobs, size=wrong)] = True
                votes += cast
    return f"{failed.sum():,} of {jobs:,}; {votes / (jobs * STEPS):.3f}"


def elections(
    margins: Margins, errors: tuple[float, ...], count: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Hold so many elections of steps of one class, and return how many were decided wrongly and how many votes were cast."""
    first = margins.leads[0]
    views = np.array(errors)
    at = views[np.arange(first) % len(views)]
    before = np.concatenate([[1.0], np.cumprod(1 - at)])
    # By where the first wrong ballot comes; an election without one among the first is over with them.
    drawn = rng.multinomial(count, [*(before[:-1] * at), before[-1]])
    votes, wrong = int(drawn[-1]) * first, 0
    leads = np.array(margins.leads)
    for place, number in enumerate(drawn[:-1]):
        for begin in range(0, int(number), CHUNK):
            size = min(CHUNK, int(number) - begin)
            right, against = np.full(size, place), np.ones(size, dtype=int)
            while right.size:
                dissent = np.minimum(right, against)
                over = np.abs(right - against) >= leads[np.minimum(dissent, len(leads) - 1)]
                wrong += int((over & (against > right)).sum())
                votes += int((right + against)[over].sum())
                right, against = right[~over], against[~over]
                errs = rng.random(right.size) < views[(right + against) % len(views)]
                right, against = right + ~errs, against + errs
    return wrong, votes


def compared(population: Population) -> Iterator[Way]:
    """Yield the ways to decide the steps of a population, each the cheapest of its family that holds what is allowed."""
    classes = population.hidden
    for family in (fixed, plurality, window, beta):
        yield least(partial(family, classes))
    mean = sum(each.share * fmean(each.errors) for each in classes)
    k = next(k for k in range(1, 200) if STEPS * (1 - p_step(1 - mean, k)) <= ALLOWED)
    yield fixed(classes, k)._replace(rule=f"k = {k}, from the mean")
    budget = spend(population.kinds, STEPS, RELIABILITY)
    risk = sum(share * budget.kinds[name].risk for name, (share, _) in population.kinds.items())
    yield Way("risk budget", budget.votes, risk, budget)


def votes_page(jobs: int, console: Console) -> str:
    rng, rows = np.random.default_rng(1), []
    for population in POPULATIONS:
        ways = list(compared(population))
        held = min(way.votes for way in ways if way.rule.startswith("k =") and way.job <= ALLOWED)
        errors = {error for each in population.hidden for error in each.errors}
        bound = f"{wald(errors.pop()):.2f}" if len(errors) == 1 else ""
        for way in ways:
            drawn = ""
            if way.rule == "risk budget" or (way.rule.startswith("k =") and way.votes < 6.5):
                drawn = simulated(way, population, jobs, rng) if population.hidden[0].errors[0] < 0.02 else ""
            rows.append(
                [
                    population.name,
                    way.rule,
                    f"{way.votes:.3f}",
                    f"{way.votes / held:.2f}",
                    f"{way.job:.3g}",
                    drawn,
                    bound,
                ]
            )
            console.print(*rows[-1], sep=" | ", highlight=False)
    columns = (
        "steps",
        "rule",
        "votes a step",
        "of fixed k",
        "risk of the job",
        "drawn: jobs failed; votes a step",
        "Wald's bound",
    )
    return table(columns, rows)


# --- what a calibration can promise -------------------------------------------------------------------------------------------


class World(NamedTuple):
    """How ballots err in a calibration and in the job after it."""

    name: str
    share: float
    """Of hard steps."""
    hard: float
    usual: float = 0.002
    stuck: float = 0.0
    """Share of steps whose ballots are all the same."""
    drift: float = 1.0
    """How many times as often ballots err in the job."""

    def rates(self, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.where(rng.random(count) < self.share, self.hard, self.usual)

    def ballots(self, rates: NDArray[np.float64], drawn: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which ballots are wrong, a row a step."""
        wrong = rng.random((len(rates), drawn)) < rates[:, None]
        stuck = rng.random(len(rates)) < self.stuck
        wrong[stuck] = wrong[stuck, :1]
        return wrong

    def calibrated(self, states: int, rng: np.random.Generator) -> Calibration:
        """Calibrate on so many states."""
        errors = self.ballots(self.rates(states, rng), DRAWN, rng).sum(axis=1)
        outcomes = [
            StateOutcome(state, DRAWN, DRAWN - wrong, rival=wrong, by_view=((wrong, DRAWN),))
            for state, wrong in enumerate(errors.tolist())
        ]
        return Calibration.of(outcomes, known_answers=True)

    def risk(self, k: int, steps: int) -> float:
        """Return the true chance of a wrong step in a job."""
        step = 0.0
        for share, rate in ((1 - self.share, self.usual), (self.share, self.hard)):
            error = min(1.0, rate * self.drift)
            step += share * (self.stuck * error + (1 - self.stuck) * (1 - p_step(1 - error, k)))
        return -math.expm1(steps * math.log1p(-step))

    def job(self, k: int, steps: int, rng: np.random.Generator) -> tuple[bool, int, int]:
        """Do a job: whether a step is decided wrongly, steps on which ballots differed, and all votes."""
        drifted = self._replace(
            usual=min(1.0, self.usual * self.drift), hard=min(1.0, self.hard * self.drift)
        )
        wrong = drifted.ballots(drifted.rates(steps, rng), LONGEST, rng)
        lead = np.cumsum(np.where(wrong, -1, 1), axis=1)
        over = np.abs(lead) >= k
        ends = np.where(over.any(axis=1), over.argmax(axis=1), LONGEST - 1)
        at = np.arange(steps)
        failed, votes = lead[at, ends] < 0, ends + 1
        against = (votes - np.abs(lead[at, ends])) // 2
        return bool(failed.any()), int((against > 0).sum()), int(votes.sum())


LONGEST = 60
"""Ballots of an election, at most; hardly any takes so many."""
STATES, JOB = 1000, 100
"""Of a calibration; steps of the job after it."""
WORLDS = (
    World("alike", 0.0, 0.0),
    World("0.01 % hard, wrong in 60 %", 0.0001, 0.6),
    World("0.1 % hard, wrong in 60 %", 0.001, 0.6),
    World("1 % hard, wrong in 40 %", 0.01, 0.4),
    World("drifting: ten times the errors in the job", 0.0, 0.0, drift=10.0),
    World("drifting: a hundred times", 0.0, 0.0, drift=100.0),
    World("correlated: on 30 % of the steps all ballots agree", 0.0, 0.0, stuck=0.3),
)


def coverage_page(jobs: int, console: Console) -> str:
    """Return how often what is printed holds."""
    rng, rows = np.random.default_rng(2), []
    for world in WORLDS:
        printed, bounds, true, failed, alarms, leads = [], [], [], 0, 0, []
        for _ in range(jobs):
            calibration = world.calibrated(STATES, rng)
            chosen = choose_k(calibration, JOB, RELIABILITY)
            assert chosen.k is not None and chosen.risk is not None and chosen.risk_bound is not None
            wrong, contested, votes = world.job(chosen.k, JOB, rng)
            alarm = drift_evidence(contested, votes, calibration.bound) >= ALARM
            leads.append(chosen.k)
            printed.append(chosen.risk)
            # A run that says that it has drifted says that nothing holds any more.
            bounds.append(1.0 if alarm else chosen.risk_bound)
            true.append(world.risk(chosen.k, JOB))
            failed, alarms = failed + wrong, alarms + alarm
        held = [np.mean([t <= p for t, p in zip(true, said, strict=True)]) for said in (printed, bounds)]
        rows.append(
            [
                world.name,
                f"{median(leads):.0f}",
                f"{median(true):.2g}",
                f"{failed} of {jobs}",
                f"{median(printed):.2g}",
                f"{held[0]:.1%}",
                f"{median(bounds):.2g}",
                f"{held[1]:.1%}",
                f"{alarms / jobs:.1%}",
            ]
        )
        console.print(*rows[-1], sep=" | ", highlight=False)
    columns = (
        "world",
        "k",
        "true risk",
        "jobs that went wrong",
        "printed if alike",
        "it holds",
        "printed bound",
        "it holds",
        "drift was noticed",
    )
    return table(columns, rows)


# --- a budget that is learned -------------------------------------------------------------------------------------------------


def learned_page(times: int, counts: Sequence[int], console: Console) -> str:
    """Return what budgets come to that are spent on what a calibration has learned."""
    rng, rows = np.random.default_rng(3), []
    for population in POPULATIONS[2:]:
        if set(population.kinds) != {""}:
            continue  # named kinds are learned as those that are alike
        classes = population.hidden
        worst = max(HARDEST, *(error for each in classes for error in each.errors))
        for hardest, states in product((worst, 0.0) if len(classes) == 1 else (worst,), counts):
            votes, true, refused = [], [], 0
            for _ in range(times):
                chosen = choose_budget(drawn(classes, states, rng), STEPS, RELIABILITY, hardest)
                if chosen.budget is None:
                    refused += 1
                    continue
                spending = chosen.budget.kinds[""]
                low, high = (outlook(margins, classes, 1e-18) for margins in (spending.low, spending.high))
                votes.append(spending.share * low.votes + (1 - spending.share) * high.votes)
                step = spending.share * low.risk + (1 - spending.share) * high.risk
                true.append(-math.expm1(STEPS * math.log1p(-step)))
            rows.append(
                [
                    population.name,
                    f"{hardest:.3g}" if hardest else "all alike",
                    f"{states:,}",
                    f"{refused} of {times}",
                    f"{median(votes):.3f}" if votes else "",
                    f"{median(true):.2g}" if votes else "",
                    f"{np.mean([t <= ALLOWED for t in true]):.1%}" if votes else "",
                ]
            )
            console.print(*rows[-1], sep=" | ", highlight=False)
    columns = (
        "steps",
        "hardest",
        "states",
        "refused",
        "votes a step",
        "true risk of the job",
        "no more than 1 %",
    )
    return table(columns, rows)


def drawn(classes: Sequence[StepClass], states: int, rng: np.random.Generator) -> Calibration:
    """Return a calibration on states of these classes, three ballots each, views in turn."""
    of = rng.choice(len(classes), size=states, p=[each.share for each in classes])
    views = len(classes[0].errors)
    rates = np.array([[each.errors[number % views] for number in range(DRAWN)] for each in classes])[of]
    wrong = rng.random((states, DRAWN)) < rates
    outcomes = []
    for state, row in enumerate(wrong.tolist()):
        by_view = tuple((sum(row[view::views]), len(row[view::views])) for view in range(views))
        errs = sum(row)
        outcomes.append(StateOutcome(state, DRAWN, DRAWN - errs, errs, by_view=by_view))
    return Calibration.of(outcomes, known_answers=True)


# --- pebble -------------------------------------------------------------------------------------------------------------------


async def pebble_page(disks: int, console: Console) -> str:
    """Return what real runs took, with either rule, calibrated on as many states."""
    rows = []
    rules = [surefoot.Settings(states=states) for states in (500, 3000)]
    rules += [surefoot.Settings(states=states, rule="budget") for states in (500, 3000)]
    rules += [surefoot.Settings(states=states, rule="budget", hardest=0.0) for states in (500, 3000, 30000)]
    for settings in rules:
        report = await surefoot.run(
            surefoot.Towers(disks, "compact"),
            settings,
            model="pebble-numpy",
            speculate=surefoot.Speculation(),
        )
        rows.append(
            [
                f"{settings.states:,}",
                f"k = {report.k}"
                if settings.rule == "lead"
                else "risk budget"
                if settings.hardest
                else "risk budget, all alike",
                f"{report.votes / report.steps:.3f}",
                "solved" if report.solved else report.status,
                f"{report.risk:.2g}",
                f"{report.risk_bound:.2g}",
                f"{report.dissent_rate:.2%}",
                report.head[:8],
            ]
        )
        console.print(*rows[-1], sep=" | ", highlight=False)
    columns = (
        "states",
        "rule",
        "votes a step",
        "result",
        "risk, printed",
        "however steps differ",
        "dissent",
        "hash",
    )
    return table(columns, rows)


def main() -> None:
    """Measure, print and write."""
    parser = options(__doc__, "risk.md")
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of each world")
    parser.add_argument("--million", type=int, default=500, help="simulated jobs of a million steps")
    parser.add_argument("--learned", type=int, default=20, help="calibrations that a budget is learned from")
    parser.add_argument(
        "--states", type=int, nargs="+", default=[3_000, 30_000], help="of these calibrations"
    )
    parser.add_argument("--disks", type=int, default=11, help="of the tower for pebble; 0 for none")
    given = parser.parse_args()
    console = Console()
    votes = votes_page(given.million, console)
    learned = learned_page(given.learned, given.states, console)
    coverage = coverage_page(given.jobs, console)
    pebble = asyncio.run(pebble_page(given.disks, console)) if given.disks else ""
    write(
        given.results,
        "risk.md",
        PAGE.format(
            origin=origin("risk", given.results),
            votes=votes,
            learned=learned,
            coverage=coverage,
            pebble=pebble,
            states=STATES,
            job=JOB,
            disks=given.disks,
        ),
    )


PAGE = """# Risk: what it takes, what it promises

{origin}

## Votes a step, for a job of a million steps at a risk of 1 %

Exact, by following every election; each rule is the cheapest of its family that really holds 1 %, but for "from the mean", which is the k that
the mean error rate asks for.  "of fixed k" is against the cheapest k that holds.  Drawn are the elections of so many jobs, as a check.

{votes}

First-to-ahead-by-k is Wald's test, so at one known error rate no rule gains more than what rounding k up has cost: nothing at 0.998.  A flat
prior takes 26 votes whatever the model is worth.  Hard steps that look like all others cost the budget half of what it
could save; where the task names them, or they are hard in one view alone, it saves what it can.

## A budget spent on what a calibration has learned

{learned}

The budget reckons with the worst mixture of steps up to the hardest that the calibration leaves possible: it holds for any, and pays for those that are
not there.  That is what it costs to know nothing of the steps but a few thousand samples; k from the mean costs less, and does not hold.

## Does it hold?

Each job has a calibration of its own on {states:,} states, {job} steps, and a reliability of 0.99.

{coverage}

"If alike" is what a mean error rate promises: it is a promise about steps that are alike, and about no others.  The bound holds however
steps differ and ballots agree; its price is that it says little of a long job.  No calibration knows of a drift that comes later: where the run's own
dissent shows it the bound is withdrawn and counts as 1, as in nearly all jobs of the hundredfold drift; the tenfold one it outlasts because it is loose.

## pebble, {disks} disks

{pebble}
"""

if __name__ == "__main__":
    main()

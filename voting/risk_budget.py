"""A job's allowed chance of failure, spent step by step: which lead decides a step of which kind.

First-to-ahead-by-k is Wald's sequential test (1945, Ann. Math. Stat. 16:117), so at one known error rate no rule needs fewer votes for
the same risk.  What can be saved lies elsewhere: in spending the budget instead of rounding k up, in kinds of steps that are known to
differ, and in leads that grow with the ballots against the leader, since a contested step is more likely a hard one.

What a table of leads by dissent costs and risks is found by walking through its elections ballot by ballot, views in
turn, for every class of steps, with two candidates: all wrong answers agree, the worst case.  Of each kind's tables those on the lower
convex hull of votes over risk are kept, and the budget buys the cheapest mix of them (a fractional knapsack).  Which of two neighbouring
tables a step gets is drawn before anybody votes.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, count, pairwise, takewhile
from statistics import fmean
from typing import Generic, NamedTuple, TypeVar

from surefoot.errors import BadInput

from .reliability import Unreachable
from .rules import Margins, Rule
from .step_classes import StepClass

R = TypeVar("R", bound=Rule)
LEAST_LEAD = 2
"""No step is decided by a single ballot: it could not be contradicted."""
UNMET = "(not met)"
"""What kinds of steps are called together that the calibration has not met."""
LONGEST = 1000
"""Ballots after which an election counts as lost, while tables of leads are compared."""
NEGLIGIBLE = 1e-4
"""Elections so rare, as a share of the risk that a step may take, are not followed any further."""


class Outlook(NamedTuple, Generic[R]):
    """A rule, and what deciding by it risks and takes at a step, on average."""

    rule: R
    risk: float
    """Chance that a wrong answer is elected, or none within `LONGEST` ballots."""
    votes: float
    """Ballots until there is a decision."""


@dataclass(frozen=True, slots=True)
class Spending:
    """How steps of one kind are decided."""

    low: Margins
    high: Margins
    """The safer one."""
    share: float
    """Of the steps of this kind that are decided by `low`."""
    risk: float
    """Chance that a wrong answer is elected at a step of this kind."""
    votes: float
    """Ballots a step, on average."""
    error: float
    """Share of wrong ballots among all that are cast, of which hard steps take more."""

    def raised(self, by: int) -> "Spending":
        """Return the same with leads that are larger by so much."""
        return replace(self, low=self.low.raised(by), high=self.high.raised(by))


@dataclass(frozen=True, slots=True)
class RiskBudget:
    """How the steps of a job are decided so that all are right at the reliability asked for, if its classes are as learned."""

    kinds: Mapping[str, Spending]
    """By the name that the task gives a kind of step; "" where it gives none."""
    risk: float
    """Chance of at least one wrong step in the whole job."""
    votes: float
    """Ballots a step, on average."""

    def rule(self, kind: str, draw: float) -> Margins:
        """Return what decides a step of this kind; `draw`, from 0 to below 1, is the step's own and known before anybody votes.

        A kind that was never met is decided as the one that needs most.
        """
        found = self.kinds.get(kind)
        if found is None:
            return max((each.high for each in self.kinds.values()), key=lambda margins: margins.leads)
        return found.low if draw < found.share else found.high

    def known(self, kind: str) -> str:
        """Return the kind's name, or what kinds that were never met are called."""
        return kind if kind in self.kinds else UNMET

    def raised(self, by: int) -> "RiskBudget":
        """Return the same with leads that are larger by so much, for steps that turned out wrong."""
        return replace(self, kinds={name: each.raised(by) for name, each in self.kinds.items()})

    @property
    def most(self) -> int:
        """The largest number of ballots that decide a step if they are all alike."""
        return max(margins.leads[0] for each in self.kinds.values() for margins in (each.low, each.high))

    @property
    def least(self) -> int:
        """The smallest lead that ever decides a step."""
        return min(margins.leads[0] for each in self.kinds.values() for margins in (each.low, each.high))


def outlook(rule: R, classes: Sequence[StepClass], negligible: float = 1e-15) -> Outlook[R]:
    """Return what deciding by a rule risks and takes at a step of these classes, exactly but for `negligible`."""
    risk, votes, _ = _walk(
        classes,
        lambda leader, dissent, wrong: rule.winner({"leader": leader, "other": dissent}) is not None,
        negligible,
    )
    return Outlook(rule, risk, votes)


def spend(
    kinds: Mapping[str, tuple[float, Sequence[StepClass]]],
    steps: int,
    reliability: float,
    *,
    least: int = LEAST_LEAD,
) -> RiskBudget:
    """Return the cheapest way to do a job of `steps` steps that is right at every one with this reliability.

    `kinds`: by name, the share of the job's steps and the classes of steps that are hidden in the kind.  Raises `Unreachable` if no
    leads can promise so much, as where a class is wrong in half of its ballots.
    """
    if not _whole([share for share, _ in kinds.values()]):
        raise BadInput("the shares of a job's kinds of steps must sum up to 1")
    for name, (_, classes) in kinds.items():
        if not _whole([each.share for each in classes]):
            raise BadInput(f"the shares of the classes of steps of kind {name!r} must sum up to 1")
    if steps < 1 or not 0 < reliability < 1:
        raise BadInput(
            f"a budget is for one step or more and a reliability between 0 and 1, not {steps!r} and {reliability!r}"
        )
    if any(each.share and fmean(each.errors) >= 0.5 for _, classes in kinds.values() for each in classes):
        raise _unreachable(steps, reliability)
    allowed = -math.expm1(math.log(reliability) / steps)
    # Each kind may come to spend the whole budget, so its tables reach from far too risky to far too safe.
    hulls = {
        name: _hull(_tables(classes, allowed / max(share, 1e-12), least))
        for name, (share, classes) in kinds.items()
    }
    at = dict.fromkeys(kinds, 0)
    spent = sum(share * hulls[name][0].risk for name, (share, _) in kinds.items())
    moves = sorted(_moves(kinds, hulls))
    shares: dict[str, float] = {}
    for _, place, name in moves:
        if spent <= allowed:
            break
        share, hull = kinds[name][0], hulls[name]
        gain = share * (hull[place].risk - hull[place + 1].risk)
        at[name] = place + 1
        spent -= gain
        if spent < allowed:  # this one only for as many steps as it takes
            shares[name] = (allowed - spent) / gain
            spent = allowed
    if spent > allowed * (1 + 1e-9):
        raise _unreachable(steps, reliability)
    found = {name: _spending(hulls[name], at[name], shares.get(name, 0.0), kinds[name][1]) for name in kinds}
    return RiskBudget(
        kinds=found,
        risk=-math.expm1(
            steps * math.log1p(-sum(kinds[name][0] * each.risk for name, each in found.items()))
        ),
        votes=sum(kinds[name][0] * each.votes for name, each in found.items()),
    )


def _whole(shares: Sequence[float]) -> bool:
    return min(shares, default=-1) >= 0 and abs(sum(shares) - 1) <= 1e-6


def _unreachable(steps: int, reliability: float) -> Unreachable:
    return Unreachable(
        f"no lead makes a job of {steps:,} steps right at {reliability!r}: on some steps votes repeat the mistake; "
        "use a stronger model, other views, the task's own check or smaller steps"
    )


def _moves(
    kinds: Mapping[str, tuple[float, Sequence[StepClass]]], hulls: Mapping[str, list[Outlook[Margins]]]
) -> Iterator[tuple[float, int, str]]:
    """Yield what it costs to go on at each place of each hull, in votes for a risk, so that the cheapest comes first."""
    for name in kinds:
        for place, (now, then) in enumerate(pairwise(hulls[name])):
            yield (then.votes - now.votes) / (now.risk - then.risk), place, name


def _spending(
    hull: list[Outlook[Margins]], place: int, share: float, classes: Sequence[StepClass]
) -> Spending:
    high = hull[place]
    low = hull[place - 1] if share else high
    # By Wald's equation, of each class by itself.
    cast = [
        (
            part * each.share * outlook(margins, [replace(each, share=1.0)], NEGLIGIBLE).votes,
            fmean(each.errors),
        )
        for part, margins in ((share, low.rule), (1 - share, high.rule))
        for each in classes
        if part and each.share
    ]
    return Spending(
        low=low.rule,
        high=high.rule,
        share=share,
        risk=share * low.risk + (1 - share) * high.risk,
        votes=share * low.votes + (1 - share) * high.votes,
        error=sum(votes * error for votes, error in cast) / sum(votes for votes, _ in cast),
    )


def _tables(classes: Sequence[StepClass], allowed: float, least: int) -> Iterator[Outlook[Margins]]:
    """Yield tables from far too risky to far too safe: fixed leads, and every threshold of the posterior that differs."""
    negligible, before = allowed * NEGLIGIBLE, math.inf
    for lead in range(least, LONGEST):
        found = outlook(Margins((lead,)), classes, negligible)
        yield found
        if found.risk < allowed / 10 or found.risk >= before:
            break
        before = found.risk
    seen: set[Margins] = set()
    threshold = 0.25
    while threshold > allowed / 1000:
        margins = _by_posterior(classes, threshold, least, negligible)
        if margins is not None and margins not in seen:
            seen.add(margins)
            yield outlook(margins, classes, negligible)
        threshold /= 2


def _by_posterior(
    classes: Sequence[StepClass], threshold: float, least: int, negligible: float
) -> Margins | None:
    """Return the leads at which the leader is wrong with no more than this posterior probability; None if none is ever enough."""
    *_, leads = _walk(
        classes,
        lambda leader, dissent, wrong: leader - dissent >= least and wrong <= threshold,
        negligible,
    )
    table = [*accumulate((leads[dissent] for dissent in takewhile(leads.__contains__, count())), max)]
    return Margins(tuple(table[: table.index(table[-1]) + 1])) if table else None


def _walk(
    classes: Sequence[StepClass], decides: Callable[[int, int, float], bool], negligible: float
) -> tuple[float, float, dict[int, int]]:
    """Follow all elections of a step, ballot by ballot, until hardly any is open.

    `decides`: whether the leader's votes, those against it and the probability that it is wrong are enough.  Returns the chance
    that a wrong answer is elected or none at all, the ballots on average, and the lead of the first decision by dissent.
    """
    # By class: the chance that `least` ballots are wrong, or one more, ... or all but `least`, and the election is still open.
    still = [[each.share] for each in classes]
    risk, votes, least = 0.0, 0.0, 0
    leads: dict[int, int] = {}
    for ballots in range(1, LONGEST + 1):
        for place, each in enumerate(classes):
            error, before = each.errors[(ballots - 1) % len(each.errors)], still[place]
            right, wrong = [mass * (1 - error) for mass in before], [mass * error for mass in before]
            still[place] = [x + y for x, y in zip([*right, 0.0], [0.0, *wrong], strict=True)]
        for dissent in range(least, (ballots + 1) // 2):
            wrong_leads = sum(masses[least - dissent - 1] for masses in still)
            either = wrong_leads + sum(masses[dissent - least] for masses in still)
            if either > 0 and decides(ballots - dissent, dissent, wrong_leads / either):
                risk, votes = risk + wrong_leads, votes + ballots * either
                leads.setdefault(dissent, ballots - 2 * dissent)
                for masses in still:
                    masses[least - dissent - 1] = masses[dissent - least] = 0.0
        while len(still[0]) > 1 and not any(masses[0] or masses[-1] for masses in still):
            still, least = [masses[1:-1] for masses in still], least + 1
        if (left := sum(map(sum, still))) < negligible or not still[0]:
            break
    return risk + left, votes + ballots * left, leads


def _hull(tables: Iterable[Outlook[Margins]]) -> list[Outlook[Margins]]:
    """Return the tables on the lower convex hull of risk over votes, the cheapest first."""
    hull: list[Outlook[Margins]] = []
    for found in sorted(tables, key=lambda each: (each.votes, each.risk)):
        if hull and found.risk >= hull[-1].risk:
            continue
        while len(hull) > 1 and _above(hull[-2], hull[-1], found):
            hull.pop()
        hull.append(found)
    return hull


def _above(first: Outlook[Margins], middle: Outlook[Margins], last: Outlook[Margins]) -> bool:
    """Whether the middle one lies on or above the line from the first to the last."""
    return (first.risk - middle.risk) * (last.votes - first.votes) <= (first.risk - last.risk) * (
        middle.votes - first.votes
    )

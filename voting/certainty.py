"""What would make a job surer than its calibration lets it be, and what that costs.

Only what follows from theory has a figure.  More votes are not among the purchases: the bound that holds however steps differ rests on a wrong ballot
among the first k, and among more ballots there is one more often (`wrong_upper`).  Where each state has a bound of its own, k is chosen to meet it.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from .calibration import Calibration
from .choice import risk_bound
from .reliability import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One way to be surer, and what it costs; None is what nobody can say before it is tried."""

    what: Literal["audit", "views", "model", "states"]
    """The task's own check, further views or another model where votes are divided (rungs of a ladder), or a calibration on more states."""
    detail: str
    """The same in words."""
    samples: int | None
    """In all; None if that depends on how many steps take it."""
    samples_per_step: int | None = None
    """The fewest at each step that takes it; None where it is not paid by the step."""
    tokens: float | None = None
    """Of these samples, read and written, at the calibration's mean; None if the server counts none, or others are asked."""
    cost: float | None = None
    """In the price's currency; None without a price."""
    seconds: float | None = None
    """At the speed measured."""
    risk_bound: float | None = None
    """What `risk_bound` would be then, with the same lead."""


def purchases(
    calibration: Calibration,
    lead: int | None,
    steps: int,
    reliability: float,
    *,
    bound: float | None,
    states: int | None = None,
    rungs: Collection[str] = (),
    audited: bool = False,
    audit_s: float | None = None,
    sample_s: float | None = None,
    price: Price | None = None,
) -> tuple[Purchase, ...]:
    """Return what would make a job of `steps` steps surer, the cheapest first; nothing if `bound` is what was asked for.

    `lead`: the votes that decide a step if all agree; None if nothing supports the reliability, so that only states can.
    `bound`: the `risk_bound` of the job.  `states`: how many it takes to promise, or to support, the reliability; None if none can.
    `rungs`: those of the job's ladder, which are not bought once more.  `audited`: whether the task has a check of its own, which takes
    `audit_s` seconds a step.  `sample_s`: seconds that the calibration took a sample.
    """
    if bound is not None and bound <= 1 - reliability:
        return ()
    found = [] if lead is None else [_audit(steps, audited, audit_s, price), *_ladder(lead, rungs)]
    if states is not None and states > calibration.states:  # fewer were met already, and did not do
        found.append(_states(calibration, lead, steps, states, sample_s, price))

    def most(purchase: Purchase) -> int:
        """If every step takes it."""
        return (purchase.samples_per_step or 0) * steps if purchase.samples is None else purchase.samples

    return tuple(sorted(found, key=most))


def samples_taken(purchase: Purchase) -> str:
    """Say how many samples it takes."""
    if purchase.samples is None:
        return f"at least {purchase.samples_per_step:,} samples at each step that climbs"
    return f"{purchase.samples:,} samples" if purchase.samples else "no samples"


def _audit(steps: int, audited: bool, audit_s: float | None, price: Price | None) -> Purchase:
    return Purchase(
        what="audit",
        detail="the task's own check of every step, which each run makes"
        if audited
        else "a check of every step, an `audit`, which the task does not have",
        samples=0,
        tokens=0.0,
        cost=None if price is None else 0.0,
        seconds=None if audit_s is None else audit_s * steps,
    )


def _ladder(lead: int, rungs: Collection[str]) -> Iterator[Purchase]:
    if "views" not in rungs:
        yield Purchase(
            what="views", detail="a ladder with further views", samples=None, samples_per_step=lead
        )
    if "model" not in rungs:
        yield Purchase(
            what="model", detail="a ladder with another model", samples=None, samples_per_step=lead
        )


def _states(
    calibration: Calibration,
    lead: int | None,
    steps: int,
    states: int,
    sample_s: float | None,
    price: Price | None,
) -> Purchase:
    samples = math.ceil(states * calibration.samples / calibration.states)
    detail, after = f"{states:,} states", None
    if lead is not None:
        detail += ", none with a wrong ballot"
        if calibration.erring:
            # At this share some of them would have one: what the bound would be then depends on how many.
            detail += f", unlike {calibration.erring:,} of these {calibration.states:,}"
        else:
            after = risk_bound(replace(calibration, states=states), lead, steps)
    each = calibration.per_sample
    read, written = (
        (0.0, 0.0) if each is None else (samples * each.input_tokens, samples * each.output_tokens)
    )
    return Purchase(
        what="states",
        detail=detail,
        samples=samples,
        tokens=None if each is None else read + written,
        cost=None if each is None or price is None else price.of(read, written, samples * each.cached_tokens),
        seconds=None if sample_s is None else sample_s * samples,
        risk_bound=after,
    )

"""The `k` for a job, from a calibration: what it promises, what it cannot, and what it would take to know better."""

import math
from dataclasses import dataclass

from surefoot.errors import BadInput

from .bounds import binomial_upper, count_needed
from .calibration import JUDGED_FROM, Calibration, StepKind
from .reliability import Unreachable, k_min, largest_error, risk
from .risk_budget import RiskBudget, spend
from .step_classes import StepClass, worst_classes

HARDEST = 0.1
"""Share of wrong ballots on the hardest step that a risk budget reckons with."""


@dataclass(frozen=True, slots=True)
class ChosenK:
    """The `k` for a job, why, and what it cannot promise."""

    k: int | None
    """From the upper bound of the error rate; None if the calibration cannot support the reliability."""
    k_at_point_estimate: int | None
    """What the observed error rate alone would ask for, for comparison; None if no k would do."""
    risk: float | None
    """Probability of a wrong step somewhere in the job with `k`, if the error rate is at its bound."""
    risk_at_point_estimate: float | None
    """The same, if the error rate is as observed."""
    states_to_support: int | None
    """Different states that, at the observed rate, would bring the bound below 0.5; None if it is, or none can."""
    states_to_lower_k: int | None
    """Different states that, at the observed rate, would lower k to the point estimate's; None if it is, or none can."""
    hard_steps: float | None
    """Hard steps to expect in the job, at the observed share of hard states; None if none was judged."""
    hard_steps_bound: float
    """The same at the upper bound of that share."""
    risk_bound: float | None
    """What the risk with `k` exceeds in at most 1 - confidence of all calibrations, however steps differ; None if that is unknown."""
    states_to_promise: int | None
    """Different states, none with a wrong ballot, from which on `risk_bound` is what was asked for; None if it is, or none can be."""
    why: str
    """All of this in plain sentences.  Hard steps are always among them: no k mends a step whose mode is wrong."""

    @property
    def supported(self) -> bool:
        """Whether there is a `k` to go on with."""
        return self.k is not None


def choose_k(
    calibration: Calibration, steps: int, reliability: float, m: int = 1, *, own_leads: bool = False
) -> ChosenK:
    """Choose `k` for a job of `steps` steps from the upper bound of the error rate, never from the point estimate.

    `own_leads`: whether some answers need larger leads than k, so that k right ballots may not decide, which `risk_bound` rests on.
    """
    rate, bound = calibration.error_rate, calibration.bound
    k, hoped = _k_or_none(bound, steps, reliability, m), _k_or_none(rate, steps, reliability, m)
    support = lower = None
    if hoped is not None and k is None and not calibration.every_state:
        support = count_needed(rate, 0.5, calibration.confidence)
    if hoped is not None and k != hoped and not calibration.every_state:
        lower = count_needed(rate, largest_error(hoped, steps, reliability, m), calibration.confidence)
    hard_rate = calibration.hard_rate
    hard_steps = None if hard_rate is None else hard_rate * steps
    hard_steps_bound = calibration.hard_bound * steps
    if calibration.worst_bound is not None and calibration.worst_bound < 0.5:
        hard_steps_bound = 0.0  # a hard step is wrong in half of its samples or more
    anyhow = None if k is None or own_leads else risk_bound(calibration, k, steps, m)
    promise = None
    if anyhow is not None and anyhow > 1 - reliability and not calibration.every_state:
        promise = states_to_promise(calibration, k or 1, steps, reliability, m)
    return ChosenK(
        k=k,
        k_at_point_estimate=hoped,
        risk=None if k is None else risk(1 - bound, k, steps, m),
        risk_at_point_estimate=None if k is None else risk(1 - rate, k, steps, m),
        states_to_support=support,
        states_to_lower_k=lower,
        hard_steps=hard_steps,
        hard_steps_bound=hard_steps_bound,
        risk_bound=anyhow,
        states_to_promise=promise,
        why=_about_each(calibration, k, hoped)
        if calibration.worst_bound is not None
        else " ".join(
            (
                _about_k(calibration, k, hoped, support, lower),
                *_about_agreement(calibration),
                about_hard_steps(
                    calibration.hard,
                    calibration.judged,
                    calibration.hard_bound,
                    steps,
                    known_answers=calibration.known_answers,
                    confidence=calibration.confidence,
                ),
                *_about_bound(calibration, anyhow, promise, steps, reliability),
            )
        ),
    )


def wrong_upper(calibration: Calibration, k: int) -> float | None:
    """Return what the share of wrongly decided steps does not exceed with `k`, however steps and ballots depend on each other.

    An election that elects a wrong answer has a wrong ballot among its first k: if those are all right they decide.  So the share of
    wrong elections is no larger than that of states with a wrong ballot among k, for which states drawn at random have the exact
    binomial bound.  It holds for hard steps, for views that differ and for ballots of a state that share a mistake, as
    long as they were drawn as those of the run are.  Where fewer than k ballots were drawn of a state, the bound is multiplied
    by how many times as many k are (the union bound), and ballots of a state must be independent of each other.  None where the
    right answers are unknown.
    """
    if not calibration.known_answers:
        return None
    if not calibration.fewest:
        return 1.0
    share = binomial_upper(calibration.erring, calibration.states, calibration.confidence)
    return min(1.0, share * -(-k // calibration.fewest))


def risk_bound(calibration: Calibration, k: int, steps: int, m: int = 1) -> float | None:
    """Return a bound of the risk of a job that holds however steps differ, at the calibration's confidence; None if there is none.

    From `wrong_upper` for states drawn at random, and from the bound of each state where all of the job's were met.
    """
    if calibration.worst_bound is not None:
        return risk(1 - calibration.worst_bound, k, steps, m) if calibration.worst_bound < 0.5 else 1.0
    share, elections = wrong_upper(calibration, k), -(-steps // m)
    if share is None or share == 1:
        return share
    # Of states drawn at random each step is one more; where they are the job's own, steps may differ in any way, and only the sum holds.
    return (
        min(1.0, share * elections)
        if calibration.every_state
        else -math.expm1(elections * math.log1p(-share))
    )


def states_to_promise(calibration: Calibration, k: int, steps: int, reliability: float, m: int = 1) -> int:
    """Return how many states with as many ballots as here, none of them wrong, would bound the risk by what is asked for.

    About 3 steps / risk at 95 %, and so many times as many as `wrong_upper` multiplies by where k is more than a state's ballots.
    """
    allowed = -math.expm1(math.log(reliability) / -(-steps // m)) / -(-k // max(1, calibration.fewest))
    # The exact binomial bound of no hit in n trials is 1 - (1 - confidence)^(1/n).
    return math.ceil(math.log1p(-calibration.confidence) / math.log1p(-allowed))


@dataclass(frozen=True, slots=True)
class ChosenBudget:
    """How the risk of a job is spent, why, and what that cannot promise."""

    budget: RiskBudget | None
    """None if the calibration cannot support the reliability."""
    risk_bound: float | None
    """As in `ChosenK`."""
    why: str


def choose_budget(
    calibration: Calibration, steps: int, reliability: float, hardest: float = HARDEST
) -> ChosenBudget:
    """Spend the risk that a reliability leaves, however steps differ, if on none ballots are wrong more often than `hardest`.

    With `hardest` = 0 the steps of a kind are taken to be alike, as for one k.
    """
    if not calibration.kinds:
        return ChosenBudget(
            None,
            None,
            "A risk budget is spent by how often ballots are wrong, and that is unknown here: the task's `case` must give right answers, "
            "and every state a valid sample in each view; or let one lead decide.",
        )
    try:
        kinds = {
            name: (kind.share, _classes(calibration, name, kind, hardest))
            for name, kind in calibration.kinds.items()
        }
        budget = spend(kinds, steps, reliability)
    except (BadInput, Unreachable) as error:
        return ChosenBudget(None, None, f"No budget holds: {error}.")
    # That a wrong ballot is among the first takes the largest lead; that each state is outvoted, the smallest.
    lead = budget.most if calibration.worst_bound is None else budget.least
    return ChosenBudget(
        budget,
        risk_bound(calibration, lead, steps),
        f"A risk of {_percent(1 - reliability)} buys {budget.votes:.3g} votes a step at worst, {_about_kinds(calibration, hardest, steps)}.",
    )


def _classes(c: Calibration, name: str, kind: StepKind, hardest: float) -> tuple[StepClass, ...]:
    if hardest:
        try:
            return worst_classes(kind.bound, hardest)
        except BadInput as error:
            if len(c.kinds) == 1:
                raise
            raise BadInput(f"of kind {name!r} ({kind.states:,} of the states), {error}") from error
    return (StepClass(1.0, (c.bound if len(c.kinds) == 1 else kind.bound.everywhere(),)),)


def _about_kinds(c: Calibration, hardest: float, steps: int) -> str:
    """Say what the steps are taken to be like."""
    of = "" if len(c.kinds) == 1 else f"of {len(c.kinds)} kinds, each by itself, "
    if not hardest:
        return f"{of}if steps of a kind are alike"
    harder = sum(kind.share * kind.bound.share(hardest) for kind in c.kinds.values())
    return (
        f"{of}however steps differ, if on none more than {_percent(hardest)} of the ballots are wrong; no more than {_steps(harder * steps)} "
        f"steps are ({_percent(c.confidence)} confidence)"
    )


def _about_bound(
    c: Calibration, anyhow: float | None, promise: int | None, steps: int, reliability: float
) -> tuple[str, ...]:
    """Say what is promised if steps are not alike, and what would promise more."""
    if anyhow is None:
        return ()
    held = (
        f"However steps differ, the risk is no more than {_percent(anyhow)} ({c.erring} of {c.states} states had a wrong ballot; "
        f"{_percent(c.confidence)} confidence)"
    )
    if promise is None:
        return (f"{held}.",)
    return (
        f"{held}; {_percent(1 - reliability)} would take {promise:,} states without one, and no larger k would do.",
    )


def _k_or_none(error: float, steps: int, reliability: float, m: int) -> int | None:
    try:
        return k_min(1 - error, steps, reliability, m)
    except Unreachable:
        return None


def _about_k(c: Calibration, k: int | None, hoped: int | None, support: int | None, lower: int | None) -> str:
    said = "were wrong" if c.known_answers else "disagreed with the most frequent answer"
    observed = f"{_percent(c.error_rate)} of the valid samples {said} on {c.measured} different states"
    bound = f"at {_percent(c.confidence)} confidence the rate may be {_percent(c.error_bound)}"
    useless = "from 50 % on votes promise nothing, since they help only as far as wrong answers differ"
    cheaper = "" if lower is None else f", and {lower:,} states at this rate would justify k = {hoped}"
    if hoped is None:
        return f"{observed}, and {useless}: use a stronger model, a better prompt or smaller steps."
    if k is None:
        return (
            f"Too few {'samples' if support is None else 'states'}: {observed}, but {bound}, and {useless}"
            + (
                "."
                if support is None
                else f"; {support:,} states at this rate would bring the bound below 50 %{cheaper}."
            )
        )
    if k == hoped:
        return f"k = {k}: {observed}, {bound}, and both ask for this k."
    return f"k = {k}: {observed}, but {bound}; the observed rate alone would ask for k = {hoped}{cheaper}."


def _about_each(c: Calibration, k: int | None, hoped: int | None) -> str:
    """Say what a bound for each state promises, and what it takes for granted."""
    assert c.worst_bound is not None
    met = f"All {c.states} states of the job were met, {c.samples:,} samples in all, of which {_percent(c.error_rate)} were wrong"
    bound = (
        f"at {_percent(c.confidence)} confidence none of them errs more often than {_percent(c.worst_bound)}"
    )
    if k is None:
        return f"{met}, but {bound}, and from 50 % on votes promise nothing: look at the states that are wrong most often."
    return (
        f"k = {k}: {met}; {bound}. The observed rate alone would ask for k = {hoped}. The risk holds however steps differ, if samples "
        "are independent and the model answers in the run as it did here."
    )


def _about_agreement(c: Calibration) -> tuple[str, ...]:
    if c.known_answers:
        return ()
    return ("The right answers are unknown, so this measures agreement, not correctness.",)


def about_hard_steps(
    hard: int,
    judged: int,
    bound: float,
    steps: int | None,
    *,
    known_answers: bool,
    confidence: float = 0.95,
    hardest: float | None = None,
) -> str:
    """Say what a risk leaves out: one computed from a mean error rate, or that of a budget, which reckons with the `hardest`.

    Of `judged` states `hard` looked hard, which bounds their share by `bound`; `steps` is None where it is unknown how many
    steps the job has.
    """
    holds = "steps are alike"
    if hardest is not None:
        holds = (
            f"on no step more than {_percent(hardest)} of the ballots are wrong"
            if hardest
            else "steps of a kind are alike"
        )
    if not judged:
        return (
            f"The risk holds if {holds}, and hard steps, where votes repeat the mistake, were not looked for: "
            f"no state has {JUDGED_FROM} valid samples."
        )
    sign = "the right answer is not the most frequent one" if known_answers else "the samples disagree"
    found = f"{hard} of {judged} states look hard ({sign})" if hard else f"none of {judged} states looks hard"
    most = (
        f"up to {_percent(bound)} of the steps" if steps is None else f"up to {_steps(bound * steps)} steps"
    )
    usual = "" if steps is None or not hard else f"about {_steps(hard / judged * steps)} and "
    return (
        f"The risk holds if {holds}: {found}, so expect {usual}{most} ({_percent(confidence)} confidence) where votes "
        "repeat the mistake. More states would tell; other views, the task's own check or another model help."
    )


def _steps(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

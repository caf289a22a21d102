"""The `k` for a job, from a calibration: what it promises, what it cannot, and what it would take to know better."""

from dataclasses import dataclass

from .bounds import count_needed
from .calibration import JUDGED_FROM, Calibration
from .reliability import Unreachable, k_min, largest_error, risk


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
    why: str
    """All of this in plain sentences.  Hard steps are always among them: no k mends a step whose mode is wrong."""

    @property
    def supported(self) -> bool:
        """Whether there is a `k` to go on with."""
        return self.k is not None


def choose_k(calibration: Calibration, steps: int, reliability: float, m: int = 1) -> ChosenK:
    """Choose `k` for a job of `steps` steps from the upper bound of the error rate, never from the point estimate."""
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
    return ChosenK(
        k=k,
        k_at_point_estimate=hoped,
        risk=None if k is None else risk(1 - bound, k, steps, m),
        risk_at_point_estimate=None if k is None else risk(1 - rate, k, steps, m),
        states_to_support=support,
        states_to_lower_k=lower,
        hard_steps=hard_steps,
        hard_steps_bound=hard_steps_bound,
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
            )
        ),
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
) -> str:
    """Say what a risk computed from a mean error rate leaves out.

    Of `judged` states `hard` looked hard, which bounds their share by `bound`; `steps` is None where it is unknown how many
    steps the job has.
    """
    if not judged:
        return (
            "The risk holds if steps are alike, and hard steps, where votes repeat the mistake, were not looked for: "
            f"no state has {JUDGED_FROM} valid samples."
        )
    sign = "the right answer is not the most frequent one" if known_answers else "the samples disagree"
    found = f"{hard} of {judged} states look hard ({sign})" if hard else f"none of {judged} states looks hard"
    most = (
        f"up to {_percent(bound)} of the steps" if steps is None else f"up to {_steps(bound * steps)} steps"
    )
    usual = "" if steps is None or not hard else f"about {_steps(hard / judged * steps)} and "
    return (
        f"The risk holds if steps are alike: {found}, so expect {usual}{most} ({_percent(confidence)} confidence) where votes "
        "repeat the mistake. More states would tell; other views, the task's own check or another model help."
    )


def _steps(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

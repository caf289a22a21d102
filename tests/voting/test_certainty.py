"""What would make a job surer: only figures that follow from theory, the cheapest first."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.voting import (
    Calibration,
    Price,
    Purchase,
    StateOutcome,
    Usage,
    choose_k,
    purchases,
    risk_bound,
)
from surefoot.voting.choice import states_to_promise, wrong_upper

STEPS, RELIABILITY = 10_000, 0.99
COUNTED, UNCOUNTED = Usage(prompt=30, completion=6), Usage(uncounted=3)


def threes(states: int, wrong: int = 0, usage: Usage = COUNTED) -> Calibration:
    """Return a calibration with three samples of each state, one of them wrong in some."""
    outcomes = [
        StateOutcome(n, 3, 2 if n < wrong else 3, int(n < wrong), usage=usage, by_view=((int(n < wrong), 3),))
        for n in range(states)
    ]
    return Calibration.of(outcomes, known_answers=True)


def bought(calibration: Calibration, **more: Any) -> dict[str, Purchase]:
    choice = choose_k(calibration, STEPS, RELIABILITY)
    found = purchases(
        calibration,
        choice.k,
        STEPS,
        RELIABILITY,
        bound=choice.risk_bound,
        states=choice.states_to_promise,
        **more,
    )
    return {each.what: each for each in found}


def test_the_cheapest_comes_first_and_what_nobody_knows_is_unknown() -> None:
    found = bought(threes(500), audited=True, audit_s=0.001)
    assert [*found] == ["audit", "views", "model", "states"]
    assert (found["audit"].samples, found["audit"].seconds) == (0, pytest.approx(10.0))
    lead = choose_k(threes(500), STEPS, RELIABILITY).k
    for what in ("views", "model"):
        each = found[what]
        assert (each.samples, each.samples_per_step) == (None, lead)
        assert (each.tokens, each.cost, each.seconds, each.risk_bound) == (None, None, None, None)


def test_more_states_have_an_exact_price_and_an_exact_promise() -> None:
    calibration = threes(500)
    choice = choose_k(calibration, STEPS, RELIABILITY)
    states = bought(calibration, sample_s=0.5, price=Price(1.0, 2.0))["states"]
    assert choice.states_to_promise is not None
    assert states.samples == 3 * choice.states_to_promise
    assert states.tokens == states.samples * (10 + 2)
    assert states.cost == pytest.approx(states.samples * (10 * 1.0 + 2 * 2.0) / 1e6)
    assert states.seconds == states.samples * 0.5
    assert states.risk_bound is not None
    assert states.risk_bound <= (1 - RELIABILITY) * (1 + 1e-9)


@given(st.integers(1, 9), st.integers(1, 10**6))
@settings(max_examples=30)
def test_so_many_states_keep_the_promise_and_one_less_does_not(lead: int, steps: int) -> None:
    calibration, allowed = threes(50), 1 - RELIABILITY
    needed = states_to_promise(calibration, lead, steps, RELIABILITY)
    enough, fewer = (
        each.risk_bound
        for states in (needed, needed - 1)
        for each in purchases(calibration, lead, steps, RELIABILITY, bound=1.0, states=states)
        if each.what == "states"
    )
    assert enough is not None
    assert fewer is not None
    assert enough <= allowed * (1 + 1e-6)
    assert fewer > allowed * (1 - 1e-6)


def test_states_with_a_wrong_ballot_leave_the_promise_open() -> None:
    states = bought(threes(500, wrong=7))["states"]
    assert states.risk_bound is None
    assert "none with a wrong ballot, unlike 7 of these 500" in states.detail


def test_states_that_were_met_already_are_not_bought() -> None:
    calibration = threes(500, wrong=7)
    needed = states_to_promise(calibration, 3, 10, 0.9)
    assert needed < calibration.states
    found = purchases(calibration, 3, 10, 0.9, bound=risk_bound(calibration, 3, 10), states=needed)
    assert [each.what for each in found] == ["audit", "views", "model"]


def test_tokens_that_the_server_does_not_count_are_unknown() -> None:
    states = bought(threes(500, usage=UNCOUNTED), price=Price(1.0, 2.0))["states"]
    assert states.samples is not None
    assert (states.tokens, states.cost, states.seconds) == (None, None, None)


@given(st.integers(1, 40), st.integers(100, 500), st.integers(0, 20))
def test_a_larger_lead_lowers_no_bound_however_steps_differ(lead: int, states: int, wrong: int) -> None:
    calibration = threes(states, wrong)
    now, then = (wrong_upper(calibration, k) for k in (lead, lead + 1))
    assert now is not None
    assert then is not None
    assert then >= now
    bounds = [risk_bound(calibration, k, STEPS) for k in (lead, lead + 1)]
    assert None not in bounds
    assert bounds == sorted(bounds, key=lambda bound: bound or 0.0)


def test_what_was_asked_for_needs_no_purchase() -> None:
    calibration = threes(500)
    assert purchases(calibration, 2, 1, 0.9, bound=risk_bound(calibration, 2, 1)) == ()


def test_rungs_of_the_jobs_own_ladder_are_not_bought_once_more() -> None:
    assert [*bought(threes(500), rungs=("votes", "views"))] == ["audit", "model", "states"]
    assert [*bought(threes(500), rungs=("views", "model"))] == ["audit", "states"]


def test_where_nothing_supports_the_reliability_only_states_can() -> None:
    (only,) = purchases(threes(4, wrong=1), None, STEPS, RELIABILITY, bound=None, states=40)
    assert (only.what, only.samples, only.risk_bound) == ("states", 120, None)
    assert purchases(threes(4, wrong=1), None, STEPS, RELIABILITY, bound=None) == ()


def test_no_larger_k_is_recommended() -> None:
    assert "no larger k would do" in choose_k(threes(500), STEPS, RELIABILITY).why

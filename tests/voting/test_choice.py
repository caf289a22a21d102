"""The choice of k: from the bound, with its reasons, and with what no k can mend."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import (
    Calibration,
    StateOutcome,
    binomial_upper,
    choose_k,
    k_min,
    mean_upper,
    p_full,
    risk,
)

MILLION = 1_048_575


def singles(states: int, wrong: int, known_answers: bool = True) -> Calibration:
    """Return a calibration with one sample of each state."""
    outcomes = [StateOutcome(n, 1, int(n >= wrong), int(n < wrong)) for n in range(states)]
    return Calibration.of(outcomes, known_answers=known_answers)


def fives(states: int, hard: int = 0, slips: int = 0, known_answers: bool = True) -> Calibration:
    """Return a calibration with five samples of each state: some all wrong, some with one slip, the rest right."""
    right = [1 if n < hard else 4 if n < hard + slips else 5 for n in range(states)]
    outcomes = [
        StateOutcome(n, 5, r, 5 - r) if r > 1 else StateOutcome(n, 5, 1, 2) for n, r in enumerate(right)
    ]
    return Calibration.of(outcomes, known_answers=known_answers)


@pytest.mark.parametrize(("states", "wrong", "k"), [(100, 0, 5), (1000, 2, 4), (10_000, 22, 3)])
def test_the_same_observed_rate_asks_for_fewer_votes_the_better_it_is_known(
    states: int, wrong: int, k: int
) -> None:
    choice = choose_k(singles(states, wrong), MILLION, 0.95)
    assert choice.k == k == k_min(1 - binomial_upper(wrong, states), MILLION, 0.95)
    assert choice.k_at_point_estimate == k_min(1 - wrong / states, MILLION, 0.95)


@given(st.integers(1, 3000), st.data(), st.integers(1, 10**7), st.floats(0.5, 0.9999))
def test_the_choice_keeps_its_promise_at_the_bound(
    states: int, data: st.DataObject, steps: int, reliability: float
) -> None:
    calibration = singles(states, data.draw(st.integers(0, states)))
    choice = choose_k(calibration, steps, reliability)
    assert choice.supported == (choice.k is not None) == (calibration.error_bound < 0.5)
    if choice.k is not None:
        assert choice.risk is not None
        assert choice.risk <= (1 - reliability) * (1 + 1e-9)
        assert choice.risk == risk(1 - calibration.error_bound, choice.k, steps)
        assert choice.risk_at_point_estimate == risk(1 - calibration.error_rate, choice.k, steps)
        assert choice.k_at_point_estimate is not None
        assert choice.k_at_point_estimate <= choice.k


def test_both_estimates_asking_for_the_same_k_need_nothing_more() -> None:
    choice = choose_k(singles(10_000, 22), MILLION, 0.95)
    assert (choice.k, choice.states_to_support, choice.states_to_lower_k) == (3, None, None)
    assert "k = 3: 0.22 % of the valid samples were wrong on 10000 different states" in choice.why
    assert "at 95 % confidence the rate may be 0.314 %, and both ask for this k." in choice.why


def test_a_loose_bound_says_how_many_states_would_lower_k() -> None:
    calibration = fives(200, slips=11)
    choice = choose_k(calibration, MILLION, 0.95)
    assert choice.k is not None
    assert choice.k_at_point_estimate is not None
    assert choice.k > choice.k_at_point_estimate
    assert choice.states_to_lower_k is not None
    enough = mean_upper(calibration.error_rate, choice.states_to_lower_k)
    assert p_full(1 - enough, choice.k_at_point_estimate, MILLION) >= 0.95
    not_enough = mean_upper(calibration.error_rate, choice.states_to_lower_k - 2)
    assert p_full(1 - not_enough, choice.k_at_point_estimate, MILLION) < 0.95
    assert f"{choice.states_to_lower_k:,} states at this rate would justify k = 4" in choice.why


def test_too_few_states_support_nothing_and_it_says_how_many_would() -> None:
    calibration = fives(4, slips=2)
    choice = choose_k(calibration, MILLION, 0.95)
    assert calibration.error_rate == pytest.approx(0.1)
    assert calibration.error_bound >= 0.5
    assert (choice.k, choice.supported, choice.risk) == (None, False, None)
    assert choice.states_to_support is not None
    assert mean_upper(0.1, choice.states_to_support) < 0.5
    assert choice.states_to_support > calibration.states
    assert choice.why.startswith("Too few states: 10 % of the valid samples were wrong on 4 different states")
    assert f"{choice.states_to_support} states at this rate would bring the bound below 50 %" in choice.why
    assert choice.states_to_lower_k is not None
    assert f"would justify k = {choice.k_at_point_estimate}" in choice.why


@pytest.mark.parametrize("wrong", [50, 70, 100])
def test_without_a_majority_no_number_of_states_or_votes_helps(wrong: int) -> None:
    choice = choose_k(singles(100, wrong), 10, 0.9)
    assert not choice.supported
    assert (choice.k_at_point_estimate, choice.states_to_support, choice.states_to_lower_k) == (
        None,
        None,
        None,
    )
    assert (
        "votes promise nothing, since they help only as far as wrong answers differ: use a stronger model"
        in choice.why
    )


def test_hard_steps_are_said_and_not_averaged_away() -> None:
    calibration = fives(500, hard=2)
    choice = choose_k(calibration, 100_000, 0.9)
    assert choice.supported, "on average the model is good enough"
    assert choice.hard_steps == pytest.approx(400)
    assert choice.hard_steps_bound == pytest.approx(100_000 * binomial_upper(2, 500))
    assert "2 of 500 states look hard (the right answer is not the most frequent one)" in choice.why
    assert re.search(
        r"expect about 400 and up to 1,25\d steps \(95 % confidence\) where votes repeat", choice.why
    )
    assert "The risk holds if steps are alike" in choice.why


def test_no_hard_state_met_is_not_no_hard_step() -> None:
    choice = choose_k(fives(300), 100_000, 0.9)
    assert choice.hard_steps == 0
    assert choice.hard_steps_bound == pytest.approx(994, abs=1)
    assert "none of 300 states looks hard, so expect up to 994 steps" in choice.why


def test_hard_steps_that_were_not_looked_for_are_unknown() -> None:
    choice = choose_k(singles(300, 1), 100_000, 0.9)
    assert (choice.hard_steps, choice.hard_steps_bound) == (None, 100_000)
    assert "hard steps, where votes repeat the mistake, were not looked for" in choice.why


def test_agreement_is_not_sold_as_correctness() -> None:
    choice = choose_k(fives(300, hard=3, known_answers=False), 1000, 0.9)
    assert "disagreed with the most frequent answer" in choice.why
    assert "agreement, not correctness" in choice.why
    assert "were wrong" not in choice.why


def test_fewer_elections_need_a_smaller_lead() -> None:
    calibration = singles(1000, 100)
    many, few = choose_k(calibration, MILLION, 0.95), choose_k(calibration, MILLION, 0.95, m=100)
    assert many.k is not None
    assert few.k is not None
    assert few.k < many.k


@pytest.mark.parametrize(("steps", "reliability"), [(0, 0.9), (10, 0.0), (10, 1.0), (10, 1.5)])
def test_a_job_that_is_none_is_refused(steps: int, reliability: float) -> None:
    with pytest.raises(BadInput):
        choose_k(singles(100, 1), steps, reliability)

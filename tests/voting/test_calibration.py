"""A calibration knows what it saw, and does not pretend to have seen more."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import BadInput
from surefoot.voting import Calibration, RedFlag, StateOutcome, Uncalibrated, Usage, binomial_upper

Errors = Callable[[random.Random], float]
"""Draws the error rate of one state."""


def calibrate(errors: Errors, states: int, samples: int, seed: int) -> Calibration:
    """Ask a made-up model that errs in each state with that state's own probability."""
    rng = random.Random(seed)
    outcomes = []
    for state in range(states):
        error = errors(rng)
        wrong = sum(rng.random() < error for _ in range(samples))
        outcomes.append(StateOutcome(state, samples, samples - wrong, wrong))
    return Calibration.of(outcomes, known_answers=True)


def iid(rng: random.Random) -> float:
    return 0.02


def bimodal(rng: random.Random) -> float:
    return 0.9 if rng.random() < 0.02 else 0.002


def graded(rng: random.Random) -> float:
    return rng.betavariate(0.1, 4.9)


def test_outcomes_are_counted_with_known_answers() -> None:
    drawn = ["right", "wrong", RedFlag("malformed"), "odd", "wrong", "right", "right", RedFlag("malformed")]
    outcome = StateOutcome.count("s", drawn, answer="right", usage=Usage(80, 0, 40, 0))
    assert (outcome.valid, outcome.agreeing, outcome.rival, outcome.drawn) == (6, 3, 2, 8)
    assert outcome.flags == {"malformed": 2}


def test_outcomes_are_counted_with_unknown_answers() -> None:
    outcome = StateOutcome.count("s", ["a", "b", "b", "c", "b"])
    assert (outcome.valid, outcome.agreeing, outcome.rival) == (5, 3, 1)


def test_an_answer_that_no_sample_gave_leaves_every_ballot_a_rival() -> None:
    outcome = StateOutcome.count("s", ["a", "b", "b"], answer="right")
    assert (outcome.agreeing, outcome.rival) == (0, 2)


@pytest.mark.parametrize(("valid", "agreeing", "rival"), [(3, 4, 0), (3, 2, 2), (3, -1, 0), (3, 0, -1)])
def test_counts_that_do_not_fit_are_refused(valid: int, agreeing: int, rival: int) -> None:
    with pytest.raises(BadInput, match="'s'"):
        StateOutcome("s", valid, agreeing, rival)


def test_a_calibration_adds_up_what_the_states_gave() -> None:
    calibration = Calibration.of(
        [
            StateOutcome("a", 4, 4, 0, {"too long": 1}, Usage(50, 10, 25, 0)),
            StateOutcome("b", 4, 3, 1, {"too long": 1, "malformed": 2}, Usage(70, 30, 35, 0)),
        ],
        known_answers=True,
    )
    assert (calibration.states, calibration.samples, calibration.valid) == (2, 12, 8)
    assert calibration.error_rate == 0.125
    assert calibration.valid_rate == pytest.approx(8 / 12)
    assert calibration.flags == {"too long": 2, "malformed": 2}
    assert calibration.usage == Usage(120, 40, 60, 0)
    assert (calibration.per_sample.input_tokens, calibration.per_sample.output_tokens) == (10, 5)
    assert calibration.per_sample.cached_tokens == pytest.approx(40 / 12)


def test_every_state_weighs_the_same_however_often_it_was_asked() -> None:
    outcomes = [StateOutcome("often", 1000, 1000), StateOutcome("seldom", 2, 1, 1)]
    assert Calibration.of(outcomes, known_answers=True).error_rate == 0.25


def test_one_sample_of_each_state_gives_the_exact_binomial_bound() -> None:
    outcomes = [StateOutcome(n, 1, int(n >= 2), int(n < 2)) for n in range(1000)]
    assert Calibration.of(outcomes, known_answers=True).error_bound == binomial_upper(2, 1000)


@given(st.integers(1, 200), st.integers(1, 50))
def test_more_samples_of_the_same_states_cannot_rule_out_states_never_met(states: int, samples: int) -> None:
    outcomes = [StateOutcome(n, samples, samples) for n in range(states)]
    bound = Calibration.of(outcomes, known_answers=True).error_bound
    assert bound == pytest.approx(1 - 0.05 ** (1 / states))


@pytest.mark.parametrize("errors", [iid, bimodal, graded])
def test_the_bound_is_broken_no_more_often_than_it_says(errors: Errors) -> None:
    experiments, mean = 400, {iid: 0.02, bimodal: 0.02 * 0.9 + 0.98 * 0.002, graded: 0.02}[errors]
    bounds = [calibrate(errors, 60, 5, seed).error_bound for seed in range(experiments)]
    missed = sum(bound < mean for bound in bounds)
    assert missed <= 0.05 * experiments + 4 * math.sqrt(0.05 * 0.95 * experiments)


def test_pooling_all_samples_would_break_its_promise_when_errors_are_bimodal() -> None:
    """Why a state is the unit: the binomial bound over all samples misses several times more often than 5 %."""
    mean, missed = 0.02 * 0.9 + 0.98 * 0.002, 0
    for seed in range(400):
        calibration = calibrate(bimodal, 60, 5, seed)
        wrong = round(calibration.error_rate * calibration.valid)
        missed += binomial_upper(wrong, calibration.valid) < mean
    assert missed / 400 > 0.15


def test_a_state_is_hard_if_the_right_answer_is_not_the_strict_mode() -> None:
    outcomes = [
        StateOutcome("easy", 5, 3, 2),
        StateOutcome("scattered", 9, 3, 2),
        StateOutcome("tie", 4, 2, 2),
        StateOutcome("wrong", 5, 1, 4),
    ]
    calibration = Calibration.of(outcomes, known_answers=True)
    assert (calibration.judged, calibration.hard, calibration.hard_rate) == (4, 2, 0.5)
    assert [outcome.state for outcome in calibration.hard_states] == ["wrong", "tie"]
    assert calibration.hard_bound == binomial_upper(2, 4)


def test_with_unknown_answers_a_state_is_hard_if_its_mode_is_weak() -> None:
    outcomes = [StateOutcome("clear", 10, 7, 3), StateOutcome("unclear", 10, 6, 2)]
    calibration = Calibration.of(outcomes, known_answers=False)
    assert [outcome.state for outcome in calibration.hard_states] == ["unclear"]


def test_a_state_without_a_single_valid_sample_is_hard_and_has_no_error_rate() -> None:
    outcomes = [StateOutcome("fine", 5, 5), StateOutcome("garbled", 0, 0, flags={"malformed": 5})]
    for known in (True, False):
        calibration = Calibration.of(outcomes, known_answers=known)
        assert (calibration.states, calibration.measured, calibration.error_rate) == (2, 1, 0)
        assert [outcome.state for outcome in calibration.hard_states] == ["garbled"]


def test_one_or_two_samples_do_not_make_a_state_hard() -> None:
    calibration = Calibration.of([StateOutcome("a", 1, 0, 1), StateOutcome("b", 2, 1, 1)], known_answers=True)
    assert (calibration.judged, calibration.hard_rate, calibration.hard_bound) == (0, None, 1.0)


def test_only_a_few_hard_states_are_kept_for_display_but_all_are_counted() -> None:
    calibration = Calibration.of([StateOutcome(n, 3, 0, 3) for n in range(50)], known_answers=True)
    assert (calibration.hard, len(calibration.hard_states)) == (50, 5)


def test_a_lone_ballot_that_agrees_with_itself_is_no_evidence() -> None:
    with pytest.raises(Uncalibrated, match="no state has the 2 valid samples"):
        Calibration.of([StateOutcome(n, 1, 1) for n in range(100)], known_answers=False)


@pytest.mark.parametrize("p", [0.55, 0.7, 0.9, 0.99])
def test_agreement_of_two_ballots_does_not_flatter(p: float) -> None:
    """Two ballots agree with probability p^2 + (1-p)^2, which is no more than p while p is a majority."""
    rng = random.Random(8)
    drawn = [["ab"[rng.random() >= p] for _ in range(2)] for _ in range(5000)]
    outcomes = [StateOutcome.count(n, pair) for n, pair in enumerate(drawn)]
    measured = Calibration.of(outcomes, known_answers=False).error_rate
    assert measured == pytest.approx(2 * p * (1 - p), abs=0.03)
    assert measured >= 1 - p - 0.03


def test_a_model_that_only_produces_garbage_is_named() -> None:
    outcomes = [StateOutcome(n, 0, 0, flags={"malformed": 4}) for n in range(10)]
    with pytest.raises(
        Uncalibrated, match=r"40 samples of 10 states; red flags: malformed: 40\).*look at what"
    ):
        Calibration.of(outcomes, known_answers=True)


def test_no_states_are_no_calibration() -> None:
    with pytest.raises(BadInput, match="there is no state"):
        Calibration.of([], known_answers=True)

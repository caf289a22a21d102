"""Where all states of a job were met, what is uncertain are the samples, and no longer which states there are."""

import pytest

from surefoot.voting.bounds import binomial_upper, mean_upper
from surefoot.voting.calibration import Calibration, StateOutcome, worst_upper
from surefoot.voting.choice import choose_k


def outcomes(states: int, samples: int, wrong: dict[int, int] | None = None) -> list[StateOutcome]:
    missed = wrong or {}
    return [
        StateOutcome(state, samples, samples - missed.get(state, 0), missed.get(state, 0))
        for state in range(states)
    ]


def calibrated(found: list[StateOutcome], *, each: bool) -> Calibration:
    return Calibration.of(found, known_answers=True, every_state=True, each=each)


@pytest.mark.parametrize(("states", "samples"), [(1, 30), (3, 30), (7, 30), (15, 30), (15, 12)])
def test_the_bound_for_each_state_holds_for_all_of_them_together(states: int, samples: int) -> None:
    """Were one state as bad as the bound, so few wrong samples of it would come in (1 - confidence) / states of all calibrations."""
    bound = worst_upper([(0, samples)] * states)
    assert (1 - bound) ** samples == pytest.approx(0.05 / states)
    one_wrong = worst_upper([(0, samples)] * (states - 1) + [(1, samples)])
    assert one_wrong == binomial_upper(1, samples, 1 - 0.05 / states) > bound


def test_seven_known_steps_need_no_eleven_votes() -> None:
    sampled = Calibration.of(outcomes(7, 3), known_answers=True)
    each = calibrated(outcomes(7, 30), each=True)
    assert choose_k(sampled, 7, 0.99).k == 11
    choice = choose_k(each, 7, 0.99)
    assert choice.k == 4
    assert choice.hard_steps_bound == 0
    assert choice.risk is not None
    assert choice.risk <= 0.01
    assert "All 7 states of the job were met, 210 samples in all" in choice.why
    assert "none of them errs more often than 15.2 %" in choice.why
    assert "however steps differ, if samples are independent" in choice.why


def test_one_hard_state_among_them_is_not_averaged_away() -> None:
    choice = choose_k(calibrated(outcomes(7, 30, {3: 21}), each=True), 7, 0.99)
    assert choice.k is None
    assert "All 7 states of the job were met" in choice.why


def test_without_a_bound_for_each_the_mean_goes_by_samples() -> None:
    alike = calibrated(outcomes(40, 3), each=False)
    assert alike.worst_bound is None
    assert alike.error_bound == pytest.approx(mean_upper(0, 120))
    assert "if steps are alike" in choose_k(alike, 40, 0.99).why


def test_samples_that_were_thrown_away_make_the_mean_less_sure() -> None:
    uneven = outcomes(40, 3)
    uneven[7] = StateOutcome(7, 1, 1, 0, {"malformed": 2})
    assert calibrated(uneven, each=False).error_bound > mean_upper(0, 118)


def test_a_state_without_a_valid_sample_was_not_met() -> None:
    found = outcomes(7, 30)
    found[2] = StateOutcome(2, 0, 0, 0, {"malformed": 30})
    calibration = calibrated(found, each=True)
    assert (calibration.every_state, calibration.worst_bound) == (False, None)

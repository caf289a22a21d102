"""A run that has left what was calibrated says so, and hardly any other does."""

import random

import pytest

from surefoot.voting import ALARM, drift_evidence


@pytest.mark.parametrize("bound", [0.3, 0.01, 0.001])
def test_a_run_that_is_as_calibrated_is_hardly_ever_called_drifting_however_often_it_is_looked_at(
    bound: float,
) -> None:
    rng, alarms = random.Random(3), 0
    for _ in range(300):
        dissent, votes = 0, 0
        for _ in range(60):
            votes += 30
            dissent += sum(rng.random() < bound for _ in range(30))
            if drift_evidence(dissent, votes, bound) >= ALARM:
                alarms += 1
                break
    assert alarms / 300 <= 0.01 + 0.013


@pytest.mark.parametrize(
    ("bound", "rate", "within"), [(0.01, 0.05, 600), (0.001, 0.01, 4000), (0.2, 0.45, 400)]
)
def test_a_drift_is_noticed_soon(bound: float, rate: float, within: int) -> None:
    rng, dissent = random.Random(4), 0
    for votes in range(1, within):
        dissent += rng.random() < rate
        if drift_evidence(dissent, votes, bound) >= ALARM:
            return
    pytest.fail("it was not noticed")


@pytest.mark.parametrize(
    ("dissent", "votes", "bound"), [(0, 0, 0.01), (0, 10**9, 0.01), (10**6, 10**9, 0.5), (0, 10**9, 0.0)]
)
def test_what_is_no_evidence_never_alarms(dissent: int, votes: int, bound: float) -> None:
    assert drift_evidence(dissent, votes, bound) < ALARM


def test_evidence_without_end_is_a_number() -> None:
    assert ALARM < drift_evidence(10**9, 10**9, 1e-9) < float("inf")


def test_hard_steps_that_were_calibrated_are_no_drift_however_many_votes_they_take() -> None:
    """One step in two hundred is a coin; those take four times the votes of the others, and half of them are dissent."""
    rng, k, states = random.Random(5), 5, 0.005
    error, votes, dissent, contested = states / 2, 0, 0, 0
    for _ in range(20_000):
        tally = [0, 0]
        rate = 0.5 if rng.random() < states else 0.0
        while abs(tally[0] - tally[1]) < k:
            tally[rng.random() < rate] += 1
        votes, dissent, contested = votes + sum(tally), dissent + min(tally), contested + (min(tally) > 0)
    assert drift_evidence(dissent, votes, error) > ALARM  # as it would be if each of these votes counted
    assert drift_evidence(contested, votes, error) < ALARM


@pytest.mark.parametrize("lead", [1, 2, 3, 5, 12, 40])
@pytest.mark.parametrize("bound", [1e-4, 0.003, 0.02, 0.1, 0.24, 0.4])
def test_a_step_adds_no_evidence_on_average(lead: int, bound: float) -> None:
    contested = min(1.0, lead * bound)  # the most that the bound leaves possible, with the fewest votes
    mean = (1 - contested) * drift_evidence(0, lead, bound) + contested * drift_evidence(1, lead, bound)
    assert mean <= 1

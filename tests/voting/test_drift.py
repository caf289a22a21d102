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

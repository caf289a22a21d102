"""Jobs so short that calibration meets all their states."""

import random
from typing import Any

import pytest

import surefoot
from surefoot import Case, Columns, Settings, Towers
from surefoot.models.doubles import Double, towers_double
from surefoot.orchestration.calibrate import calibrate


@pytest.mark.parametrize(("disks", "states", "samples"), [(1, 1, 30), (2, 3, 90), (3, 7, 210), (5, 31, 93)])
async def test_all_states_of_a_short_job_are_met_and_drawn_often(
    disks: int, states: int, samples: int
) -> None:
    found = await calibrate(Towers(disks, "compact"), towers_double())
    assert (found.every_state, found.states, found.samples) == (True, states, samples)
    assert (found.worst_bound is not None) == (states < 16)


async def test_no_more_samples_are_drawn_than_the_states_asked_for_would_have_taken() -> None:
    found = await calibrate(Towers(3, "compact"), towers_double(), Settings(states=20))
    assert found.samples <= 3 * 20


@pytest.mark.parametrize("disks", [2, 3])
async def test_a_plan_for_a_few_known_steps_asks_for_few_votes(disks: int) -> None:
    plan = await surefoot.plan(Towers(disks, "compact"), model=towers_double())
    assert plan.choice.k is not None
    assert plan.choice.k <= 4
    assert "states of the job were met" in plan.choice.why


class Drawing(Towers):
    """Draws only some of the job's states, or does not know its answers."""

    def __init__(self, missing: int | None, known: bool = True) -> None:
        super().__init__(3, "compact")
        self._missing, self._known = missing, known

    def case(self, rng: random.Random) -> Any:
        case = super().case(rng)
        while self._missing is not None and case.state[0] is None:
            case = super().case(rng)
        return case if self._known else Case(case.state)


@pytest.mark.parametrize(
    "task", [Drawing(0), Drawing(None, known=False), Columns((12, 34)), Towers(10, "compact")]
)
async def test_nothing_is_taken_on_trust_of_how_states_are_drawn(task: Any) -> None:
    """A state that was never drawn, answers that are not known, states that are not the job's own: the bound is over states."""
    found = await calibrate(task, _right_for(task), Settings(states=40))
    assert not found.every_state
    assert found.worst_bound is None


def _right_for(task: Any) -> Any:
    if not isinstance(task, Columns):
        return towers_double()

    def right(prompt: Any) -> str:
        a, _, b, _, digit, _, carry = prompt[-1].content.split()
        return f"{int(a) * int(b) + int(digit) + int(carry):02d}"

    return Double(right, lambda prompt, which: "00")


async def test_a_hard_state_of_a_short_job_stops_it_before_the_first_step(redis_url: str) -> None:
    model = towers_double(hard=0.3, hard_error=0.95, seed=4)
    with pytest.raises(surefoot.Unsupported, match="All 7 states of the job were met"):
        await surefoot.run(Towers(3, "compact"), model=model, redis=redis_url)

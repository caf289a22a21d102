"""The simulator of bench/scale.py against what can be said without it."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The simulator's module: benches are no package."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "bench"))
    return importlib.import_module("scale_fleet")


@pytest.fixture
def small(fleet: Any) -> Any:
    """Eight parts of 100 steps, all in hand at once; a step takes 2 s whatever the load."""
    return fleet.Scale(steps=800, parts=8, workers=4, at_once=2, replicas=2, answers=fleet.Batching(20, 0.1))


def test_undisturbed_it_takes_as_long_as_one_part_after_the_other(fleet: Any, small: Any) -> None:
    assert fleet.Simulation(small).run().wall_s == pytest.approx(200)
    assert fleet.Simulation(replace(small, parts=16)).run().wall_s == pytest.approx(200)
    course = fleet.Simulation(replace(small, parts=12, steps=1200)).run()
    assert course.wall_s == pytest.approx(400)
    assert course.commits == pytest.approx(1200) and course.busy_s == pytest.approx(2400)


def test_a_replica_is_slower_the_more_it_has_to_answer(fleet: Any, small: Any) -> None:
    batched = replace(small, samples=3.0, answers=fleet.Batching(20, 0.1, 0.01))
    # Four parts on each replica, 12 samples in flight.
    assert fleet.Simulation(batched).run().wall_s == pytest.approx(100 * 20 * (0.1 + 0.12))


def test_a_worker_does_no_more_than_its_core(fleet: Any, small: Any) -> None:
    assert fleet.Simulation(replace(small, cpu_s=1.5)).run().wall_s == pytest.approx(300)


def test_what_a_dead_worker_had_in_hand_waits_for_its_lease_and_then_for_room(fleet: Any, small: Any) -> None:
    simulation = fleet.Simulation(
        replace(small, lease_s=10.0, worker=fleet.Hazard(fleet.FOREVER, fleet.FOREVER))
    )
    simulation.kill(101.0, 0)
    course = simulation.run()
    # The two parts, of which half is left, go on when the others are done, after 200 s; at most one step is asked again.
    assert 300 - 2 <= course.wall_s <= 300 + 2
    assert 10 < course.held_s <= 20 and course.failures == {"worker": 1}
    assert 0 < course.again["worker"] <= 2


def test_a_worker_that_comes_back_takes_them_up_itself(fleet: Any, small: Any) -> None:
    simulation = fleet.Simulation(replace(small, lease_s=10.0, worker=fleet.Hazard(fleet.FOREVER, 30.0)))
    simulation.kill(101.0, 0)
    course = simulation.run()
    assert 230 - 2 <= course.wall_s <= 230 + 2 and course.down_s == 60


def test_a_fail_over_stops_all_and_takes_back_the_last_second(fleet: Any, small: Any) -> None:
    """Drawn once in so long a time that a second one does not come in between."""
    failing = replace(small, redis=fleet.Hazard(150.0, 30.0), redis_lost_s=1.0)
    courses = [fleet.Simulation(replace(failing, seed=seed)).run() for seed in range(20)]
    once = [course for course in courses if course.failures["Redis"] == 1]
    assert once
    for course in once:
        assert course.wall_s == pytest.approx(200 + 30 + 1) and course.again["Redis"] == pytest.approx(8 / 2)


def test_when_a_replica_dies_the_other_one_answers(fleet: Any, small: Any) -> None:
    failing = replace(small, replica=fleet.Hazard(300.0, 50.0))
    courses = [fleet.Simulation(replace(failing, seed=seed)).run() for seed in range(20)]
    once = [course.wall_s for course in courses if course.failures["replica"] == 1]
    assert once and all(200 < wall_s <= 202 for wall_s in once)  # what was in flight there is asked again


def test_a_seed_decides_the_whole_course(fleet: Any, small: Any) -> None:
    rough = replace(
        small,
        steps=40_000,
        parts=400,
        worker=fleet.Hazard(2_000.0, 60.0),
        replica=fleet.Hazard(3_000.0, 60.0),
        redis=fleet.Hazard(4_000.0, 10.0),
        slow=0.5,
    )
    first, again, other = (fleet.Simulation(replace(rough, seed=seed)).run() for seed in (1, 1, 2))
    assert first == again != other
    assert all(first.failures[kind] for kind in ("worker", "replica", "Redis"))

"""The domains beside towers, run with doubles that err: votes solve them, one sample a step does not."""

import random
from typing import Any

import pytest
from pydantic_core import from_json

import surefoot
from surefoot import BadInput, Blocks, Checkers, Crossing, Settings, Sorting, Task
from surefoot.models.base import Prompt
from surefoot.models.doubles import Double, puzzle_double
from surefoot.orchestration.journal.jobs import NoSuchJob

CITIES = {"Oslo": 59.9, "Rome": 41.9, "Cairo": 30.0, "Bonn": 50.7, "Quito": -0.2, "Bergen": 60.4}


def first(prompt: Prompt) -> str:
    """Compare two numbers, or how far north two cities lie."""
    items = [from_json(line[3:]) for line in prompt[-1].content.splitlines()]  # type: ignore[union-attr]
    a, b = (-CITIES[item] if item in CITIES else item for item in items)
    return f"first = {'A' if a < b else 'B' if b < a else 'equal'}"


def another(prompt: Prompt, which: int) -> str:
    return [f"first = {word}" for word in ("A", "B", "equal") if not first(prompt).endswith(word)][which % 2]


@pytest.mark.parametrize("form", [{"form": "full"}, {"form": "move"}, {"form": "full", "checked": True}])
@pytest.mark.parametrize("kind", ["checkers", "crossing", "blocks"])
async def test_votes_solve_a_puzzle(kind: str, form: dict[str, Any], redis_url: str) -> None:
    made: dict[str, Task[Any, Any]] = {
        "checkers": Checkers(6, **form),
        "crossing": Crossing(12, 4, **form),
        "blocks": Blocks(20, 1, **form),
    }
    model = puzzle_double(error=0.15, invalid=0.05, seed=2)
    report = await surefoot.run(made[kind], Settings(k=6), model=model, redis=redis_url)
    assert report.solved and report.steps == made[kind].steps()
    if form == {"form": "full"}:
        assert report.contested > 0
    elif "checked" in form:
        assert {"illegal", "inconsistent"} & report.red_flags.keys()


async def test_one_sample_a_step_is_lost_on_the_way(redis_url: str) -> None:
    """A wrong move leads to a position where the procedure knows no move, and that is said."""
    model = puzzle_double(error=0.15, seed=2)
    with pytest.raises(surefoot.Stalled, match="no valid ballot"):
        await surefoot.run(Checkers(10), Settings(k=1), model=model, redis=redis_url, job="lost")
    assert not (await surefoot.report("lost", redis=redis_url)).solved


async def test_k_is_found_by_calibration(redis_url: str) -> None:
    settings = Settings(reliability=0.99, states=100)
    report = await surefoot.run(Checkers(8), settings, model=puzzle_double(error=0.1), redis=redis_url)
    assert report.solved and report.k > 2 and report.risk is not None and report.risk <= 0.01


async def test_a_list_is_sorted_where_one_comparison_in_five_is_wrong(redis_url: str) -> None:
    items = tuple(random.Random(4).sample(range(10_000), 60))
    report = await surefoot.run(
        Sorting(items), Settings(k=6), model=Double(first, another, error=0.2), redis=redis_url
    )
    assert report.solved
    runs, _ = await surefoot.state(report.job, redis=redis_url)
    assert [*runs[0]] == sorted(items)


async def test_texts_are_sorted_in_an_order_that_is_told_in_words(redis_url: str) -> None:
    task = Sorting(tuple(CITIES), by="cities from north to south")
    report = await surefoot.run(task, Settings(k=2), model=Double(first, another), redis=redis_url)
    runs, _ = await surefoot.state(report.job, redis=redis_url)
    assert runs == (("Bergen", "Oslo", "Bonn", "Rome", "Cairo", "Quito"),)


async def test_the_state_of_a_job_that_stopped_on_the_way_is_that_of_its_last_step(redis_url: str) -> None:
    settings = Settings(k=1, segment=7)
    budget = surefoot.Budget(steps=17)
    report = await surefoot.run(
        Checkers(5), settings, model=puzzle_double(), budget=budget, redis=redis_url, job="halted"
    )
    assert report.steps == 17
    expected: Any = Checkers(5).start()
    task = Checkers(5)
    for _ in range(17):
        expected = task.advance(expected, task.read(_right(task, expected), expected))
    assert await surefoot.state("halted", redis=redis_url) == expected
    assert await surefoot.state("halted", task=Checkers, redis=redis_url) == expected
    for other in (Blocks, Blocks(5)):
        with pytest.raises(BadInput, match="is of task 'checkers', not of 'blocks'"):
            await surefoot.state("halted", task=other, redis=redis_url)
    with pytest.raises(NoSuchJob):
        await surefoot.state("nowhere", redis=redis_url)


def _right(task: Checkers, state: Any) -> str:
    return puzzle_double().draw(surefoot.Ask(task.ask(state), 0.0, 750, 0)).text

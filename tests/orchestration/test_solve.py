"""A problem is solved by a run like any other: voted, durable, resumed."""

import random

import pytest

import surefoot
from surefoot import BadInput, Budget, Speculation, Stalled
from surefoot.models.doubles import Garbage, goal_double

PROBLEM = "What is 73418 * 90217?"


@pytest.mark.parametrize("speculate", [None, Speculation("leading", capacity=32)], ids=str)
async def test_a_product_of_a_model_that_is_wrong_in_one_call_of_five(
    redis_url: str, speculate: Speculation | None
) -> None:
    solution = await surefoot.solve(
        PROBLEM,
        kind="number",
        votes=4,
        model=goal_double(error=0.2, seed=1),
        redis=redis_url,
        speculate=speculate,
    )
    assert solution.answer == str(73418 * 90217)
    assert solution.report.solved and solution.report.contested > 0
    assert solution.parts[-1].problem == PROBLEM
    assert max(part.depth for part in solution.parts) >= 3


async def test_a_list_is_sorted(redis_url: str) -> None:
    items = random.Random(5).choices(range(1000), k=60)
    problem = f"Sort these numbers, smallest first: {items}"
    solution = await surefoot.solve(
        problem, kind="list", votes=4, model=goal_double(error=0.2, seed=2), redis=redis_url
    )
    assert solution.answer == str(sorted(items))


async def test_it_is_taken_up_where_it_stands_and_ends_alike(redis_url: str) -> None:
    model = goal_double(error=0.2, seed=3)
    whole = await surefoot.solve(PROBLEM, votes=3, model=model, redis=redis_url, job="whole")
    solution = None
    for _ in range(100):
        solution = await surefoot.solve(
            PROBLEM, votes=3, model=model, redis=redis_url, job="piecemeal", budget=Budget(steps=7)
        )
        if solution.answer is not None:
            break
        assert solution.report.status == "stopped"
    assert solution is not None
    assert (solution.answer, solution.parts) == (whole.answer, whole.parts)
    assert solution.report.head == whole.report.head
    again = await surefoot.resume("whole", redis=redis_url, model=Garbage())
    assert again.solved  # by the name of its task alone


async def test_another_problem_is_another_job(redis_url: str) -> None:
    await surefoot.solve(PROBLEM, model=goal_double(), redis=redis_url, job="mine")
    with pytest.raises(BadInput, match="was started as goal with"):
        await surefoot.solve("What is 2 * 2?", model=goal_double(), redis=redis_url, job="mine")


async def test_a_vote_without_a_decision_is_a_stall(redis_url: str) -> None:
    with pytest.raises(Stalled):
        await surefoot.solve(PROBLEM, model=Garbage(), redis=redis_url, limit=10)

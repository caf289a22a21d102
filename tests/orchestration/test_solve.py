"""A problem is solved by a run like any other: voted, durable, resumed."""

import random
from typing import Any

import pytest

import surefoot
from surefoot import BadInput, Budget, Speculation, Stalled
from surefoot.agents.handbook import WithHandbook
from surefoot.agents.planner import Goal, Outline, read_outline
from surefoot.models.doubles import Garbage, goal_double, towers_double
from surefoot.orchestration.decomposition import decomposition, goal_of
from surefoot.orchestration.redis.open import open_redis

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


async def test_what_a_job_was_started_as_is_told_in_a_short_sentence(redis_url: str) -> None:
    book = "x" * 90_000
    with pytest.raises(Stalled):
        await surefoot.solve(f"{PROBLEM} {book}", model=Garbage(), redis=redis_url, job="book", limit=3)
    with pytest.raises(BadInput) as caught:
        await surefoot.solve(f"What is 2 * 2? {book}", model=goal_double(), redis=redis_url, job="book")
    assert str(caught.value) == (
        f"job 'book' was started as goal with problem='{PROBLEM} {'x' * (199 - len(PROBLEM) - 1)}..., "
        f"not as goal with problem='What is 2 * 2? {'x' * 184}...: use another job name, or the same task"
    )


async def test_a_goal_within_a_handbook_is_shown_and_taken_up(redis_url: str) -> None:
    given: dict[str, Any] = {"model": goal_double(), "redis": redis_url}
    await surefoot.run(
        WithHandbook(Goal(PROBLEM), []),
        surefoot.Settings(k=1),
        **given,
        job="taught",
        budget=Budget(steps=3),
    )
    async with open_redis(redis_url) as store:
        whole, costs = await decomposition(store, "taught")
        _, task = await goal_of(store, "taught")
    assert (whole.problem, len(whole.parts), task.spec()["problem"]) == (PROBLEM, 2, PROBLEM)
    assert sum(cost.votes for cost in costs.values()) > 0
    solution = await surefoot.solve(PROBLEM, **given, job="taught")
    assert (solution.answer, solution.report.task) == (str(73418 * 90217), "handbook")
    with pytest.raises(BadInput, match="started with no outline and is given outline"):
        await surefoot.solve(outline=SPLIT, **given, job="taught")
    await surefoot.run(
        WithHandbook(surefoot.Towers(1, style="compact"), []), surefoot.Settings(k=1), model=towers_double(), redis=redis_url, job="tower"
    )  # fmt: skip
    with pytest.raises(BadInput, match="is of task 'towers', not of 'goal'"):
        await surefoot.solve(PROBLEM, **given, job="tower")


async def test_a_vote_without_a_decision_is_a_stall(redis_url: str) -> None:
    with pytest.raises(Stalled):
        await surefoot.solve(PROBLEM, model=Garbage(), redis=redis_url, limit=10)


def edited(outline: Outline) -> Outline:
    """The same with another way at the top: the answer is the same, the way is not."""
    first, second = (part.problem for part in outline.parts)
    return read_outline(
        Outline(outline.problem, (Outline(second), Outline(first)), "formula", swapped(outline))
    )


def swapped(outline: Outline) -> str:
    return outline.formula.translate(str.maketrans("12", "21", ""))


SPLIT = Outline(
    "What is 734 * 902?",
    (Outline("What is 734 * 9?"), Outline("What is 734 * 2?")),
    "formula",
    "{1} * 100 + {2}",
)


async def test_a_job_goes_by_the_outline_of_another_and_asks_only_for_answers(redis_url: str) -> None:
    model = goal_double(error=0.2, seed=4)
    first = await surefoot.solve(PROBLEM, kind="number", votes=4, model=model, redis=redis_url, job="first")
    outline = Outline.of(await surefoot.state("first", redis=redis_url))
    assert read_outline(outline.canonical) == outline
    second = await surefoot.solve(
        kind="number", votes=4, depth=0, outline=outline, model=model, redis=redis_url, job="second"
    )
    assert (second.answer, second.parts) == (first.answer, first.parts)
    assert second.report.steps == sum(not part.split.parts for part in first.parts) < first.report.steps
    assert Outline.of(await surefoot.state("second", redis=redis_url)).digest == outline.digest


async def test_an_open_part_is_made_smaller_as_deep_as_may_be(redis_url: str) -> None:
    for depth, deepest in ((1, 1), (5, 2)):
        solution = await surefoot.solve(outline=SPLIT, depth=depth, model=goal_double(), redis=redis_url)
        assert solution.answer == "662068"
        assert max(part.depth for part in solution.parts) == deepest


async def test_with_an_outline_it_is_taken_up_where_it_stands_and_ends_alike(redis_url: str) -> None:
    model = goal_double(error=0.2, seed=3)
    whole = await surefoot.solve(outline=SPLIT, model=model, redis=redis_url, job="whole")
    for runs in range(100):
        report = await (
            surefoot.resume("piecemeal", model=model, redis=redis_url, budget=Budget(steps=2))
            if runs
            else surefoot.run(Goal(SPLIT.problem, outline=SPLIT), surefoot.Settings(k=1), model=model, redis=redis_url, job="piecemeal", budget=Budget(steps=2))
        )  # fmt: skip
        if report.solved:
            break
    assert runs > 2
    assert report.head == whole.report.head
    assert (await surefoot.state("piecemeal", redis=redis_url)).done == whole.parts


async def test_a_job_refuses_another_outline_and_names_both(redis_url: str) -> None:
    other = edited(SPLIT)
    stopped = await surefoot.solve(
        outline=SPLIT, model=goal_double(), redis=redis_url, job="by", budget=Budget(steps=1)
    )
    assert stopped.answer is None
    with pytest.raises(BadInput) as caught:
        await surefoot.solve(outline=other, model=goal_double(), redis=redis_url, job="by")
    assert str(caught.value) == (
        f"job 'by' was started with outline {SPLIT.digest[:12]} and is given outline {other.digest[:12]} now: "
        "give it its own, or choose another job name"
    )
    with pytest.raises(BadInput, match="is given no outline now"):
        await surefoot.solve(SPLIT.problem, model=goal_double(), redis=redis_url, job="by")
    with pytest.raises(BadInput, match="was started as goal with"):
        await surefoot.resume(
            "by", task=Goal(SPLIT.problem, outline=other), model=goal_double(), redis=redis_url
        )
    solution = await surefoot.solve(outline=SPLIT, model=goal_double(), redis=redis_url, job="by")
    assert solution.answer == "662068"


async def test_a_job_of_another_task_is_not_solved(redis_url: str) -> None:
    await surefoot.run(
        surefoot.Towers(1, style="compact"),
        surefoot.Settings(k=1),
        model=towers_double(),
        redis=redis_url,
        job="tower",
    )
    with pytest.raises(BadInput, match="is of task 'towers', not of 'goal'"):
        await surefoot.solve(PROBLEM, model=goal_double(), redis=redis_url, job="tower")


async def test_there_is_a_problem_or_an_outline(redis_url: str) -> None:
    with pytest.raises(BadInput, match="give a problem, or an outline"):
        await surefoot.solve(model=goal_double(), redis=redis_url)
    with pytest.raises(BadInput, match="of another problem"):
        await surefoot.solve(PROBLEM, outline=SPLIT, model=goal_double(), redis=redis_url)


@pytest.mark.parametrize("steps", [None, 1, 9])
async def test_what_each_problem_has_cost_adds_up_to_the_report(redis_url: str, steps: int | None) -> None:
    solution = await surefoot.solve(
        PROBLEM,
        model=goal_double(error=0.2, seed=5),
        redis=redis_url,
        job="costly",
        budget=None if steps is None else Budget(steps=steps),
    )
    async with open_redis(redis_url) as store:
        whole, costs = await decomposition(store, "costly")
    assert sum(cost.votes for cost in costs.values()) == solution.report.votes
    assert sum(cost.usage.total for cost in costs.values()) == (solution.report.tokens.total or 0)
    assert whole.answer == solution.answer
    answered = [(branch.problem, branch.answer) for _, branch in whole.walk() if branch.answer is not None]
    assert sorted(answered) == sorted((part.problem, part.answer) for part in solution.parts)
    assert set(costs) <= {place for place, _ in whole.walk()}

"""Jobs with a pattern of reasoning, alone and around others: they go on with what they began with, by name, by class and by the task itself."""

from typing import Any

import pytest

import surefoot
from surefoot import BadInput, Budget, Columns, Settings
from surefoot.agents.patterns import WithPattern
from surefoot.agents.planner import Goal
from surefoot.agents.preferences import WithPreference
from surefoot.models.doubles import goal_double
from surefoot.orchestration.decomposition import decomposition, goal_of
from surefoot.orchestration.redis.open import open_redis

PROBLEM = "What is 734 * 902?"
ANSWER = str(734 * 902)
LIKES = "Prefers short answers in plain words."


class Own(Goal):
    """A task that no name leads to."""

    name = "own"


async def test_a_job_goes_on_with_the_pattern_that_it_began_with(redis_url: str) -> None:
    given: dict[str, Any] = {"model": goal_double(), "redis": redis_url}
    task = WithPattern(WithPreference(Goal(PROBLEM), LIKES), {"solve": "verification"})
    await surefoot.run(task, Settings(k=1), **given, job="mine", budget=Budget(steps=3))
    async with open_redis(redis_url) as store:
        whole, _ = await decomposition(store, "mine")
        _, goal = await goal_of(store, "mine")
    assert (whole.problem, goal.spec()["problem"]) == (PROBLEM, PROBLEM)
    with pytest.raises(BadInput, match="was started as pattern with"):
        await surefoot.run(WithPattern(task.task, "table"), Settings(k=1), **given, job="mine")
    report = await surefoot.resume("mine", **given)
    assert report.solved and report.spec["pattern"] == (("solve", "verification"),)
    assert (await surefoot.state("mine", redis=redis_url)).answer == ANSWER


async def test_a_job_of_a_class_of_ones_own_is_resumed_by_the_class_inside(redis_url: str) -> None:
    given: dict[str, Any] = {"model": goal_double(), "redis": redis_url}
    task = WithPattern(WithPreference(Own(PROBLEM), LIKES), "chain")
    await surefoot.run(task, Settings(k=1), **given, job="own", budget=Budget(steps=1))
    with pytest.raises(BadInput, match="'own' is not part of surefoot"):
        await surefoot.resume("own", **given)
    with pytest.raises(BadInput, match="is around task 'own', not 'columns'"):
        await surefoot.resume("own", task=Columns, **given)
    part = await surefoot.resume("own", task=Own(PROBLEM), **given, budget=Budget(steps=1))
    assert part.steps == 2
    assert (await surefoot.resume("own", task=Own, **given)).solved

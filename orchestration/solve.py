"""A problem in plain words from Python: made smaller by vote, solved part by part, put together."""

from typing import NamedTuple

from redis.asyncio import Redis

from surefoot.agents.planner.goal import Goal
from surefoot.agents.planner.state import GoalState, Part
from surefoot.errors import BadInput
from surefoot.models.base import Model, Sampling
from surefoot.models.openai.options import Options
from surefoot.tools.answers.normal_forms import Kind
from surefoot.typed_input import checked

from .budget import Budget
from .engine.speculation import Speculation
from .events import Listen
from .overview import state
from .report import Report
from .run import run
from .settings import Settings


class Solution(NamedTuple):
    """What became of a problem."""

    answer: str | None
    """None where the run stopped before there was one; `report` says why."""
    parts: tuple[Part, ...]
    """What has been answered, each problem after its parts: `surefoot.agents.planner.outline` writes them as a tree."""
    report: Report


@checked
async def solve(
    problem: str,
    *,
    model: str | Model,
    kind: Kind = "any",
    votes: int = 3,
    depth: int = 5,
    limit: int = 100,
    sampling: Sampling | None = None,
    redis: str | Redis | None = None,
    job: str | None = None,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> Solution:
    """Solve a problem that is too large for one call: see `surefoot.agents.planner.Goal` for `kind`, `votes` and `depth`.

    `limit` is the most samples that a decision may take, `sampling` how they are drawn: a proposal tells the problem once more, so a long one needs
    more tokens than the usual 4,096.  The other arguments are those of `run`, and so is what is raised.  A job that was stopped is taken up by the
    same call with the same `job`, one that stalled by `resume` with a larger limit or another model.
    """
    task = Goal(problem, kind, votes, depth)
    if limit < votes:
        raise BadInput(f"limit must be at least votes = {votes} samples, not {limit!r}")
    report = await run(
        task,
        Settings(k=1, limit=limit, sampling=sampling),
        model=model,
        redis=redis,
        job=job,
        speculate=speculate,
        budget=budget,
        options=options,
        on_event=on_event,
    )
    reached: GoalState = await state(report.job, task=task, redis=redis)
    return Solution(reached.answer, reached.done, report)

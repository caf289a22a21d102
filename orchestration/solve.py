"""A problem in plain words from Python: made smaller by vote and put together again, or, with pictures, looked at."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from surefoot.agents.perception.looking import Looking
from surefoot.agents.perception.looking_state import LookingState, Observation
from surefoot.agents.planner.goal import Goal
from surefoot.agents.planner.outlines import SHOWN, Outline
from surefoot.agents.planner.state import GoalState, Part
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Model, Sampling
from surefoot.models.connect import AND, OR, open_model, open_perceiver
from surefoot.models.openai.options import Options
from surefoot.models.perceivers import Sighted
from surefoot.tools.answers.normal_forms import Kind
from surefoot.tools.pictures.picture import Picture
from surefoot.tools.pictures.reading import read_pictures
from surefoot.typed_input import checked

from .budget import Budget
from .decomposition import goal_of
from .engine.speculation import Speculation
from .events import Listen, shielded
from .journal.jobs import exists
from .overview import state
from .redis.open import open_redis
from .report import Report
from .run import run
from .settings import Settings
from .task_of_job import task_again


class Solution(NamedTuple):
    """What became of a problem."""

    answer: str | None
    """None where the run stopped before there was one; `report` says why."""
    parts: tuple[Part, ...]
    """What has been answered, each problem after its parts: `surefoot.agents.planner.outline` writes them as a tree."""
    report: Report
    observations: tuple[Observation, ...] = ()
    """What has been seen in the pictures, in that order."""


Image = str | Path | Picture
"""A file, or a picture that has been read."""


@checked
async def solve(
    problem: str | None = None,
    *,
    model: str | Model,
    kind: Kind = "any",
    votes: int = 3,
    depth: int = 5,
    outline: Outline | None = None,
    images: Sequence[Image] = (),
    perceiver: str | Model | None = None,
    rounds: int = 2,
    limit: int = 100,
    sampling: Sampling | None = None,
    redis: str | Redis | None = None,
    job: str | None = None,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> Solution:
    """Solve a problem that is too large for one call: see `surefoot.agents.planner.Goal` for `kind`, `votes`, `depth` and `outline`.

    An `outline` has its problem, which need not be given once more.  With `images` the model plans and never gets a picture, `perceiver` looks, and
    nothing is split: see `surefoot.agents.perception.Looking` for `rounds`.  `limit` is the most samples that a decision may take, `sampling` how
    they are drawn: a proposal tells the problem once more, so a long one needs more tokens than the usual 4,096.  The other arguments are those of
    `run`, and so is what is raised.  A job that was stopped is taken up by the same call with the same `job`, one that stalled by `resume` with a
    larger limit or another model; `BadInput` if it was started by another outline.
    """
    task: Task[Any, Any] = task_of(problem, kind, votes, depth, outline, images, perceiver, rounds)
    if limit < votes:
        raise BadInput(f"limit must be at least votes = {votes} samples, not {limit!r}")
    if job is not None and isinstance(task, Goal):
        task = await _as_started(job, task, redis, shielded(on_event))
    async with _asked(model, perceiver, options) as asked:
        report = await run(
            task,
            Settings(k=1, limit=limit, sampling=sampling),
            model=asked,
            redis=redis,
            job=job,
            speculate=speculate,
            budget=budget,
            options=options,
            on_event=on_event,
        )
    reached: GoalState | LookingState = await state(report.job, task=task, redis=redis)
    if isinstance(reached, LookingState):
        return Solution(reached.answer, (), report, reached.observations)
    return Solution(reached.answer, reached.done, report)


def task_of(
    problem: str | None = None,
    kind: Kind = "any",
    votes: int = 3,
    depth: int = 5,
    outline: Outline | None = None,
    images: Sequence[Image] = (),
    perceiver: str | Model | None = None,
    rounds: int = 2,
) -> Goal | Looking:
    """Return the task that `solve` makes of its arguments; raises `BadInput` for those that do not go together."""
    problem = outline.problem if problem is None and outline is not None else problem
    if problem is None:
        raise BadInput("there is nothing to solve: give a problem, or an outline")
    if isinstance(images, str):
        raise BadInput("pictures come as a list: put the one into brackets")
    if (perceiver is None) != (not images):
        raise BadInput("pictures and who looks at them go together: give images and a perceiver")
    if not images:
        return Goal(problem, kind, votes, depth, outline)
    if outline is not None:
        raise BadInput("a problem with pictures is not split: leave the outline out")
    sources = [each.data if isinstance(each, Picture) else each for each in images]
    pictures = tuple(picture.url for picture in read_pictures(sources))
    # Several readers are asked in turn, each by its name.
    readers = tuple(perceiver.split(OR)) if isinstance(perceiver, str) and OR in perceiver else ()
    return Looking(problem, pictures, kind, votes, rounds, readers)


@asynccontextmanager
async def _asked(
    planner: str | Model, perceiver: str | Model | None, options: Options | None
) -> AsyncIterator[str | Model]:
    """Yield whom to ask; two addresses are one, so that the job is resumed by it."""
    if perceiver is None:
        yield planner
    elif isinstance(planner, str) and isinstance(perceiver, str):
        yield f"{planner}{AND}{perceiver}"
    else:
        async with (
            open_model(planner, options=options) as thinks,
            open_perceiver(perceiver, options) as looks,
        ):
            yield Sighted(thinks, looks)


async def _as_started(job: str, task: Goal, redis: str | Redis | None, listen: Listen) -> Task[Any, Any]:
    """Return the task with the handbook that its job has; refuse one of another outline, before a model is asked anything."""
    async with open_redis(redis, listen) as store:
        if not await exists(store, job):
            return task
        known, own = await goal_of(store, job)
    if own.digest != task.digest:
        raise BadInput(
            f"job {job!r} was started with {_named(own)} and is given {_named(task)} now: give it its own, or choose another job name"
        )
    return task_again(known, task)


def _named(task: Goal) -> str:
    return "no outline" if task.digest is None else f"outline {task.digest[:SHOWN]}"

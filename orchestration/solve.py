"""A problem in plain words from Python: made smaller by vote and put together again, or, with pictures, looked at."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from surefoot.agents.patterns import WithPattern
from surefoot.agents.perception.looking import Looking
from surefoot.agents.perception.looking_state import LookingState
from surefoot.agents.planner.goal import Goal
from surefoot.agents.planner.outlines import SHOWN, Outline
from surefoot.agents.planner.state import GoalState, Part
from surefoot.agents.tasks.around import surrounded
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Model, Sampling
from surefoot.models.connect import AND, OR, open_equated, open_model, open_perceiver, with_judge
from surefoot.models.openai.options import Options
from surefoot.models.perceivers import Sighted
from surefoot.tools.answers.normal_forms import Kind
from surefoot.tools.pictures.picture import Picture
from surefoot.tools.pictures.reading import read_pictures
from surefoot.typed_input import checked

from .budget import Budget, Purse
from .decomposition import goal_of
from .engine.speculation import Speculation
from .events import Listen, Noted, shielded
from .journal.jobs import check_name, exists, load, new_id
from .looks import VotedObservation, looks
from .overview import state
from .redis.open import open_redis
from .report import Report
from .run import run
from .settings import Settings
from .solving import Check, NodeRun, Solving, check_counts, plan_of


class Solution(NamedTuple):
    """What became of a problem."""

    answer: str | None
    """None where the run stopped before there was one; `report` says why."""
    parts: tuple[Part, ...]
    """What has been answered, each problem after its parts: `surefoot.agents.planner.outline` writes them as a tree."""
    report: Report
    observations: tuple[VotedObservation, ...] = ()
    """What has been seen in the pictures, in that order, and how sure it is."""
    runs: tuple[NodeRun, ...] = ()
    """The jobs that it took, in order: one, unless there were several branches or another outline; `report` is the last one's."""


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
    pattern: str | Mapping[str, str] | None = None,
    images: Sequence[Image] = (),
    perceiver: str | Model | None = None,
    rounds: int = 2,
    caption: str = "",
    extend: bool = False,
    rephrase: bool = False,
    branches: int = 1,
    replans: int = 1,
    check: Check | None = None,
    equivalence: str | Model | None = None,
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

    An `outline` has its problem, which need not be given once more.  `pattern` is how the model is to think, at all stages or by stage: see
    `surefoot.agents.patterns.WithPattern`.  With `images` the model plans and never gets a picture, `perceiver` looks, and
    nothing is split: see `surefoot.agents.perception.Looking` for `rounds`, `caption`, `extend` and `rephrase`.

    With `branches` above 1 all is split first, and then so many parts are answered at once, each in a job of its own.  Where a decision stalls, another
    outline is made, with what is answered and what was tried, up to `replans` times; then `Stalled` is raised.  `check` says in a sentence what is wrong
    with an answer, or None; a wrong one is replanned as well, and in the end raises `AuditFailed`.  Tokens and money of `budget` are those of all these jobs
    together, its steps and times those of each; `on_event` hears the events of all.

    `equivalence` is a model that says which answers in words are the same, where their normal forms differ: see `surefoot.models.Equated`.

    `limit` is the most samples that a decision may take, `sampling` how they are drawn: a proposal tells the problem once more, so a long one needs
    more tokens than the usual 4,096.  The other arguments are those of `run`, and so is what is raised.  A job that was stopped is taken up by the
    same call with the same `job`, one that stalled by `resume` with a larger limit or another model; `BadInput` if it was started by another
    outline.
    """
    task = task_of(problem, kind, votes, depth, outline, images, perceiver, rounds, caption, extend, rephrase)
    in_pattern: Callable[[Any], Task[Any, Any]] = (
        (lambda given: given) if pattern is None else partial(WithPattern, pattern=pattern)
    )
    in_pattern(task)  # refused before anything is opened
    if limit < votes:
        raise BadInput(f"limit must be at least votes = {votes} samples, not {limit!r}")
    check_counts(branches, replans)
    if isinstance(task, Looking) and (branches > 1 or check is not None):
        raise BadInput("a problem with pictures is not split: leave branches and check out")
    if job is not None:
        check_name(job)
    name = job or new_id(task.name)
    if isinstance(task, Goal):
        wrapped = await _as_started(name, task, branches > 1, redis, shielded(on_event))
        if pattern is not None:
            wrapped = in_pattern  # whether the job began with it is found out by `run`

    allowance = _Allowance(budget, name, redis, several=branches > 1)

    async def start(task: Task[Any, Any], name: str) -> Report:
        async with _asked(model, equivalence, perceiver, options, shielded(on_event)) as asked:
            return await run(
                task,
                Settings(k=1, limit=limit, sampling=sampling),
                model=asked,
                redis=redis,
                job=name,
                speculate=speculate,
                budget=await allowance.of(name),
                options=options,
                on_event=on_event,
            )

    if isinstance(task, Looking):
        report = await start(in_pattern(task), name)
        seen: LookingState = await state(name, task=task, redis=redis)
        async with open_redis(redis) as store:
            return Solution(seen.answer, (), report, await looks(store, name, task))
    solving = Solving(
        task,
        name,
        start,
        wrapped,
        redis,
        branches=branches,
        replans=replans,
        check=check,
        passed=allowance.of,
    )
    ended = await solving.end()
    reached: GoalState = await state(ended.report.job, redis=redis)
    return Solution(ended.answer, reached.done, ended.report, runs=ended.runs)


class _Allowance:
    """A budget that is one job's own, as long as there is one; what several jobs of a problem may take together, once there are more."""

    def __init__(
        self, budget: Budget | None, first: str, redis: str | Redis | None, *, several: bool
    ) -> None:
        self._budget, self._first, self._redis, self._several = budget, first, redis, several
        self._purse: Purse | None = None

    async def of(self, job: str) -> Budget | None:
        """Return the budget of a job; tokens and money that the problem's jobs took before, in whatever process, count."""
        budget = self._budget
        if budget is None or budget.shared is not None or (budget.tokens is None and budget.cost is None):
            return budget
        if job == self._first and not self._several:
            return budget
        counted = [job]
        if self._purse is None:
            self._purse = Purse(tokens=budget.tokens, cost=budget.cost, price=budget.price)
            counted += [] if self._several else [self._first]
        async with open_redis(self._redis) as store:
            for name in counted:
                if await exists(store, name):
                    self._purse.spend((await load(store, name)).usage)
        return replace(budget, shared=self._purse)


def task_of(
    problem: str | None = None,
    kind: Kind = "any",
    votes: int = 3,
    depth: int = 5,
    outline: Outline | None = None,
    images: Sequence[Image] = (),
    perceiver: str | Model | None = None,
    rounds: int = 2,
    caption: str = "",
    extend: bool = False,
    rephrase: bool = False,
) -> Goal | Looking:
    """Return the task that `solve` makes of its arguments; raises `BadInput` for those that do not go together."""
    problem = outline.problem if problem is None and outline is not None else problem
    if problem is None:
        raise BadInput("there is nothing to solve: give a problem, or an outline")
    if isinstance(images, str):
        raise BadInput("pictures come as a list: put the one into brackets")
    if (perceiver is None) != (not images):
        raise BadInput("pictures and who looks at them go together: give images and a perceiver")
    if not images and (caption or extend or rephrase):
        raise BadInput("captions, further rounds and rephrasing are of pictures: give images and a perceiver")
    if not images:
        return Goal(problem, kind, votes, depth, outline)
    if outline is not None:
        raise BadInput("a problem with pictures is not split: leave the outline out")
    sources = [each.data if isinstance(each, Picture) else each for each in images]
    pictures = tuple(picture.url for picture in read_pictures(sources))
    # Several readers are asked in turn, each by its name.
    readers = tuple(perceiver.split(OR)) if isinstance(perceiver, str) and OR in perceiver else ()
    return Looking(problem, pictures, kind, votes, rounds, readers, caption, extend, rephrase)


@asynccontextmanager
async def _asked(
    planner: str | Model,
    equivalence: str | Model | None,
    perceiver: str | Model | None,
    options: Options | None,
    listen: Listen,
) -> AsyncIterator[str | Model]:
    """Yield whom to ask; several addresses are one, so that the job is resumed by it."""
    if isinstance(planner, str) and isinstance(equivalence, str):
        planner, equivalence = with_judge(planner, equivalence), None
    if equivalence is not None:
        told = replace(options or Options(), on_notice=lambda sentence: listen(Noted(sentence=sentence)))
        async with (
            open_equated(planner, equivalence, told) as equated,
            _asked(equated, None, perceiver, options, listen) as asked,
        ):
            yield asked
    elif perceiver is None:
        yield planner
    elif isinstance(planner, str) and isinstance(perceiver, str):
        yield f"{planner}{AND}{perceiver}"
    else:
        async with (
            open_model(planner, options=options) as thinks,
            open_perceiver(perceiver, options) as looks,
        ):
            yield Sighted(thinks, looks)


async def _as_started(
    job: str, task: Goal, several: bool, redis: str | Redis | None, listen: Listen
) -> Callable[[Goal], Task[Any, Any]]:
    """Return what gives a task all that the job has in front of its prompts; refuse one of another outline, before a model is asked anything."""
    async with open_redis(redis, listen) as store:
        begun = [name for name in (job, plan_of(job)) if await exists(store, name)]
        if (plan_of(job) in begun) != several and begun:
            ways = ("one branch", "several branches") if several else ("several branches", "one branch")
            raise BadInput(
                f"job {job!r} was started with {ways[0]} and is given {ways[1]} now: give it what it had, or choose another job name"
            )
        if not begun:
            return lambda given: given
        known, own = await goal_of(store, begun[-1])
    if own.digest != task.digest:
        raise BadInput(
            f"job {job!r} was started with {_named(own)} and is given {_named(task)} now: give it its own, or choose another job name"
        )
    return lambda given: surrounded(given, known.task, known.spec)


def _named(task: Goal) -> str:
    return "no outline" if task.digest is None else f"outline {task.digest[:SHOWN]}"

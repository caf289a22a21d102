"""Begin a stitched job, or take one up, and see it to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from redis.asyncio import Redis

from surefoot.agents.tasks.around import innermost
from surefoot.agents.tasks.catalogue import address_of
from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.known_limits import check_known
from surefoot.agents.tasks.part_of import PartOf, parts_of
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.base import Model
from surefoot.models.openai.options import Options
from surefoot.orchestration.budget import Budget
from surefoot.orchestration.engine.speculation import Speculation
from surefoot.orchestration.events import Listen, shielded
from surefoot.orchestration.journal import jobs, stitched
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.journal.lease import JobHeld, claimed
from surefoot.orchestration.plan import open_for
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.run import fixed_for
from surefoot.orchestration.settings import USUAL, Settings
from surefoot.typed_input import checked

from .purse_of_parts import check_bounds
from .stitched import StitchedReport, read_stitched
from .working import LOOK_AGAIN_S, Workbench, Worker, check_at_once, create_parts, kept_as

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)


@checked
async def begin(
    task: Task[S, A],
    settings: Settings = USUAL,
    *,
    parts: int,
    model: str | Model = "pebble",
    redis: str | Redis | None = None,
    job: str | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> str:
    """Begin a stitched job as `stitch` does, and leave it to those who `work` on it; return its name.  One that is there already stays as it is."""
    async with _open(task, settings, parts, model, redis, job, budget, options, shielded(on_event)) as bench:
        return bench.known.id


@checked
async def stitch(
    task: Task[S, A],
    settings: Settings = USUAL,
    *,
    parts: int,
    model: str | Model = "pebble",
    redis: str | Redis | None = None,
    job: str | None = None,
    at_once: int = 1,
    again: bool = False,
    speculate: Speculation | None = None,
    budget: Budget | None = None,
    options: Options | None = None,
    on_event: Listen | None = None,
) -> StitchedReport:
    """Do a job in so many parts, `at_once` at a time, together with all who `work` on it meanwhile, and return its report.

    The task knows the states between parts in advance: it has `boundary`.  All parts are fixed with the same settings, by one calibration of the whole.
    `job`: a name of your own, of which the parts are `NAME/0`, `NAME/1`, ...; a stitched job of that name is taken up where it stands, with what it was
    begun with.  A part that stalls or fails is named in the report, and the others go on: `again` takes up those that were left so.  `budget` is that of
    `work`.  The other arguments are those of `run`.

    Raises `BadInput` for a task that cannot be split into so many parts, and where the name is that of another job, else what `run` raises before the
    first step, `ModelUnavailable` and `RedisUnavailable`.
    """
    check_at_once(at_once)
    listen = shielded(on_event)
    async with _open(task, settings, parts, model, redis, job, budget, options, listen) as bench:
        worker = Worker(
            bench, again=again, speculate=speculate, budget=budget, options=options, listen=listen
        )
        await worker.work(at_once)
        return await read_stitched(bench.redis, bench.known.id, task)


@asynccontextmanager
async def _open(
    task: Task[S, A],
    settings: Settings,
    parts: int,
    model: str | Model,
    redis: str | Redis | None,
    job: str | None,
    budget: Budget | None,
    options: Options | None,
    listen: Listen,
) -> AsyncIterator[Workbench]:
    """Begin a stitched job, unless it is there already, and open what it takes to work on it."""
    check_bounds(budget)
    if job is not None:
        jobs.check_name(job)
    split = parts_of(task, parts)
    check_known(model, task)
    name = job or jobs.new_id(task.name)
    async with (
        open_redis(redis, listen) as store,
        open_for(task, model, options, listen) as opened,
    ):
        address = kept_as(model, opened)

        async def fixed() -> Fixed:
            return await fixed_for(store, name, task, settings, opened, address, budget, listen)

        known = await _begun(store, name, task, split, fixed)
        there = await jobs.listed(store, known.names)
        _check_own(there, split)
        missing = [
            (part, each) for part, found, each in zip(known.names, there, split, strict=True) if found is None
        ]
        await create_parts(store, known, missing)
        yield Workbench(redis=store, known=known, split=split, model=opened, address=address)


async def _begun(
    redis: Redis,
    name: str,
    task: Task[S, A],
    split: list[PartOf[S, A]],
    fixed: Callable[[], Awaitable[Fixed]],
) -> stitched.StitchedJob:
    """Return the stitched job of this name, written down now if there was none; raises `BadInput` for another one."""
    while (known := await stitched.find(redis, name)) is None:
        if await jobs.exists(redis, name):
            raise BadInput(
                f"job {name!r} was begun in one piece: resume it, or choose another name for a job in parts"
            )
        try:
            async with claimed(redis, name) as holder:
                if holder is not None and not await stitched.exists(redis, name):
                    await _create(redis, name, task, split, fixed)
        except JobHeld:  # another process is about to begin it
            await asyncio.sleep(LOOK_AGAIN_S)
    spec = jobs.as_stored(guarded(task).spec())
    if (task.name, spec, len(split)) != (known.task, jobs.as_stored(known.spec), known.parts):
        raise BadInput(
            f"job {name!r} was begun as {known.task} in {known.parts:,} parts with other arguments or another number of parts than "
            f"{task.name} in {len(split):,}: give it its own, or choose another job name"
        )
    return await stitched.load_kept(redis, name)


async def _create(
    redis: Redis,
    name: str,
    task: Task[S, A],
    split: list[PartOf[S, A]],
    fixed: Callable[[], Awaitable[Fixed]],
) -> None:
    """Find out what the parts are fixed with, and write the job down."""
    # Before anything is spent.
    names = stitched.names_of(name, len(split))
    _check_own(await jobs.listed(redis, names), split)
    if (other := await stitched.taken(redis, names)) is not None:
        raise BadInput(
            f"there is a stitched job {other!r} already, as a part would be named: choose another name"
        )
    wanted = stitched.StitchedJob(
        id=name,
        task=task.name,
        spec=guarded(task).spec(),
        steps=sum(part.steps() for part in split),
        parts=len(split),
        fixed=await fixed(),
        created=round(time.time(), 3),
        code=address_of(innermost(task)),
    )
    await stitched.create(redis, wanted)


def _check_own(
    there: Sequence[jobs.Job | jobs.UnreadableJob | None], split: Sequence[PartOf[Any, Any]]
) -> None:
    """Raise `BadInput` where a job that has the name of a part is something else."""
    for found, part in zip(there, split, strict=True):
        if isinstance(found, jobs.Job) and (found.task, jobs.as_stored(found.spec)) != (
            part.name,
            jobs.as_stored(part.spec()),
        ):
            raise BadInput(
                f"there is a job {found.id!r} already that is no part of this one: choose another name for the stitched job"
            )

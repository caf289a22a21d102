"""Stitched jobs: what several jobs are the parts of, one small record each.

    surefoot:stitched         hash    name -> JSON: the task, in how many parts it is done, and what they all are fixed with

The parts are jobs like any other, `NAME/0` to `NAME/7`: whatever happens to them is in their journals, and nothing of it here.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from shlex import quote
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json
from redis.asyncio import Redis

from surefoot.agents.tasks.part_of import MOST_PARTS
from surefoot.agents.tasks.plain_values import canonical
from surefoot.errors import BadInput

from . import jobs
from .fixed import Fixed
from .jobs import FAR_FUTURE, Job, Keys, NewerJournal, NoSuchJob, UnreadableJob, shown_id
from .records import SCHEMA, CorruptJournal, frozen, genesis
from .snapshots import Snapshot, reading, text


class StitchedJob(NamedTuple):
    """A job that is done in parts, by any number of workers."""

    id: str
    task: str
    spec: Mapping[str, Any]
    steps: int
    """Those of the whole."""
    parts: int
    fixed: Fixed
    """What all parts are fixed with; the risk is that of the whole."""
    created: float
    code: str = ""
    """Where the task's class was when the job began; see `Job.code`."""
    deleting: bool = False
    """Somebody is deleting it, or was cut short: no part is made or taken up any more."""

    @property
    def names(self) -> list[str]:
        """The parts' jobs, in order."""
        return names_of(self.id, self.parts)

    def first(self, part: int) -> int:
        """Return the first step of a part, counted over the whole."""
        return part * self.steps // self.parts

    @property
    def whole(self) -> Job:
        """What a job in one piece would be that is done in the same way, before its first step."""
        fixed = self.fixed
        return Job(
            id=self.id,
            task=self.task,
            spec=self.spec,
            settings=fixed.settings,
            k=fixed.k,
            start=Snapshot(0, genesis(self.task, self.spec, None), None, fixed.k),
            status="stopped",
            step=0,
            head="",
            sealed=0,
            created=self.created,
            updated=self.created,
            counters={},
            holder=None,
            models=(fixed.model,),
            code=self.code,
            steps=self.steps,
            calibrated=fixed.calibrated,
            budget=fixed.budget,
            risk_bound=fixed.risk_bound,
        )


def names_of(job: str, parts: int) -> list[str]:
    """Return the names of the parts of a job, with numbers of one length."""
    digits = len(str(parts - 1))
    return [f"{job}/{part:0{digits}d}" for part in range(parts)]


async def create(redis: Redis, job: StitchedJob) -> None:
    """Write a stitched job down; one of this name that is there already stays as it is."""
    with reading("the list of stitched jobs"):
        await redis.hsetnx(Keys(job.id).stitched, job.id, _written(job))


async def mark_deleting(redis: Redis, job: StitchedJob) -> None:
    """Say that a stitched job is being deleted: a worker that looks just then makes no part of it again."""
    await redis.hset(Keys(job.id).stitched, job.id, _written(job._replace(deleting=True)))


async def load_kept(redis: Redis, job: str) -> StitchedJob:
    """Return the stitched job of this name as `load` does, to work on it; raises `BadInput` for one that is being deleted, too."""
    found = await load(redis, job)
    if found.deleting:
        raise BadInput(
            f"job {job!r} is being deleted: `surefoot delete {quote(job)}` goes on with that if it was cut short"
        )
    return found


def _written(job: StitchedJob) -> str:
    written = {
        "schema": job.fixed.schema,
        "task": job.task,
        "spec": from_json(canonical(dict(job.spec))),
        "steps": job.steps,
        "parts": job.parts,
        "fixed": job.fixed.written().decode(),
        "risk_bound": job.fixed.risk_bound,
        "created": job.created,
        "code": job.code,
        **({"deleting": True} if job.deleting else {}),
    }
    return to_json(written).decode()


async def find(redis: Redis, job: str) -> StitchedJob | None:
    """Return the stitched job of this name, None if there is none; `NewerJournal` or `CorruptJournal` if it cannot be read."""
    keys = Keys(job)  # refuses a name that is no text
    with reading("the list of stitched jobs"):
        raw = await redis.hget(keys.stitched, job)
    return None if raw is None else _read(job, raw)


async def load(redis: Redis, job: str) -> StitchedJob:
    """Return the stitched job of this name; raises `NoSuchJob` if there is none, and what `find` raises."""
    found = await find(redis, job)
    if found is not None:
        return found
    await jobs.load(redis, job)  # raises, with the jobs that there are
    raise NoSuchJob(f"job {job!r} has no parts: `surefoot resume {quote(job)}` goes on with it")


async def every(redis: Redis) -> list[StitchedJob | UnreadableJob]:
    """Return all stitched jobs, oldest first, and after them those that cannot be read."""
    readable: list[StitchedJob] = []
    unreadable: list[UnreadableJob] = []
    with reading("the list of stitched jobs"):
        found = await redis.hgetall(Keys("").stitched)
    for name, raw in sorted((shown_id(name), raw) for name, raw in found.items()):
        try:
            readable.append(_read(name, raw))
        except (NewerJournal, CorruptJournal) as error:
            unreadable.append(UnreadableJob(name, str(error)))
    return [*sorted(readable, key=lambda job: job.created), *unreadable]


async def exists(redis: Redis, job: str) -> bool:
    """Whether there is a stitched job of this name, readable or not."""
    keys = Keys(job)
    with reading("the list of stitched jobs"):
        return bool(await redis.hexists(keys.stitched, job))


async def taken(redis: Redis, names: Sequence[str]) -> str | None:
    """Return the first of these names that is that of a stitched job; None if none is."""
    with reading("the list of stitched jobs"):
        found = await redis.hmget(Keys("").stitched, [*names])
    return next((name for name, raw in zip(names, found, strict=True) if raw is not None), None)


async def check_free(redis: Redis, job: str) -> None:
    """Refuse the name of a stitched job for one in one piece."""
    if await exists(redis, job):
        raise BadInput(
            f"job {job!r} is a stitched one: `surefoot worker {quote(job)}` goes on with it; choose another name for a job in one piece"
        )


async def cancel(redis: Redis, job: StitchedJob) -> None:
    """Stop all parts that are not done, even while they run; raises `BadInput` if all are, and if some are not there yet."""
    found = await jobs.listed(redis, job.names)
    if all(isinstance(each, Job) and each.status == "done" for each in found):
        raise BadInput(f"job {job.id!r} is done already, there is nothing to cancel")
    for name in job.names:
        with suppress(BadInput):  # it is done, or not there
            await jobs.cancel(redis, name)
    if absent := found.count(None):
        raise BadInput(
            f"{absent:,} of {job.parts:,} parts of job {job.id!r} are not there, and a worker would make them; the others are cancelled: "
            f"delete the job to be rid of it"
        )


async def suspend(redis: Redis, job: StitchedJob, *, off: bool = False) -> None:
    """Let whoever runs a part stand still before its next step, or go on if `off`; raises `BadInput` if nobody will run one any more."""
    left = 0
    for name in job.names:
        with suppress(BadInput):  # it is done, or not there
            await jobs.suspend(redis, name, off=off)
            left += 1
    if not left:
        raise BadInput(f"job {job.id!r} has no part that somebody could work on")


async def forget(redis: Redis, job: str) -> None:
    """Take the record away; what is left of the parts are jobs by themselves."""
    await redis.hdel(Keys(job).stitched, job)


def _read(name: str, raw: bytes | str) -> StitchedJob:
    with reading(f"the stitched job {name!r}"):
        found = from_json(text(raw))
        if found["schema"] > SCHEMA:
            raise NewerJournal(
                f"the stitched job {name!r} has schema {found['schema']}, this surefoot reads up to {SCHEMA}: "
                "upgrade surefoot to work with it"
            )
        job = StitchedJob(
            id=name,
            task=found["task"],
            spec={key: frozen(value) for key, value in found["spec"].items()},
            steps=found["steps"],
            parts=found["parts"],
            fixed=Fixed.read(found["fixed"])._replace(risk_bound=found["risk_bound"]),
            created=float(found["created"]),
            code=found["code"],
            deleting=found.get("deleting", False) is True,
        )
        sound = {
            "task": isinstance(job.task, str) and isinstance(job.code, str),
            "steps": type(job.steps) is int and job.steps > 0,
            "parts": type(job.parts) is int and 0 < job.parts <= min(job.steps, MOST_PARTS),
            "created": 0 <= job.created < FAR_FUTURE,
            "risk_bound": job.fixed.risk_bound is None or 0 <= job.fixed.risk_bound <= 1,
        }
        if wrong := [field for field, right in sound.items() if not right]:
            raise ValueError(f"{wrong[0]} {found[wrong[0]]!r}")
    return job

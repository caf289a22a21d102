"""Jobs: what a Redis knows of them, read without holding them.

Keys of one job, all in one cluster slot (`{job}` is a hash tag):

    surefoot:{job}:meta       hash    schema, task, spec, settings, models, status, fence, next, head, sealed, counters `n:...`
    surefoot:{job}:lease      string  who runs it; expires by itself
    surefoot:{job}:log:N      list    frames of records of segment N (see `records`)
    surefoot:{job}:segments   hash    segment -> snapshot after its audit
    surefoot:{job}:contested  list    the first contested steps
    surefoot:{job}:kept       hash    step -> raw samples of a contested, flagged or randomly drawn step
    surefoot:jobs             set     every job id
"""

import json
import secrets
import time
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json
from redis.asyncio import Redis

from ..errors import BadInput, SurefootError
from ..voting.samples import Usage
from . import journal_scripts as scripts
from .holder import describe, gone
from .records import SCHEMA, CorruptJournal, Frame, Record, canonical, decode, frozen, genesis

PREFIX = "surefoot"


class NoSuchJob(BadInput):
    """No job of this id is in this Redis."""


class NewerJournal(SurefootError):
    """The journal was written by a newer surefoot than this one."""


class Settings(NamedTuple):
    """What a job runs with, fixed when it is created."""

    k: int
    model: str
    segment: int = 1000
    """Steps per segment."""
    seed: int = 0
    reliability: float | None = None
    """What was asked for; None if k was given instead."""
    error: float | None = None
    """Upper bound of the share of wrong ballots that k was chosen for; None if nothing was calibrated."""
    risk: float | None = None
    """Predicted chance of at least one wrong step in the whole job; None if nothing was calibrated."""
    calibration: tuple[int, int | None, float] | None = None
    """Samples, tokens and seconds that the calibration took before the first step; None if k was given."""
    hard: tuple[int, int, float, bool, tuple[str, ...]] | None = None
    """What the calibration met of hard states: how many of how many judged ones, the upper bound of their share, whether the
    right answers were known, and a few of the states; None if nothing was calibrated."""
    limit: int = 100
    """Samples that one election may use before it stalls."""
    spare: int = 0
    """Samples asked for beyond the fewest that could decide."""
    sampling: tuple[float, float | None, int] | None = None
    """Temperature, temperature of the first ballot, token limit; None for the task's own."""


class Snapshot(NamedTuple):
    """The end of a sealed segment: audited, never touched again."""

    step: int
    """The first step after the segment."""
    head: str
    state: Any
    k: int


class Job(NamedTuple):
    """What the journal says about a job."""

    id: str
    task: str
    spec: Mapping[str, Any]
    settings: Settings
    start: Snapshot
    status: str
    """`running`, `stopped` (may be resumed), `done`, `failed`, `stalled` or `cancelled`."""
    step: int
    head: str
    sealed: int
    created: float
    updated: float
    counters: Mapping[str, int]
    holder: str | None
    models: tuple[str, ...]
    """Who was asked, in order; more than one if the job was resumed with another model."""
    code: str = ""
    """Where the task's class was when the job began, `package.module:Class`.  For a person to read: nothing is imported by it."""
    steps: int | None = None
    """How many steps the task said it would take; None if it did not know, or before this was written down."""

    @property
    def wall_s(self) -> float:
        """Seconds of work over all runners, waits included, each from taking the job to its last commit."""
        return self.counters.get("wall_ms", 0) / 1000

    @property
    def usage(self) -> Usage:
        """Tokens of all samples in the journal."""
        return Usage(*(self.counters.get(name, 0) for name in Usage._fields))

    @property
    def flags(self) -> dict[str, int]:
        """Samples thrown away, by reason."""
        return {name[5:]: count for name, count in self.counters.items() if name.startswith("flag:")}


class Unreadable(NamedTuple):
    """A job that is there but cannot be read."""

    id: str
    why: str


class Keys:
    """The Redis keys of one job."""

    def __init__(self, job: str, prefix: str = PREFIX) -> None:
        self._base = f"{prefix}:{{{job}}}"
        self.jobs = f"{prefix}:jobs"
        self.meta = f"{self._base}:meta"
        self.lease = f"{self._base}:lease"
        self.segments = f"{self._base}:segments"
        self.kept = f"{self._base}:kept"
        self.contested = f"{self._base}:contested"

    def log(self, segment: int) -> str:
        """The list of frames of one segment."""
        return f"{self._base}:log:{segment}"


def text(raw: bytes | str) -> str:
    """Return a reply of Redis as text, however the client was told to decode replies."""
    return raw.decode() if isinstance(raw, bytes) else raw


def plain(value: Any) -> Any:
    """Return a value as it comes back from the journal: equal for equal canonical texts."""
    return frozen(from_json(canonical(dict(value) if isinstance(value, Mapping) else value)))


def new_id(task: str) -> str:
    """Return an id for a job of this task that sorts by time and can be typed."""
    return f"{task}-{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


async def create(
    redis: Redis,
    job: str,
    task: str,
    spec: Mapping[str, Any],
    start: object,
    settings: Settings,
    *,
    code: str = "",
    steps: int | None = None,
) -> None:
    """Write a new job down, at step 0; `BadInput` if the id is taken."""
    keys = Keys(job)
    head = genesis(task, spec, start)
    now = f"{time.time():.6f}"
    fields: dict[str, str | bytes | int] = {
        "schema": SCHEMA,
        "task": task,
        "spec": canonical(dict(spec)),
        "settings": canonical(settings._asdict()),
        "start": canonical(Snapshot(0, head, start, settings.k)),
        "models": canonical([settings.model]),
        "status": "stopped",
        "fence": "",
        "fences": 0,
        "next": 0,
        "head": head,
        "sealed": 0,
        "updated": now,
        "code": code,
        "steps": "" if steps is None else steps,
    }
    # Listed first: an id without a job is passed over, a job without its id would never be found.
    await redis.sadd(keys.jobs, job)
    pairs = [item for pair in fields.items() for item in pair]
    answer = await redis.register_script(scripts.CREATE)(keys=[keys.meta], args=[now, *pairs])
    if answer[0] == b"taken":
        raise BadInput(f"there is a job {job!r} already: resume it, or choose another id")


async def load(redis: Redis, job: str) -> Job:
    """Read a job; `NoSuchJob`, `NewerJournal` or `CorruptJournal` if that cannot be done."""
    keys = Keys(job)
    raw = await redis.hgetall(keys.meta)
    if not raw:
        known = sorted(map(text, await redis.smembers(keys.jobs)))
        raise NoSuchJob(f"there is no job {job!r} here; {_listing(known)}")
    meta = {text(name): text(value) for name, value in raw.items()}
    holder = text(await redis.get(keys.lease) or "")
    try:
        schema = int(meta["schema"])
        if schema > SCHEMA:
            raise NewerJournal(
                f"job {job!r} has journal schema {schema}, this surefoot reads up to {SCHEMA}: "
                "upgrade surefoot to work with it"
            )
        return _job(job, meta, None if not holder or gone(holder) else holder)
    except (KeyError, ValueError, TypeError) as error:
        raise CorruptJournal(f"job {job!r}: its description cannot be read ({error!r})") from None


async def every(redis: Redis) -> list[Job | Unreadable]:
    """Return all jobs, oldest first, and after them those that cannot be read."""
    names = sorted(map(text, await redis.smembers(Keys("").jobs)))
    readable: list[Job] = []
    unreadable: list[Unreadable] = []
    for name in names:
        try:
            readable.append(await load(redis, name))
        except NoSuchJob:
            continue  # its creation was cut short, or its keys were deleted
        except (NewerJournal, CorruptJournal) as error:
            unreadable.append(Unreadable(name, str(error)))
    return [*sorted(readable, key=lambda job: job.created), *unreadable]


async def cancel(redis: Redis, job: str) -> None:
    """Stop a job, whoever runs it: the runner is refused at its next commit.  It can be resumed unless it is done."""
    await load(redis, job)
    answer = await redis.register_script(scripts.CANCEL)(keys=[Keys(job).meta])
    if answer[0] == b"done":
        raise BadInput(f"job {job!r} is done already, there is nothing to cancel")


async def snapshot(redis: Redis, job: Job, segment: int) -> Snapshot:
    """Return the sealed end of `segment`; -1 is the start of the job."""
    if segment < 0:
        return job.start
    raw = await redis.hget(Keys(job.id).segments, str(segment))
    if raw is None:
        raise CorruptJournal(f"job {job.id!r}: the snapshot of segment {segment} is missing")
    return decode_snapshot(raw, f"job {job.id!r}, the snapshot of segment {segment}")


def encode_snapshot(end: Snapshot) -> bytes:
    """Write a snapshot with a checksum: of all that a journal holds, the hash chain covers everything but states."""
    return canonical([*end, _checksum(end)])


def decode_snapshot(raw: bytes | str, where: str) -> Snapshot:
    """Read a snapshot back; `where` names it in the `CorruptJournal` raised when it is damaged."""
    try:
        step, head, state, k, *checksum = from_json(raw)
    except (ValueError, TypeError):
        raise CorruptJournal(f"{where} cannot be read: {raw[:60]!r}") from None
    found = Snapshot(step, head, frozen(state), k)
    if checksum and checksum != [_checksum(found)]:  # before there was a checksum, four values were written
        raise CorruptJournal(f"{where} fails its checksum")
    return found


def _checksum(end: Snapshot) -> int:
    return zlib.crc32(canonical(list(end)))


async def frames(redis: Redis, job: Job, segment: int) -> list[tuple[Frame, list[Record]]]:
    """Read the frames of one segment; damage raises `CorruptJournal` with its place."""
    where = f"job {job.id!r}, segment {segment}"
    found: list[bytes] = await redis.lrange(Keys(job.id).log(segment), 0, -1)  # type: ignore[assignment]
    return [decode(data, where) for data in found]


async def record(redis: Redis, job: Job, step: int) -> Record:
    """Return the record of one decided step; `BadInput` if it is not decided yet."""
    if not 0 <= step < job.step:
        raise BadInput(f"job {job.id!r} has decided steps 0 to {job.step - 1}, not {step!r}")
    for frame, part in await frames(redis, job, step // job.settings.segment):
        if frame.first <= step < frame.first + frame.steps:
            return part[step - frame.first]
    raise CorruptJournal(f"job {job.id!r}: the record of step {step} is missing")


async def contested(redis: Redis, job: Job, count: int) -> list[Record]:
    """Return the records of the first `count` contested steps."""
    listed = await redis.lrange(Keys(job.id).contested, 0, -1)
    steps = sorted({int(step) for step in listed if int(step) < job.step})
    found: list[Record] = []
    for step in steps:
        if len(found) == count:
            break
        entry = await record(redis, job, step)
        if entry.others:  # a repair may have decided it again, unanimously
            found.append(entry)
    return found


async def kept(redis: Redis, job: Job, step: int) -> Any:
    """Return the raw samples of a step, or None if they were not kept."""
    raw = await redis.hget(Keys(job.id).kept, str(step))
    return None if raw is None else json.loads(raw)


def _job(name: str, meta: Mapping[str, str], holder: str | None) -> Job:
    status = meta["status"]
    step, head, state, k = from_json(meta["start"])
    return Job(
        id=name,
        task=meta["task"],
        spec={name: frozen(value) for name, value in from_json(meta["spec"]).items()},
        settings=Settings(**from_json(meta["settings"])),
        start=Snapshot(step, head, frozen(state), k),
        status="stopped" if status == "running" and holder is None else status,
        step=int(meta["next"]),
        head=meta["head"],
        sealed=int(meta["sealed"]),
        created=float(meta["created"]),
        updated=float(meta["updated"]),
        counters={field[2:]: int(value) for field, value in meta.items() if field.startswith("n:")},
        holder=None if holder is None else describe(holder),
        models=tuple(from_json(meta["models"])),
        code=meta.get("code", ""),
        steps=int(meta["steps"]) if meta.get("steps") else None,
    )


def _listing(known: list[str]) -> str:
    if not known:
        return "this Redis holds no jobs yet"
    shown = ", ".join(known[-10:])
    return f"known jobs: {shown}" if len(known) <= 10 else f"the latest of {len(known)} jobs: {shown}"

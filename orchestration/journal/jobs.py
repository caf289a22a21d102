"""Jobs: what a Redis knows of them, read without holding them.

Keys of one job, all in one cluster slot (`{job}` is a hash tag):

    surefoot:{job}:meta       hash    schema, task, spec, settings, models, status, fence, next, head, sealed, counters `n:...`
    surefoot:{job}:lease      string  who runs it; expires by itself
    surefoot:{job}:log:N      list    frames of records of segment N (see `records`)
    surefoot:{job}:segments   hash    segment -> snapshot after its audit
    surefoot:{job}:contested  list    the first contested steps
    surefoot:{job}:kept       hash    step -> raw samples of a contested, flagged or randomly drawn step, compressed
    surefoot:jobs             set     every job id
    surefoot:stitched         hash    name -> what a stitched job is, whose parts are jobs (see `stitched`)
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from shlex import quote
from typing import Any, NamedTuple, get_args

from pydantic import TypeAdapter
from pydantic_core import from_json
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from surefoot.agents.tasks.plain_values import canonical
from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.report import Bound
from surefoot.orchestration.settings import Settings
from surefoot.printable import encodable, printable
from surefoot.voting.risk_budget import RiskBudget
from surefoot.voting.samples import Usage

from . import scripts
from .fixed import Calibrated, Fixed
from .lease_holder import describe, gone
from .records import SCHEMA, CorruptJournal, frozen, genesis, is_head
from .snapshots import Snapshot, decode_snapshot, reading, text, whole_number

PREFIX = "surefoot"
STATUSES = ("running", "stopped", "asking", "done", "failed", "stalled", "cancelled")
PAGE = 200
"""Jobs that are read in one round trip."""
FAR_FUTURE = 1e11
"""Seconds since 1970, in the year 5138: no job is younger."""
SUSPENDED, LIMIT = "suspended", "limit"
"""Fields of a description that a person sets while the job goes on, or stands still: both hold for whoever runs it."""


class NoSuchJob(BadInput):
    """No job of this id is in this Redis."""


class NewerJournal(SurefootError):
    """The journal was written by a newer surefoot than this one."""


class Job(NamedTuple):
    """What the journal says about a job."""

    id: str
    task: str
    spec: Mapping[str, Any]
    settings: Settings
    k: int
    """The lead that decides an election."""
    start: Snapshot
    status: str
    """`running`, `stopped` (may be resumed), `asking` (a person has to decide), `done`, `failed`, `stalled` or `cancelled`."""
    step: int
    head: str
    sealed: int
    created: float
    updated: float
    counters: Mapping[str, int]
    holder: str | None
    models: tuple[str, ...]
    """The models that were asked, in order; more than one if the job was resumed with another model."""
    code: str = ""
    """Where the task's class was when the job began, `package.module:Class`.  For a person to read: nothing is imported by it."""
    paused: str = ""
    """Why the last run stopped in order or failed, if it did."""
    bound: str = ""
    """What of a budget stopped it, in a word; see `Report.bound`."""
    steps: int | None = None
    """How many steps the task said it would take; None if it did not know, or before this was written down."""
    calibrated: Calibrated | None = None
    """What the calibration found; None if k was given."""
    redo: tuple[int, int] | None = None
    """The steps from the first to the second one are decided again, since that one could not be decided; the last such ones."""
    budget: RiskBudget | None = None
    """What decides in place of k, if the risk is spent step by step."""
    risk_bound: float | None = None
    """Bound of the risk that holds however steps differ, from the calibration; None if there is none."""
    reuses: bool = False
    """Whether steps may take the verdict of an earlier one that asked the same."""
    suspended: bool = False
    """Whether a person has suspended it: who runs it stands still before the next step."""

    @property
    def reliability(self) -> float | None:
        """What was asked for; None if k was given."""
        return None if self.calibrated is None else self.settings.reliability

    @property
    def risk(self) -> float | None:
        """Predicted chance of at least one wrong step in the whole job; None if k was given."""
        return None if self.calibrated is None else self.calibrated.risk

    @property
    def wall_s(self) -> float:
        """Seconds of work over all runners, waits included, each from taking the job to its last commit, or to its end in order."""
        return self.counters.get("wall_ms", 0) / 1000

    @property
    def usage(self) -> Usage:
        """Tokens of all samples in the journal."""
        return Usage(*(self.counters.get(name, 0) for name in Usage._fields))

    @property
    def flags(self) -> dict[str, int]:
        """Samples thrown away, by reason."""
        return {name[5:]: count for name, count in self.counters.items() if name.startswith("flag:")}


_SPEC = TypeAdapter(dict[str, Any])
_MODELS = TypeAdapter(tuple[str, ...])
_REDO = TypeAdapter(tuple[int, int])


class UnreadableJob(NamedTuple):
    """A job that is there but cannot be read."""

    id: str
    why: str


class Keys:
    """The Redis keys of one job."""

    def __init__(self, job: str, prefix: str = PREFIX) -> None:
        if not encodable(job):
            raise BadInput(f"the job's name {job!r} cannot be used: it is no text that UTF-8 can write")
        self._base = f"{prefix}:{{{job}}}"
        self.jobs = f"{prefix}:jobs"
        self.stitched = f"{prefix}:stitched"
        self.meta = f"{self._base}:meta"
        self.lease = f"{self._base}:lease"
        self.segments = f"{self._base}:segments"
        self.kept = f"{self._base}:kept"
        self.contested = f"{self._base}:contested"

    def log(self, segment: int) -> str:
        """The list of frames of one segment."""
        return f"{self._base}:log:{segment}"


def shown_id(raw: bytes | str) -> str:
    """Return a job's id as it may be shown; one that is no UTF-8 belongs to nothing that surefoot wrote."""
    return raw.decode(errors="backslashreplace") if isinstance(raw, bytes) else raw


def as_stored(value: Any) -> Any:
    """Return a value as it comes back from the journal: equal for equal canonical texts."""
    return frozen(from_json(canonical(dict(value) if isinstance(value, Mapping) else value)))


def new_id(task: str) -> str:
    """Return an id for a job of this task that sorts by time and can be typed."""
    return f"{task}-{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def check_name(job: str) -> None:
    """Refuse a name for a new job that no later command could be given, or that no person could read in a list."""
    why = (
        "is empty"
        if not job or job.isspace()
        else "begins with a dash, as an option does"
        if job.startswith("-")
        else "holds a character that cannot be shown"
        if printable(job) != job
        else ""
    )
    if why:
        raise BadInput(
            f"the name {job!r} for a job {why}: choose another one, or leave it out to have one made up"
        )


class NewJob(NamedTuple):
    """A job that is to be written down, at step 0."""

    id: str
    task: str
    spec: Mapping[str, Any]
    start: object
    """The state that it begins at, as a plain value."""
    fixed: Fixed
    code: str = ""
    steps: int | None = None

    def written(self) -> list[str | bytes | int]:
        """Return what `scripts.CREATE` takes: the moment, then fields and values."""
        fixed = self.fixed
        head = genesis(self.task, self.spec, self.start)
        now = f"{time.time():.6f}"
        fields: dict[str, str | bytes | int] = {
            "schema": fixed.schema,
            "task": self.task,
            "spec": canonical(dict(self.spec)),
            "settings": fixed.written(),
            "start": canonical(Snapshot(0, head, self.start, fixed.k)),
            "models": canonical([fixed.model]),
            "status": "stopped",
            "fence": "",
            "fences": 0,
            "next": 0,
            "head": head,
            "sealed": 0,
            "updated": now,
            "code": self.code,
            "steps": "" if self.steps is None else self.steps,
        }
        if fixed.risk_bound is not None:
            fields["risk_bound"] = repr(fixed.risk_bound)
        return [now, *(item for pair in fields.items() for item in pair)]


async def create(
    redis: Redis,
    job: str,
    task: str,
    spec: Mapping[str, Any],
    start: object,
    fixed: Fixed,
    *,
    code: str = "",
    steps: int | None = None,
) -> None:
    """Write a new job down, at step 0; `BadInput` if the id is taken."""
    await _create(redis, NewJob(job, task, spec, start, fixed, code, steps))


async def _create(redis: Redis, new: NewJob) -> None:
    job, keys, written = new.id, Keys(new.id), new.written()
    with reading(f"the list of jobs, {keys.jobs!r},"):
        # Listed first: an id without a job is passed over, a job without its id would never be found.
        await redis.sadd(keys.jobs, job)
    with reading(f"job {job!r}: its description"):
        answer = await scripts.CREATE.run(redis.execute_command, [keys.meta], written)
    if answer[0] == b"taken":
        raise BadInput(f"there is a job {job!r} already: resume it, or choose another id")
    # Once more: a listing in between took the id, which had no job yet, for one left behind.
    await redis.sadd(keys.jobs, job)


async def create_all(redis: Redis, new: Sequence[NewJob]) -> None:
    """Write down many new jobs, a page in one round trip; those whose ids are taken stay as they are."""
    for place in range(0, len(new), PAGE):
        page = new[place : place + PAGE]
        for each, answer in zip(page, await _created(redis, page), strict=True):
            # One by one where the server was gone, or lacks the script: a pipeline has no patience.
            if answer not in ([b"ok"], [b"taken"]):
                with suppress(BadInput):
                    await _create(redis, each)


async def _created(redis: Redis, page: Sequence[NewJob]) -> list[Any]:
    """Return what `scripts.CREATE` answers for each; an error where it could not."""
    listing, ids = Keys("").jobs, [each.id for each in page]
    async with redis.pipeline(transaction=False) as pipe:
        pipe.sadd(listing, *ids)  # before and after, as `create` does
        for each in page:
            pipe.evalsha(scripts.CREATE.sha, 1, Keys(each.id).meta, *each.written())
        pipe.sadd(listing, *ids)
        try:
            before, *answers, after = await pipe.execute(raise_on_error=False)
        except (ConnectionError, TimeoutError) as error:
            return [error] * len(page)
    # A job that is in no list would never be found.
    failed = next((each for each in (before, after) if isinstance(each, Exception)), None)
    return answers if failed is None else [failed] * len(page)


async def exists(redis: Redis, job: str) -> bool:
    """Whether there is a job of this id, readable or not."""
    return bool(await redis.exists(Keys(job).meta))


async def load(redis: Redis, job: str) -> Job:
    """Read a job; `NoSuchJob`, `NewerJournal` or `CorruptJournal` if that cannot be done."""
    keys = Keys(job)
    with reading(f"job {job!r}: its description"):
        meta = await redis.hgetall(keys.meta)
    if not meta:
        if await redis.hexists(keys.stitched, job):
            raise NoSuchJob(
                f"job {job!r} is a stitched one: `surefoot show {quote(job)}` says how its parts stand, `surefoot worker {quote(job)}` goes on"
            )
        with reading(f"the list of jobs, {keys.jobs!r},"):
            known = sorted(map(shown_id, await redis.smembers(keys.jobs)))
        raise NoSuchJob(f"there is no job {job!r} here; {_listing(known)}")
    with reading(f"job {job!r}: its lease"):
        lease = await redis.get(keys.lease)
    return _job(job, meta, lease)


async def every(redis: Redis) -> list[Job | UnreadableJob]:
    """Return all jobs, oldest first, and after them those that cannot be read.

    Ids whose keys were deleted are taken out of the list of jobs on the way.
    """
    with reading(f"the list of jobs, {Keys('').jobs!r},"):
        ids = sorted(await redis.smembers(Keys("").jobs))
    found = await listed(redis, ids)
    await _forget(redis, [raw for raw, job in zip(ids, found, strict=True) if job is None])
    readable = sorted((job for job in found if isinstance(job, Job)), key=lambda job: job.created)
    return [*readable, *(job for job in found if isinstance(job, UnreadableJob))]


async def listed(redis: Redis, ids: Sequence[bytes | str]) -> list[Job | UnreadableJob | None]:
    """Return the jobs of these ids, in their order; None where there is none."""
    found: list[Job | UnreadableJob | None] = []
    for place in range(0, len(ids), PAGE):
        page = ids[place : place + PAGE]
        for raw, (meta, lease) in zip(page, await _descriptions(redis, page), strict=True):
            try:
                found.append(_described(raw, meta, lease) if meta else None)
            except (NewerJournal, CorruptJournal) as error:
                found.append(UnreadableJob(shown_id(raw), str(error)))
    return found


async def _descriptions(redis: Redis, ids: Sequence[bytes | str]) -> list[tuple[Any, Any]]:
    """Read description and lease of many jobs; what Redis refuses to read comes as the error."""

    async def read() -> list[Any]:
        async with redis.pipeline(transaction=False) as pipe:
            for raw in ids:
                keys = Keys(shown_id(raw))
                pipe.hgetall(keys.meta)
                pipe.get(keys.lease)
            return await pipe.execute(raise_on_error=False)

    try:
        found = await read()
    except (ConnectionError, TimeoutError):
        await redis.ping()  # a pipeline has no patience, a command has
        found = await read()
    return list(zip(found[::2], found[1::2], strict=True))


def _described(raw: bytes | str, meta: Any, lease: Any) -> Job:
    name = shown_id(raw)
    for what, found in (("description", meta), ("lease", lease)):
        with reading(f"job {name!r}: its {what}"):
            if isinstance(found, Exception):
                raise found
    return _job(name, meta, lease)


async def _forget(redis: Redis, ids: list[bytes | str]) -> None:
    """Take ids out of the list of jobs; a client that may only read can list jobs all the same."""
    with suppress(ResponseError):
        if ids:
            await redis.srem(Keys("").jobs, *ids)


async def cancel(redis: Redis, job: str) -> None:
    """Stop a job even while it runs: the runner is refused at its next commit.  Only `resume` with `again` takes it up."""
    await load(redis, job)
    answer = await scripts.CANCEL.run(redis.execute_command, [Keys(job).meta])
    if answer[0] == b"done":
        raise BadInput(f"job {job!r} is done already, there is nothing to cancel")


async def suspend(redis: Redis, job: str, *, off: bool = False) -> None:
    """Let whoever runs a job stand still before its next step, or go on if `off`.  It keeps the job meanwhile."""
    await load(redis, job)
    await _mark(redis, job, SUSPENDED, "" if off else "1")


async def set_limit(redis: Redis, job: str, limit: int) -> None:
    """Let steps of a job take so many samples, from when it is taken up next; raises `BadInput` for a limit that cannot be."""
    found = await load(redis, job)
    replace(found.settings, limit=limit)  # refuses what cannot be
    check_limit(found.budget, limit)
    await _mark(redis, job, LIMIT, str(limit))


async def _mark(redis: Redis, job: str, field: str, value: str) -> None:
    answer = await scripts.MARK.run(redis.execute_command, [Keys(job).meta], [field, value])
    if answer[0] == b"done":
        raise BadInput(f"job {job!r} is done already, nobody works on it any more")
    if answer[0] == b"missing":
        raise NoSuchJob(f"there is no job {job!r} any more")


def standing_still(job: str) -> str:
    """Say that a job is suspended."""
    return f"job {job!r} is suspended; `surefoot suspend {quote(job)} --off` lets it go on"


def check_limit(budget: RiskBudget | None, limit: int) -> None:
    """Raise `BadInput` for fewer samples than a risk budget takes where all agree."""
    if budget is not None and limit < budget.most:
        raise BadInput(
            f"this budget takes up to {budget.most} votes where all agree: limit must be at least that, not {limit!r}"
        )


def _job(name: str, raw: Mapping[Any, Any], lease: bytes | str | None) -> Job:
    """Make a job of what its keys hold; `NewerJournal` or `CorruptJournal`."""
    with reading(f"job {name!r}: its description"):
        meta = {text(field): text(value) for field, value in raw.items()}
        schema = whole_number(meta["schema"])
        if schema > SCHEMA:
            raise NewerJournal(
                f"job {name!r} has journal schema {schema}, this surefoot reads up to {SCHEMA}: "
                "upgrade surefoot to work with it"
            )
        job = _filled(name, meta)
    with reading(f"job {name!r}: its lease"):
        holder = None if not lease or gone(text(lease)) else describe(text(lease))
    status = "stopped" if job.status == "running" and holder is None else job.status
    return job._replace(status=status, holder=holder)


def _filled(name: str, meta: Mapping[str, str]) -> Job:
    fixed = Fixed.read(meta["settings"])
    job = Job(
        id=name,
        task=meta["task"],
        spec={name: frozen(value) for name, value in _SPEC.validate_json(meta["spec"], strict=True).items()},
        settings=replace(fixed.settings, limit=whole_number(meta[LIMIT]))
        if meta.get(LIMIT)
        else fixed.settings,
        k=fixed.k,
        start=decode_snapshot(meta["start"], f"job {name!r}, its start"),
        status=meta["status"],
        step=whole_number(meta["next"]),
        head=meta["head"],
        sealed=whole_number(meta["sealed"]),
        created=float(meta["created"]),
        updated=float(meta["updated"]),
        counters={field[2:]: whole_number(value) for field, value in meta.items() if field.startswith("n:")},
        holder=None,
        models=_MODELS.validate_json(meta["models"], strict=True),
        code=meta.get("code", ""),
        paused=meta.get("paused", ""),
        bound=meta.get("bound", ""),
        steps=whole_number(meta["steps"]) if meta.get("steps") else None,
        calibrated=fixed.calibrated,
        redo=_REDO.validate_json(meta["redo"], strict=True) if "redo" in meta else None,
        budget=fixed.budget,
        risk_bound=float(meta["risk_bound"]) if meta.get("risk_bound") else None,
        reuses=fixed.reuses,
        suspended=bool(meta.get(SUSPENDED)),
    )
    if job.start.head != genesis(job.task, job.spec, job.start.state):
        raise ValueError("task, arguments and start state are not those that the hash chain begins with")
    sound = {
        "status": job.status in STATUSES,
        "head": is_head(job.head),
        "sealed": job.sealed <= -(-job.step // job.settings.segment),
        "created": 0 <= job.created < FAR_FUTURE,
        "updated": 0 <= job.updated < FAR_FUTURE,
        "models": bool(job.models),
        "bound": job.bound in ("", *get_args(Bound)),
        "risk_bound": job.risk_bound is None or 0 <= job.risk_bound <= 1,
    }
    if wrong := [field for field, right in sound.items() if not right]:
        raise ValueError(f"{wrong[0]} {meta[wrong[0]]!r}")
    return job


def _listing(known: list[str]) -> str:
    if not known:
        return "this Redis holds no jobs yet"
    shown = ", ".join(known[-10:])
    if len(known) <= 10:
        return f"known jobs: {shown}"
    return f"ten of the {len(known)} jobs that `surefoot jobs` lists: {shown}"

"""What is said of a stitched job: its parts, whether their ends meet, and their figures in sum."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from shlex import quote
from typing import Any, Literal

from pydantic import BaseModel
from redis.asyncio import Redis

from surefoot.agents.tasks.guarded import guarded
from surefoot.agents.tasks.task import Task
from surefoot.orchestration.journal.jobs import Job, UnreadableJob, listed
from surefoot.orchestration.journal.records import HEAD_BYTES
from surefoot.orchestration.journal.segments import snapshot
from surefoot.orchestration.journal.snapshots import Snapshot
from surefoot.orchestration.journal.stitched import StitchedJob, load
from surefoot.orchestration.report import Contest, Report
from surefoot.orchestration.reporting import CONTESTED_SHOWN, contests, told
from surefoot.orchestration.task_of_job import Given, task_known

BY = "by:"
"""What begins a counter of the steps that a worker has made durable."""
WORST = ("running", "failed", "stalled", "asking", "cancelled")
"""What the whole is as soon as one of its parts is; the first that applies."""
WORDS = {"stalled": "stalled", "failed": "failed", "cancelled": "was cancelled", "asking": "asks a person"}


class PartStands(BaseModel):
    """Where one part stands."""

    job: str
    first: int
    """Its first step, counted over the whole."""
    steps: int
    steps_expected: int
    status: str
    """That of its job, `missing` or `unreadable`."""
    head: str
    fault: str = ""
    """What is wrong, in a sentence."""


class StitchedReport(Report):
    """A job whose parts started from known states, at its end or wherever it stands.

    Votes, samples, red flags, tokens and times of work are those of the parts in sum, the risk is that of the whole, and its steps are counted over the
    whole.  It is solved if all parts are done, each ended at the very state that the next one started from, and the last one passed the task's own check.
    `head` is the BLAKE2b-128 of the parts' heads in order, "" as long as not all are done.
    """

    kind: Literal["stitched"] = "stitched"
    parts: list[PartStands]
    faults: list[str]
    """Parts that stalled, failed or were cancelled, and ends that do not meet: a sentence each."""
    elapsed_s: float
    """Seconds from the beginning of the job to the last commit of a part, as the workers' clocks say."""
    workers: dict[str, int]
    """Steps that each process, `host:number`, made durable; those of segments decided again count twice."""


async def read_stitched(redis: Redis, job: str, task: Given = None) -> StitchedReport:
    """Read the report of a stitched job from the journals of its parts; its `task` is needed as for `surefoot.report`.

    Of each part that is done the sealed end is compared with the start of the next.  Raises `NoSuchJob`, `CorruptJournal` or `NewerJournal` for the
    record of the whole; a part that cannot be read is a fault.
    """
    known = await load(redis, job)
    names = known.names  # once: there may be thousands
    found = await listed(redis, names)
    stands = [
        _stands(known, name, part, each) for part, (name, each) in enumerate(zip(names, found, strict=True))
    ]
    _look_at_seams(stands, found, [await _end(redis, each) for each in found])
    whole = summed(known, found)
    faults = [each.fault for each in stands if each.fault]
    if faults and whole.status == "done":
        whole = whole._replace(status="failed")
    return StitchedReport(
        **told(whole, known.steps),
        steps_read_back=0,
        contested_steps=await _contests(redis, known, found, task_known(known.whole, task)),
        parts=stands,
        faults=faults,
        elapsed_s=round(whole.updated - known.created, 3),
        workers={
            name.removeprefix(BY): steps for name, steps in whole.counters.items() if name.startswith(BY)
        },
    )


def summed(known: StitchedJob, found: Sequence[Job | UnreadableJob | None]) -> Job:
    """Return what a job in one piece would be with the counters of the parts in sum; `done` if all are, whether or not their ends meet."""
    parts = [each for each in found if isinstance(each, Job)]
    counters = sum((Counter(each.counters) for each in parts), Counter[str]())
    holders = {each.holder for each in parts if each.holder is not None}
    statuses = [_status_of(each) for each in found]
    done = set(statuses) == {"done"}
    status = "done" if done else next((status for status in WORST if status in statuses), "stopped")
    bounded = (each for each in parts if each.bound and each.status == status == "stopped")
    stopped = next(bounded, None)
    return known.whole._replace(
        status=status,
        step=sum(each.step for each in parts),
        head=_hash([each.head for each in parts]) if done else "",
        updated=max([known.created, *(each.updated for each in parts)]),
        counters=counters,
        holder=", ".join(sorted(holders)) or None,
        paused="" if stopped is None else f"part {stopped.id} {stopped.paused}",
        bound="" if stopped is None else stopped.bound,
        models=tuple(dict.fromkeys((known.fixed.model, *(name for each in parts for name in each.models)))),
        suspended=any(each.suspended and each.status != "done" for each in parts),
    )


def _stands(known: StitchedJob, name: str, part: int, job: Job | UnreadableJob | None) -> PartStands:
    first = known.first(part)
    stands = PartStands(
        job=name,
        first=first,
        steps=0,
        steps_expected=known.first(part + 1) - first,
        status=_status_of(job),
        head="",
    )
    if isinstance(job, UnreadableJob):
        return stands.model_copy(update={"fault": job.why})
    if job is None:
        return stands
    fault = ""
    if stands.status in WORDS:
        why = f": {job.paused}" if stands.status == "failed" and job.paused else ""
        more = (
            f"`surefoot decide {quote(name)}` shows the question"
            if stands.status == "asking"
            else f"`surefoot show {quote(name)}` says more"
        )
        fault = f"part {name} {WORDS[stands.status]} after {job.step:,} steps{why}; {more}"
    return stands.model_copy(update={"steps": job.step, "head": job.head, "fault": fault})


async def _end(redis: Redis, job: Job | UnreadableJob | None) -> Snapshot | None:
    """Return the sealed end of a part that is done, perhaps in fewer steps than it may take, or that has taken all."""
    if not isinstance(job, Job) or not job.sealed or (job.status != "done" and job.step != job.steps):
        return None
    return await snapshot(redis, job, job.sealed - 1)


def _look_at_seams(
    stands: list[PartStands], jobs: Sequence[Job | UnreadableJob | None], ends: Sequence[Snapshot | None]
) -> None:
    """Write down where a part did not end at the state that the next one started from, or is not sealed where it says that it ended."""
    for part, (each, job, end) in enumerate(zip(stands, jobs, ends, strict=True)):
        if not isinstance(job, Job) or (end is None and job.status != "done"):
            continue
        if end is None or (end.step, end.head) != (job.step, job.head):
            each.fault = f"part {each.job} is done, and its last segment is not sealed there"
            continue
        after = jobs[part + 1] if part + 1 < len(jobs) else None
        if isinstance(after, Job) and end.state != after.start.state:
            each.fault = f"part {each.job} ended at another state than {after.id} started from: one of the two is not what the task says it is"


def _status_of(job: Job | UnreadableJob | None) -> str:
    if isinstance(job, UnreadableJob):
        return "unreadable"
    return "missing" if job is None else "running" if job.holder and job.status != "done" else job.status


def _hash(heads: Sequence[str]) -> str:
    return blake2b(bytes.fromhex("".join(heads)), digest_size=HEAD_BYTES).hexdigest()


async def _contests(
    redis: Redis,
    known: StitchedJob,
    parts: Sequence[Job | UnreadableJob | None],
    task: Task[Any, Any] | None,
) -> list[Contest]:
    words = None if task is None else guarded(task)
    found: list[Contest] = []
    for part, job in enumerate(parts):
        more = CONTESTED_SHOWN - len(found)
        if more and isinstance(job, Job) and job.counters.get("contested"):
            found += await contests(redis, job, words, more, known.first(part))
    return found

"""Deleting jobs: everything that a job has in Redis, its checkpoints and its entry in the list of jobs included."""

import time
from contextlib import suppress

from redis.asyncio import Redis

from surefoot.errors import BadInput

from .checkpoints.layout import Layout
from .journal import scripts, stitched
from .journal.jobs import Job, Keys, NewerJournal, every, exists, listed, load
from .journal.lease_holder import describe, gone
from .journal.records import CorruptJournal
from .journal.snapshots import reading, text

OVER = ("done", "cancelled")
"""Statuses of jobs that have come to an end."""
BATCH = 1000
"""Keys that one command deletes."""


async def delete(redis: Redis, job: str) -> None:
    """Delete a job with any status, readable or not, a stitched one with its parts; safe to repeat after an interruption.

    The parts of a stitched one whose record cannot be read are left as jobs by themselves.

    Raises `BadInput` while it is running, and `NoSuchJob` if there is none.
    """
    if await stitched.exists(redis, job):
        await _delete_stitched(redis, job)
        return
    keys = Keys(job)
    if not await exists(redis, job):
        await redis.srem(keys.jobs, job)
        await load(redis, job)  # raises, with the jobs that there are
    logs = await _logs(redis, job)
    await _close(redis, job)
    # The description goes last, the id after it: a deletion that is cut short leaves a job that can be deleted again.
    checkpoints = Layout("surefoot").thread(job)
    rest = [*logs, *checkpoints, keys.segments, keys.kept, keys.contested, keys.lease, keys.meta]
    for place in range(0, len(rest), BATCH):
        await redis.unlink(*rest[place : place + BATCH])
    await redis.srem(keys.jobs, job)


async def old(redis: Redis, older_than_s: float, *, unfinished: bool = False) -> list[Job]:
    """Return the jobs that are not running and were not written to for so many seconds; parts of stitched ones are left to `old_stitched`.

    Only those that are done or cancelled, unless the `unfinished` ones are wanted too.
    """
    parts = {name for each in await _stitched(redis) for name in each.names}
    _, found = await _old(redis, older_than_s, unfinished)
    return [job for job in found if job.id not in parts]


async def old_stitched(
    redis: Redis, older_than_s: float, *, unfinished: bool = False
) -> list[stitched.StitchedJob]:
    """Return the stitched jobs of which all parts are old in the same sense.

    One that lacks a part, which was deleted by itself or never made, is unfinished; one whose deletion was cut short is not.
    """
    there, jobs = await _old(redis, older_than_s, unfinished)
    old, before = {job.id for job in jobs}, time.time() - older_than_s
    return [
        each
        for each in await _stitched(redis)
        if old.issuperset(names := there.intersection(each.names))
        and (len(names) == each.parts or ((unfinished or each.deleting) and each.created <= before))
    ]


async def _stitched(redis: Redis) -> list[stitched.StitchedJob]:
    return [each for each in await stitched.every(redis) if isinstance(each, stitched.StitchedJob)]


async def _old(redis: Redis, older_than_s: float, unfinished: bool) -> tuple[set[str], list[Job]]:
    """Return the ids of all jobs, and the old ones."""
    if not 0 <= older_than_s < float("inf"):
        raise BadInput(f"an age is a number of seconds, 0 or more, not {older_than_s!r}")
    before = time.time() - older_than_s
    found = await every(redis)
    idle = [job for job in found if isinstance(job, Job) and job.holder is None and job.updated <= before]
    return {job.id for job in found}, [job for job in idle if unfinished or job.status in OVER]


async def _delete_stitched(redis: Redis, job: str) -> None:
    """Mark the record, delete the parts, and the record last: a deletion that is cut short can be repeated."""
    with suppress(NewerJournal, CorruptJournal):
        known = await stitched.load(redis, job)
        for part in await listed(redis, known.names):
            if isinstance(part, Job) and part.holder is not None:
                raise BadInput(
                    f"part {part.id!r} is being run by {part.holder}: cancel the job, or stop its workers, before you delete it"
                )
        await stitched.mark_deleting(redis, known)
        # Read once more: until it was marked a worker could make one that was not there.
        for name, found in zip(known.names, await listed(redis, known.names), strict=True):
            if found is not None:
                await delete(redis, name)
    await stitched.forget(redis, job)


async def _close(redis: Redis, job: str) -> None:
    """Keep runners from starting it, or refuse if one runs it."""
    keys = Keys(job)
    raw: bytes | str = b""
    who = ""
    # What no runner has written does not stand in the way.
    with suppress(CorruptJournal, ValueError), reading("its lease"):
        raw = await redis.get(keys.lease) or b""
        who = describe(text(raw)) if raw and not gone(text(raw)) else ""
    if who:
        raise BadInput(
            f"job {job!r} is being run by {who}: cancel it, or stop that runner, before you delete it"
        )
    answer = await scripts.CLOSE.run(redis.execute_command, [keys.meta, keys.lease], [raw])
    if answer[0] == b"held":
        raise BadInput(
            f"job {job!r} has just been taken up: cancel it, or stop that runner, before you delete it"
        )


async def _logs(redis: Redis, job: str) -> list[str]:
    """Name the logs of all segments; of a job that cannot be read they are looked for, which walks the whole key space."""
    keys = Keys(job)
    try:
        found = await load(redis, job)
    except (NewerJournal, CorruptJournal):
        start = keys.log(0)[:-1]
        pattern = "".join(
            f"[{letter}]" if letter in "*?[" else letter for letter in start.replace("\\", "\\\\")
        )
        return [text(key) async for key in redis.scan_iter(match=pattern + "*", count=1000)]
    # One more than there should be: a runner that was fenced off in the middle of a rewind may have left it.
    return [keys.log(segment) for segment in range(-(-found.step // found.settings.segment) + 1)]

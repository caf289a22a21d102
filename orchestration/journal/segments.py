"""The segments of a job, read without holding it: snapshots, frames, single records, and the samples that were kept."""

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter
from redis.asyncio import Redis

from surefoot.errors import BadInput
from surefoot.orchestration.record import Record

from .jobs import Job, Keys
from .records import CorruptJournal, Frame, decode, unpacked, verified
from .snapshots import Snapshot, decode_snapshot, reading, text, whole_number


class KeptSample(BaseModel, extra="allow"):
    """A raw sample of a step, and what became of it: its `ballot`, or the `flag` and its `detail`."""

    number: int
    text: str
    finish: str | None


_KEPT = TypeAdapter(list[KeptSample])


async def snapshot(redis: Redis, job: Job, segment: int) -> Snapshot:
    """Return the sealed end of `segment`; -1 is the start of the job."""
    if segment < 0:
        return job.start
    where = f"job {job.id!r}, the snapshot of segment {segment}"
    with reading(where):
        raw = await redis.hget(Keys(job.id).segments, str(segment))
    if raw is None:
        raise CorruptJournal(f"job {job.id!r}: the snapshot of segment {segment} is missing")
    return decode_snapshot(raw, where)


async def frames(redis: Redis, job: Job, segment: int) -> Iterator[tuple[Frame, list[Record]]]:
    """Read the frames of one segment; damage raises `CorruptJournal` with its place, when its frame's turn comes (see `verified`)."""
    where = f"job {job.id!r}, segment {segment}"
    with reading(where):
        found: list[bytes] = await redis.lrange(Keys(job.id).log(segment), 0, -1)  # type: ignore[assignment]
    return (decode(data, where) for data in found)


async def segment_records(redis: Redis, job: Job, segment: int) -> list[Record]:
    """Return the records of one segment after checking that they continue the chain from its beginning."""
    found = [*await frames(redis, job, segment)]
    where = f"job {job.id!r}, segment {segment}"
    step, head = segment * job.settings.segment, found[0][0].before if found else ""
    if segment <= job.sealed:
        step, head, *_ = await snapshot(redis, job, segment - 1)
    return [record for _, part in verified(found, head, step, where) for record in part]


async def record(redis: Redis, job: Job, step: int) -> Record:
    """Return the record of one decided step; `BadInput` if it is not decided yet."""
    if not 0 <= step < job.step:
        raise BadInput(f"job {job.id!r} has decided steps 0 to {job.step - 1}, not {step!r}")
    return _of(job, await segment_records(redis, job, step // job.settings.segment), step)


async def contested(redis: Redis, job: Job, count: int) -> list[Record]:
    """Return the records of the first `count` contested steps; each segment is read once."""
    # A repair may have decided a listed step again, unanimously.
    return await _listed(redis, job, count, lambda entry: bool(entry.others))


async def climbed(redis: Redis, job: Job, count: int) -> list[Record]:
    """Return the records of the first `count` steps that have climbed, as far as they are among the steps listed."""
    return await _listed(redis, job, count, lambda entry: bool(entry.rungs))


async def _listed(redis: Redis, job: Job, count: int, wanted: Callable[[Record], bool]) -> list[Record]:
    with reading(f"job {job.id!r}: its list of contested steps"):
        listed = await redis.lrange(Keys(job.id).contested, 0, -1)
        steps = sorted({whole_number(text(step)) for step in listed})
    found: list[Record] = []
    segment, records = -1, []
    for step in steps:
        if len(found) == count or step >= job.step:
            break
        if step // job.settings.segment != segment:
            segment = step // job.settings.segment
            records = await segment_records(redis, job, segment)
        entry = _of(job, records, step)
        if wanted(entry):
            found.append(entry)
    return found


def _of(job: Job, records: list[Record], step: int) -> Record:
    place = step % job.settings.segment
    if place >= len(records):
        raise CorruptJournal(f"job {job.id!r}: the record of step {step} is missing")
    return records[place]


async def kept(redis: Redis, job: Job, step: int) -> list[dict[str, Any]] | None:
    """Return the raw samples of a step, or None if they were not kept."""
    where = f"job {job.id!r}, the samples of step {step}"
    with reading(where):
        raw: bytes | None = await redis.hget(Keys(job.id).kept, str(step))  # type: ignore[assignment]
        if raw is None:
            return None
        found = _KEPT.validate_json(
            raw if raw[:1] == b"[" else unpacked(raw)
        )  # once they were not compressed
        return [sample.model_dump() for sample in found]

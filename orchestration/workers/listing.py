"""All jobs as a person lists them: each stitched one in the place of its parts."""

from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from surefoot.orchestration.journal import stitched
from surefoot.orchestration.journal.jobs import Job, UnreadableJob, every
from surefoot.orchestration.journal.stitched import StitchedJob

from .stitched import summed


class Stitched(NamedTuple):
    """A stitched job in the place of its parts."""

    whole: Job
    """Their figures in sum."""
    parts: int


ListedJob = Job | UnreadableJob | Stitched


async def listing(redis: Redis) -> list[ListedJob]:
    """Return all jobs, in no order."""
    return in_place_of_parts(await stitched.every(redis), await every(redis))


def in_place_of_parts(
    known: Sequence[StitchedJob | UnreadableJob], jobs: Sequence[Job | UnreadableJob]
) -> list[ListedJob]:
    """Return jobs with each stitched one in the place of its parts."""
    found = {job.id: job for job in jobs}
    whole: list[ListedJob] = []
    for each in known:
        if isinstance(each, UnreadableJob):
            whole.append(each)
        else:
            whole.append(Stitched(summed(each, [found.pop(name, None) for name in each.names]), each.parts))
    return [*found.values(), *whole]

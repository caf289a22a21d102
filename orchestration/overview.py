"""Look at jobs from Python, without running them and without the code of their tasks."""

from redis.asyncio import Redis

from surefoot.typed_input import checked

from . import reporting
from .journal import jobs as journal
from .redis.open import open_redis
from .report import Report
from .task_of_job import Given, task_known


@checked
async def report(
    job: str,
    *,
    task: Given = None,
    redis: str | Redis | None = None,
) -> Report:
    """Return the report of a job, running or not, wherever it stands.

    Answers are shown in the words of its task, where that is given, part of surefoot or installed, else as the journal has them.
    `redis` as for `run`.  Raises `NoSuchJob`, `CorruptJournal`, `NewerJournal` or `RedisUnavailable`.
    """
    async with open_redis(redis) as store:
        return await reporting.read_report(store, job, task_known(await journal.load(store, job), task))


@checked
async def jobs(*, redis: str | Redis | None = None) -> list[journal.Job | journal.UnreadableJob]:
    """Return all jobs, oldest first, and after them those that cannot be read; `redis` as for `run`."""
    async with open_redis(redis) as store:
        return await journal.every(store)

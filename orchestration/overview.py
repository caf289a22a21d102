"""Look at jobs from Python, without running them."""

from typing import Any

from redis.asyncio import Redis

from surefoot.agents.tasks.guarded import guarded
from surefoot.typed_input import checked

from . import reporting
from .journal import jobs as journal
from .redis.open import open_redis
from .report import Report
from .task_of_job import Given, task_again, task_known


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
async def state(job: str, *, task: Given = None, redis: str | Redis | None = None) -> Any:
    """Return the state that a job has reached, as its task has it: the result, once the job is done.

    `task` is needed where it is neither part of surefoot nor installed; `redis` as for `run`.  Raises `BadInput`, `NoSuchJob`,
    `CorruptJournal`, `NewerJournal` or `RedisUnavailable`, and `TaskFailed` if the task cannot read its own answers.
    """
    async with open_redis(redis) as store:
        known = await journal.load(store, job)
        return await reporting.state_reached(store, known, guarded(task_again(known, task)))


@checked
async def jobs(*, redis: str | Redis | None = None) -> list[journal.Job | journal.UnreadableJob]:
    """Return all jobs, oldest first, and after them those that cannot be read; `redis` as for `run`."""
    async with open_redis(redis) as store:
        return await journal.every(store)

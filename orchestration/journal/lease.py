"""The lease of a job: who may run it, and what another runner is told."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from shlex import quote
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from surefoot.errors import BadInput, SurefootError

from . import scripts
from .jobs import Keys, load
from .lease_holder import describe, gone, left, me
from .records import CorruptJournal
from .snapshots import reading, text

LEASE_S = 10.0
GIVE_BACK_S = 2.0
"""Longest wait of a runner that was interrupted for Redis to take its last steps and its lease, which runs out by itself."""


class JobHeld(SurefootError):
    """Another runner holds the job."""


class JobDone(SurefootError):
    """The job is done, there is nothing to run."""


class WriteRefused(SurefootError):
    """A write was refused; the next runner decides again what was not durable yet."""


class Cancelled(WriteRefused):
    """The job was cancelled, while it ran or before."""


async def take(redis: Redis, job: str, holder: str, lease_s: float, *, again: bool = False) -> str:
    """Take or retake the lease and return the fencing token that comes with it; a cancelled job only if `again`.

    Raises `JobHeld`, `JobDone`, `Cancelled` and `NoSuchJob`.
    """
    answer = await scripts.ACQUIRE.run(
        redis.execute_command,
        [Keys(job).meta, Keys(job).lease],
        [
            holder,
            int(lease_s * 1000),
            await _dead(redis, job),
            secrets.token_hex(4),
            "again" if again else "",
        ],
    )
    if answer[0] == b"missing":
        await load(redis, job)
    _check(job, answer)
    return text(answer[1])


async def release(redis: Redis, job: str, holder: str) -> None:
    """Give the lease back if it is this holder's."""
    await scripts.RELEASE.run(redis.execute_command, [Keys(job).lease], [holder])


async def give_back(redis: Redis, job: str, holder: str) -> None:
    """Release in passing, on the way out with something more important to say."""
    with suppress(RedisError, asyncio.TimeoutError):
        async with asyncio.timeout(GIVE_BACK_S):
            await release(redis, job, holder)


@asynccontextmanager
async def claimed(redis: Redis, job: str, lease_s: float = LEASE_S) -> AsyncIterator[str | None]:
    """Hold the name of a job that is not there yet, while its calibration is paid for; yields the holder to create it with.

    Yields None if the job is there.  Raises `JobHeld` if another runner runs it or is about to begin it, `Cancelled` if it was
    cancelled: before anything is spent.
    """
    holder = me()
    keeping: asyncio.Task[None] | None = None
    mine = True  # whatever was answered, or was not waited for
    try:
        mine = await _claim(redis, job, holder, lease_s)
        if mine:
            keeping = asyncio.create_task(_keep(redis, job, holder, lease_s))
        yield holder if mine else None
    finally:
        left(holder)
        if keeping is not None:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        if mine:
            await give_back(redis, job, holder)


async def _keep(redis: Redis, job: str, holder: str, lease_s: float) -> None:
    """Renew a claim until the job is there, whose journal then keeps the lease."""
    with suppress(SurefootError, RedisError):
        while True:
            await asyncio.sleep(lease_s / 3)
            if not await _claim(redis, job, holder, lease_s):
                return


async def _claim(redis: Redis, job: str, holder: str, lease_s: float) -> bool:
    """Take the lease of a job that is not there; False if the job is there, and free."""
    answer = await scripts.CLAIM.run(
        redis.execute_command,
        [Keys(job).meta, Keys(job).lease],
        [holder, int(lease_s * 1000), await _dead(redis, job)],
    )
    _check(job, answer)
    return bool(answer[0] == b"ok")


async def _dead(redis: Redis, job: str) -> str:
    """Return the holder if it is certainly gone, so that its lease may be taken at once."""
    with reading(f"job {job!r}: its lease, the key {Keys(job).lease!r},"):
        found = text(await redis.get(Keys(job).lease) or "")
        return found if found and gone(found) else ""


def _check(job: str, answer: Any) -> None:
    if answer[0] == b"held":
        raise JobHeld(
            f"job {job!r} is being run by {describe(text(answer[1]))}; stop that runner first "
            f"(its lease runs out in {max(0, int(answer[2])) / 1000:.0f} s unless it renews it)"
        )
    if answer[0] == b"done":
        raise JobDone(f"job {job!r} is done")
    if answer[0] == b"cancelled":
        raise Cancelled(cancelled(job))
    if answer[0] in (b"number", b"type", b"damaged"):
        raise unwritable(job, *answer)


def cancelled(job: str) -> str:
    """Say that a job was cancelled."""
    return f"job {job!r} was cancelled; `surefoot resume {quote(job)} --again` takes it up again"


def unwritable(job: str, verdict: bytes, what: bytes, found: bytes) -> SurefootError:
    """Return the error for what a script saw before it wrote anything."""
    name, value = (raw.decode(errors="backslashreplace") for raw in (what, found))
    if verdict == b"number":
        return BadInput(
            f"job {job!r}: {name} was to grow by {value!r}, and only whole numbers up to {scripts.LARGEST} can be counted; "
            "nothing of this commit was written: resume the job"
        )
    where = f"key {name!r} holds a {value}" if verdict == b"type" else f"its field {name!r} is {value!r}"
    return CorruptJournal(f"job {job!r}: {where}, which is not what was written; nothing was changed")

"""Deleting jobs leaves nothing of them behind, and a running job is never deleted."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from surefoot import Settings
from surefoot.agents.tasks.towers import Towers
from surefoot.cli.cleanup import _seconds
from surefoot.errors import BadInput
from surefoot.models.doubles import towers_double
from surefoot.orchestration import deletion
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.journal.jobs import Keys, NoSuchJob
from surefoot.orchestration.journal.journal import Journal, WriteRefused
from surefoot.orchestration.record import Record
from surefoot.orchestration.run import resume, run

NAMES = ["plain", "a b/c:d", "with {braces} and }", "glob*?[x]\\", "ünï code", "%41"]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def done(client: Redis, job: str) -> None:
    await run(
        Towers(3, "compact"), Settings(k=3, segment=2), model=towers_double(error=0.2), job=job, redis=client
    )


async def made(client: Redis, job: str, status: str = "stopped", age_s: float = 0.0) -> None:
    await jobs.create(client, job, "walk", {}, 0, Fixed(Settings(k=1), "double"))
    await client.hset(Keys(job).meta, mapping={"status": status, "updated": f"{time.time() - age_s:.3f}"})


async def ids(client: Redis) -> set[str]:
    return {job.id for job in await jobs.every(client)}


@pytest.mark.parametrize("job", NAMES, ids=lambda job: f"Z10 {job!r}")
async def test_a_deleted_job_leaves_nothing_behind_and_takes_nothing_else_along(
    redis: Redis, job: str
) -> None:
    await done(redis, "other")
    before = {key: await redis.dump(key) for key in await redis.keys("*")}
    await done(redis, job)
    assert len(await redis.keys("*")) > len(before) + 8
    await deletion.delete(redis, job)
    assert {key: await redis.dump(key) for key in await redis.keys("*")} == before


@pytest.mark.parametrize("job", NAMES, ids=lambda job: f"Z10 {job!r}")
@pytest.mark.parametrize("field", ["settings", "next", "start"])
async def test_a_job_that_cannot_be_read_can_be_deleted(redis: Redis, job: str, field: str) -> None:
    await done(redis, job)
    await redis.hset(Keys(job).meta, field, b"\xff")
    await redis.set(Keys(job).lease, b"\xff")
    await deletion.delete(redis, job)
    assert await redis.keys("surefoot:*") == []


async def test_a_job_that_is_being_run_is_not_deleted(redis: Redis) -> None:
    await made(redis, "held")
    async with await Journal.acquire(redis, "held") as journal:
        with pytest.raises(BadInput, match="is being run by process"):
            await deletion.delete(redis, "held")
        await journal.append(Record(0, 1, 1))
    assert (await jobs.load(redis, "held")).step == 1
    await deletion.delete(redis, "held")
    assert await ids(redis) == set()


async def test_an_unseen_holder_of_a_deleted_job_writes_nothing_more(redis: Redis) -> None:
    await made(redis, "held")
    async with await Journal.acquire(redis, "held", lease_s=0.05) as journal:
        await journal._stop_pulse()
        await asyncio.sleep(0.1)
        await deletion.delete(redis, "held")
        await journal.append(Record(0, 1, 1))
        with pytest.raises((WriteRefused, NoSuchJob)):
            await journal.commit()
    assert await redis.keys("*") == []


async def test_a_deletion_that_was_cut_short_can_be_repeated(redis: Redis) -> None:
    await done(redis, "half")
    await redis.unlink(*[Keys("half").log(segment) for segment in range(5)], Keys("half").segments)
    await deletion.delete(redis, "half")
    assert await redis.keys("*") == []
    with pytest.raises(NoSuchJob):
        await deletion.delete(redis, "half")


async def test_a_name_is_free_again_after_its_job_was_deleted(redis: Redis) -> None:
    await done(redis, "again")
    await deletion.delete(redis, "again")
    await done(redis, "again")
    assert (await resume("again", redis=redis)).solved


@pytest.mark.parametrize(
    ("unfinished", "expected"),
    [
        (False, {"done-old", "cancelled-old"}),
        (True, {"done-old", "cancelled-old", "stopped-old", "failed-old"}),
    ],
)
async def test_what_is_old_and_finished_is_found(redis: Redis, unfinished: bool, expected: set[str]) -> None:
    for status in ("done", "cancelled", "stopped", "failed"):
        await made(redis, f"{status}-old", status, age_s=100)
        await made(redis, f"{status}-new", status)
    async with await Journal.acquire(redis, "stopped-old"):
        found = await deletion.old(redis, 50, unfinished=unfinished)
        assert {job.id for job in found} == expected - {"stopped-old"}
    assert {job.id for job in await deletion.old(redis, 50, unfinished=unfinished)} == expected


@pytest.mark.parametrize("age", [-1.0, float("nan"), float("inf")])
async def test_an_age_that_is_none_is_refused(redis: Redis, age: float) -> None:
    with pytest.raises(BadInput, match="0 or more"):
        await deletion.old(redis, age)


async def calls(client: Redis, command: str) -> int:
    return int((await client.info("commandstats")).get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def test_ids_left_behind_by_deleted_keys_are_swept_by_the_next_look(redis: Redis) -> None:
    """Z10: each of them cost a reading of all ids."""
    await made(redis, "stays")
    await redis.sadd(Keys("").jobs, *[f"gone-{number}" for number in range(2000)])
    before = await calls(redis, "smembers")
    assert await ids(redis) == {"stays"}
    assert await calls(redis, "smembers") - before == 1
    assert await redis.smembers(Keys("").jobs) == {b"stays"}


async def test_a_new_job_looks_at_no_other(redis: Redis) -> None:
    """Z10: its name was looked up among all ids."""
    await redis.sadd(Keys("").jobs, *[f"job-{number}" for number in range(2000)])
    before: dict[str, Any] = await redis.info("commandstats")
    await done(redis, "new")
    after: dict[str, Any] = await redis.info("commandstats")
    new = {name for name in after if after[name]["calls"] != before.get(name, {"calls": 0})["calls"]}
    assert not new & {"cmdstat_smembers", "cmdstat_sscan", "cmdstat_keys", "cmdstat_scan"}


async def test_a_job_that_is_listed_while_it_is_being_made_stays_listed(redis: Redis) -> None:
    await redis.sadd(Keys("").jobs, "young")  # as far as another process has come
    await jobs.every(redis)
    await made(redis, "young")
    assert await ids(redis) == {"young"}


def surefoot(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "surefoot.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


async def test_the_command_line_deletes_what_it_is_told_to_and_asks_first(
    redis: Redis, redis_url: str
) -> None:
    await made(redis, "old", "done", age_s=3600 * 24 * 40)
    for name in ("one", "two", "un\x1bheard"):
        await made(redis, name, "done")
    code, _, said = surefoot("delete", "one", "un\x1bheard", "--redis", redis_url)
    assert (code, said) == (2, "surefoot: this would delete one, un\\x1bheard: add --yes\n")
    code, _, said = surefoot("delete", "one", "nope", "--yes", "--redis", redis_url)
    assert (code, "no job 'nope' here" in said) == (2, True)
    assert await ids(redis) == {"old", "one", "two", "un\x1bheard"}
    code, out, _ = surefoot("delete", "one", "un\x1bheard", "--yes", "--json", "--redis", redis_url)
    assert (code, json.loads(out)) == (0, {"deleted": ["one", "un\x1bheard"]})
    prune = ("prune", "--older-than", "30d", "--redis", redis_url)
    code, out, _ = surefoot(*prune, "--dry-run", "--json")
    assert (code, json.loads(out)) == (0, {"would_delete": ["old"]})
    assert await ids(redis) == {"old", "two"}
    assert surefoot(*prune, "--yes")[0] == 0
    assert await ids(redis) == {"two"}


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1.5h", "30 d", "١d", "9999999999d"])
def test_an_age_that_cannot_be_read_is_refused(age: str) -> None:
    with pytest.raises(BadInput, match="such as 30d or 12h"):
        _seconds(age)

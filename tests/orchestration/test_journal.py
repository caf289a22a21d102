import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from redis.asyncio import Redis
from redis.crc import key_slot

from surefoot import Sampling, Settings
from surefoot.agents.tasks.optional import Attempt
from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.journal.fixed import Calibrated, Fixed
from surefoot.orchestration.journal.jobs import Keys, NewerJournal, NoSuchJob, Snapshot
from surefoot.orchestration.journal.journal import (
    COMMIT_BYTES,
    KEPT_BYTES,
    Fenced,
    Journal,
    WentBack,
)
from surefoot.orchestration.journal.lease import Cancelled, JobDone, JobHeld
from surefoot.orchestration.journal.records import ANSWER_BYTES, CorruptJournal
from surefoot.orchestration.record import Record
from surefoot.orchestration.redis.client import connect
from surefoot.orchestration.reporting import records
from surefoot.voting import Usage

JOB = "walk-1"
FIXED = Fixed(Settings(k=3, segment=10), "double")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    await jobs.create(client, JOB, "walk", {"n": 9}, 0, FIXED)
    yield client
    await client.aclose()


def record(step: int, **fields: Any) -> Record:
    return Record(step, step + 1, 3, **fields)


async def filled(redis: Redis, steps: int) -> Journal:
    async with await Journal.acquire(redis, JOB) as journal:
        for step in range(steps):
            await journal.append(record(step))
        await journal.commit()
    return journal


async def test_what_was_committed_is_there_for_the_next_runner(redis: Redis) -> None:
    await filled(redis, 25)
    async with await Journal.acquire(redis, JOB) as journal:
        start, tail = await journal.tail()
    assert journal.step == journal.durable == 25
    assert (start.step, tail) == (0, [record(step) for step in range(25)])


async def test_steps_are_committed_by_time_without_being_asked(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(0))
        assert journal.durable == 0
        async with asyncio.timeout(5):
            while journal.durable == 0:
                await asyncio.sleep(0.01)
        assert (await jobs.load(redis, JOB)).step == 1


async def test_counters_add_up_exactly_once(redis: Redis) -> None:
    samples = [{"number": 0, "text": "x", "finish": "stop", "flag": "malformed", "detail": "no answer"}]
    contested = record(1, others=((99, 2),), flags={"malformed": 4}, usage=Usage(10, 3, 7, 2))
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(0, usage=Usage(5, 0, 5, 0)))
        await journal.append(contested, kept=to_json(samples))
    job = await jobs.load(redis, JOB)
    assert {name: job.counters[name] for name in ("votes", "dissent", "contested")} == {
        "votes": 8,
        "dissent": 2,
        "contested": 1,
    }
    assert (job.flags, job.usage) == ({"malformed": 4}, Usage(15, 3, 12, 2))
    assert await segments.contested(redis, job, 5) == [contested]
    assert await segments.kept(redis, job, 1) == samples


@pytest.mark.parametrize("acts", [False, True], ids=["commit", "commit and begin to act"])
async def test_a_commit_whose_reply_was_lost_is_not_applied_twice(
    redis: Redis, tmp_path: Path, acts: bool
) -> None:
    """A proxy lets the command through and cuts the line before the answer, so the client sends it again."""
    cuts = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cuts
        up_reader, up_writer = await asyncio.open_unix_connection(
            redis.connection_pool.connection_kwargs["path"]
        )
        try:
            while data := await reader.read(65536):
                up_writer.write(data)
                answer = await up_reader.read(65536)
                if b"EVALSHA" in data and b"n:votes" in data and cuts == 0:
                    cuts += 1
                    break
                writer.write(answer)
        finally:
            writer.close()
            up_writer.close()

    path = str(tmp_path / "p")
    async with (
        await asyncio.start_unix_server(serve, path),
        Redis(unix_socket_path=path) as proxied,
        await Journal.acquire(proxied, JOB) as journal,
    ):
        await journal.append(record(0))
        if acts:
            # It knows that it was this very attempt, and not one before it.
            assert await journal.begin() == Attempt(1, again=False)
        else:
            await journal.commit()
    job = await jobs.load(redis, JOB)
    assert (cuts, job.step, job.counters["votes"]) == (1, 1, 3)
    assert len(await redis.lrange(Keys(JOB).log(0), 0, -1)) == 1


async def test_what_was_decided_is_durable_and_the_act_begun_in_one_call(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.commit()
        before = await calls(redis)
        await journal.append(record(0))
        assert await journal.begin() == Attempt(1, again=False)
        assert await calls(redis) == before + 1
        assert (journal.durable, (await jobs.load(redis, JOB)).step) == (1, 1)
        assert await journal.begin() == Attempt(1, again=True)  # nothing to commit, and it was begun before
        await journal.append(record(1))
        assert await journal.begin() == Attempt(2, again=False)


async def calls(redis: Redis) -> int:
    """Return how many scripts the server has run."""
    stats = await redis.info("commandstats")
    return sum(stats.get(name, {"calls": 0})["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval"))


@asynccontextmanager
async def held_back(
    redis: Redis, path: Path, words: bytes, *, unsent: bool = False
) -> AsyncIterator[tuple[Redis, asyncio.Event, asyncio.Event]]:
    """A client whose first command with these words is carried out, but not answered until the second event is set.

    With `unsent` it is not even carried out until then.
    """
    done, answer_now = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(
            redis.connection_pool.connection_kwargs["path"]
        )
        try:
            while data := await reader.read(65536):
                if unsent and words in data and not done.is_set():
                    done.set()
                    await answer_now.wait()
                up_writer.write(data)
                answer = await up_reader.read(65536)
                if words in data and not answer.startswith(b"-NOSCRIPT") and not done.is_set():
                    done.set()
                    await answer_now.wait()
                writer.write(answer)
        finally:
            writer.close()
            up_writer.close()

    async with await asyncio.start_unix_server(serve, path), Redis(unix_socket_path=str(path)) as proxied:
        yield proxied, done, answer_now
        answer_now.set()


async def test_an_interruption_in_the_middle_of_a_commit_loses_nothing(redis: Redis, tmp_path: Path) -> None:
    async with held_back(redis, tmp_path / "p", b"n:votes") as (proxied, begun, answer_now):
        with pytest.raises(asyncio.CancelledError):
            async with await Journal.acquire(proxied, JOB) as journal:
                await journal.append(record(0))
                await begun.wait()
                await journal.append(record(1))
                asyncio.get_running_loop().call_later(0.05, answer_now.set)
                raise asyncio.CancelledError
    assert (await jobs.load(redis, JOB)).step == 2
    assert await redis.get(Keys(JOB).lease) is None


@pytest.mark.parametrize("unsent", [False, True], ids=["carried out", "not carried out yet"])
async def test_an_interrupted_wait_for_a_commit_loses_nothing(
    redis: Redis, tmp_path: Path, unsent: bool
) -> None:
    async def run() -> None:
        async with await Journal.acquire(proxied, JOB) as journal:
            journal.also["ahead"] = 7
            for step in range(10):  # a whole segment, which is committed with its last step
                await journal.append(record(step, others=(("another", 1),)), kept=b"[]")

    async with held_back(redis, tmp_path / "p", b"n:votes", unsent=unsent) as (proxied, begun, _):
        running = asyncio.create_task(run())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        job = await jobs.load(redis, JOB)
    assert job.step == 10
    assert job.counters["dissent"] == 10
    assert job.counters["ahead"] == 7
    assert await redis.hlen(Keys(JOB).kept) == 10
    assert await redis.get(Keys(JOB).lease) is None


@pytest.mark.parametrize("words", [b"EVAL", b"HGETALL"], ids=["in the taking", "in the reading after it"])
async def test_an_interruption_while_a_job_is_taken_leaves_no_lease(
    redis: Redis, tmp_path: Path, words: bytes
) -> None:
    async with held_back(redis, tmp_path / "p", words) as (proxied, taken, _):
        taking = asyncio.create_task(Journal.acquire(proxied, JOB))
        await taken.wait()
        assert await redis.get(Keys(JOB).lease) is not None
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        assert await redis.get(Keys(JOB).lease) is None


async def test_an_interruption_while_a_job_is_left_leaves_no_lease(redis: Redis, tmp_path: Path) -> None:
    async with held_back(redis, tmp_path / "p", b"n:votes") as (proxied, committed, _):

        async def work() -> None:
            async with await Journal.acquire(proxied, JOB) as journal:
                await journal.append(record(0))

        working = asyncio.create_task(work())
        await committed.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert await redis.get(Keys(JOB).lease) is None
    assert (await jobs.load(redis, JOB)).step == 1


async def test_a_second_runner_is_refused_and_told_who_holds_the_job(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB):
        with pytest.raises(JobHeld, match=r"process \d+ on .+ since"):
            await Journal.acquire(redis, JOB)
    async with await Journal.acquire(redis, JOB):
        pass  # given back at the end of the block above


async def test_a_job_that_cannot_be_read_is_not_held(redis: Redis) -> None:
    await redis.hset(Keys(JOB).meta, "settings", "nonsense")
    with pytest.raises(CorruptJournal, match="cannot be read"):
        await Journal.acquire(redis, JOB)
    assert await redis.get(Keys(JOB).lease) is None


async def test_a_lease_is_kept_while_nothing_is_decided(redis: Redis) -> None:
    # Long enough that a busy machine does not keep the pulse from beating for as long as the lease lasts.
    async with await Journal.acquire(redis, JOB, lease_s=2.0):
        for _ in range(12):
            await asyncio.sleep(0.25)
            with pytest.raises(JobHeld):
                await Journal.acquire(redis, JOB)


async def test_a_stale_holder_is_fenced_off(redis: Redis) -> None:
    stale = await Journal.acquire(redis, JOB, lease_s=0.05)
    await asyncio.sleep(0.1)
    async with await Journal.acquire(redis, JOB) as fresh:
        await fresh.append(record(0))
        await fresh.commit()
        await stale.append(record(0))
        with pytest.raises(Fenced, match="taken over by process"):
            await stale.commit()
        await fresh.append(record(1))
    assert (await jobs.load(redis, JOB)).step == 2


async def test_two_takings_never_share_a_token_even_if_redis_forgot_the_first(redis: Redis) -> None:
    key = Keys(JOB).meta
    before = await redis.dump(key)
    stale = await Journal.acquire(redis, JOB, lease_s=0.05)
    await asyncio.sleep(0.1)
    await redis.restore(key, 0, before, replace=True)
    async with await Journal.acquire(redis, JOB) as fresh:
        await stale.append(record(0))
        with pytest.raises(Fenced):
            await stale.commit()
        await fresh.append(record(0))
    assert (await jobs.load(redis, JOB)).step == 1


async def test_a_runner_that_died_on_this_machine_is_succeeded_at_once(redis: Redis) -> None:
    await Journal.acquire(redis, JOB, lease_s=60)
    holder = (await redis.get(Keys(JOB).lease)).decode()
    gone = holder.replace('"born": "', '"born": "1')
    await redis.set(Keys(JOB).lease, gone, px=60_000)
    assert (await jobs.load(redis, JOB)).status == "stopped"
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(0))


async def test_a_cancelled_job_stops_its_runner(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await jobs.cancel(redis, JOB)
        await journal.append(record(0))
        with pytest.raises(Cancelled):
            await journal.commit()
    assert (await jobs.load(redis, JOB)).status == "cancelled"


async def scripts_run(redis: Redis) -> int:
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])


async def test_a_commit_that_failed_in_the_background_fails_the_next_one(redis: Redis) -> None:
    with pytest.raises(Cancelled):
        async with await Journal.acquire(redis, JOB) as journal:
            await jobs.cancel(redis, JOB)
            before = await scripts_run(redis)
            await journal.append(record(0))
            async with asyncio.timeout(5):
                while await scripts_run(redis) == before:
                    await asyncio.sleep(0.01)
            await journal.commit()
            pytest.fail("what is not durable was called so")
    assert (await jobs.load(redis, JOB)).step == 0


async def test_a_finished_job_cannot_be_run_or_cancelled(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.settle("done")
    with pytest.raises(JobDone):
        await Journal.acquire(redis, JOB)
    with pytest.raises(ValueError, match="done already"):
        await jobs.cancel(redis, JOB)


async def test_a_journal_that_went_back_is_noticed_and_taken_up_there(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(0))
        await journal.commit()
        before = {key: await redis.dump(key) for key in await redis.keys(f"surefoot:{{{JOB}}}:*")}
        await journal.append(record(1))
        await journal.commit()
        await redis.flushall()
        for key, dump in before.items():
            await redis.restore(key, 0, dump)
        await journal.append(record(2))
        with pytest.raises(WentBack):
            await journal.commit()
        _, tail = await journal.tail()
        assert tail == [record(0)]
        await journal.append(record(1))
    assert (await jobs.load(redis, JOB)).step == 2


async def test_a_journal_that_went_back_is_neither_sealed_nor_called_done(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        for step in range(10):
            await journal.append(record(step))
        job = await jobs.load(redis, JOB)
        await redis.hset(Keys(JOB).meta, mapping={"next": 5, "head": job.start.head})
        with pytest.raises(WentBack):
            await journal.seal(0, Snapshot(10, job.head, 10, 3))
        with pytest.raises(WentBack):
            await journal.settle("done")
    job = await jobs.load(redis, JOB)
    assert (job.sealed, job.status) == (0, "stopped")


async def test_a_redis_that_lost_everything_is_a_clear_error(redis: Redis) -> None:
    journal = await Journal.acquire(redis, JOB)
    await redis.flushall()
    await journal.append(record(0))
    with pytest.raises(NoSuchJob, match="kept nothing over a restart"):
        await journal.commit()


async def test_a_damaged_record_is_named_and_not_skipped(redis: Redis) -> None:
    await filled(redis, 25)
    key = Keys(JOB).log(1)
    frame = bytearray(await redis.lindex(key, 0))
    frame[-3] ^= 1
    await redis.lset(key, 0, bytes(frame))
    async with await Journal.acquire(redis, JOB) as journal:
        with pytest.raises(
            CorruptJournal, match=r"segment 1: the record of steps 10 to 19 fails its checksum"
        ):
            await journal.tail()


async def test_a_missing_record_is_an_error(redis: Redis) -> None:
    await filled(redis, 25)
    await redis.delete(Keys(JOB).log(2))
    async with await Journal.acquire(redis, JOB) as journal:
        with pytest.raises(CorruptJournal, match="25 steps are said to be decided"):
            await journal.tail()


@pytest.mark.parametrize("segment", [0, 1, 2])
async def test_reading_all_records_names_those_that_are_missing(redis: Redis, segment: int) -> None:
    await filled(redis, 25)
    job = await jobs.load(redis, JOB)
    assert [entry.step async for entry in records(redis, job)] == list(range(25))
    await redis.delete(Keys(JOB).log(segment))
    with pytest.raises(CorruptJournal, match=r"does not continue the hash chain|the records end at step 20"):
        _ = [entry async for entry in records(redis, job)]


async def test_what_is_decided_while_all_records_are_read_is_left_out(redis: Redis) -> None:
    await filled(redis, 12)
    job = await jobs.load(redis, JOB)
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(12))
    assert [entry.step async for entry in records(redis, job)] == list(range(12))


async def sealed(redis: Redis) -> bytes:
    """Seal the first segment, and return its snapshot as it is written."""
    await filled(redis, 14)
    async with await Journal.acquire(redis, JOB) as journal:
        end = [*await segments.frames(redis, journal.job, 0)][-1][0].after
        await journal.seal(0, Snapshot(10, end, 10, 3))
    return bytes(await redis.hget(Keys(JOB).segments, "0") or b"")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda raw: raw[:-5], "cannot be read"),
        (lambda raw: b"{}", "cannot be read"),
        (lambda raw: raw.replace(b",10,3,", b",11,3,"), "fails its checksum"),
    ],
    ids=["cut off", "something else", "another state"],
)
async def test_a_damaged_snapshot_is_named_and_nothing_is_decided_from_it(
    redis: Redis, damage: Callable[[bytes], bytes], said: str
) -> None:
    raw = await sealed(redis)
    assert damage(raw) != raw
    await redis.hset(Keys(JOB).segments, "0", damage(raw))
    async with await Journal.acquire(redis, JOB) as journal:
        with pytest.raises(CorruptJournal, match=f"the snapshot of segment 0 {said}"):
            await journal.tail()


async def test_a_snapshot_from_before_there_were_checksums_is_read(redis: Redis) -> None:
    *snapshot, _ = json.loads(await sealed(redis))
    await redis.hset(Keys(JOB).segments, "0", json.dumps(snapshot))
    async with await Journal.acquire(redis, JOB) as journal:
        start, _ = await journal.tail()
    assert (start.step, start.state) == (10, 10)


async def test_a_journal_of_a_newer_schema_is_refused(redis: Redis) -> None:
    await redis.hset(Keys(JOB).meta, "schema", "99")
    with pytest.raises(NewerJournal, match="schema 99"):
        await Journal.acquire(redis, JOB)


async def test_a_sealed_segment_is_where_the_next_runner_begins(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        for step in range(14):
            await journal.append(record(step))
        await journal.commit()
        end = [*await segments.frames(redis, journal.job, 0)][-1][0].after
        for _ in range(2):  # sealing twice is sealing once
            await journal.seal(0, Snapshot(10, end, 10, 3))
        start, tail = await journal.tail()
    assert start == Snapshot(10, end, 10, 3)
    assert tail == [record(step) for step in range(10, 14)]


async def test_a_rewound_segment_is_decided_again(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        for step in range(7):
            await journal.append(record(step), kept=b"[]")
        await journal.commit()
        await journal.rewind(journal.job.start)
        await journal.rewind(journal.job.start)  # as after a lost reply
        await journal.append(Record(0, "other", 4))
        await journal.commit()
        _, tail = await journal.tail()
    assert tail == [Record(0, "other", 4)]
    assert not await redis.exists(Keys(JOB).kept)  # the samples of the elections that were taken back
    assert (await jobs.load(redis, JOB)).counters["repairs"] == 1


async def test_an_unreadable_job_is_listed_and_hides_no_other(redis: Redis) -> None:
    await jobs.create(redis, "new", "walk", {}, 0, FIXED)
    await redis.hset(Keys("new").meta, "schema", "99")
    await redis.sadd(Keys("").jobs, "half")  # its creation was cut short
    readable, unreadable = await jobs.every(redis)
    assert (readable.id, unreadable.id) == (JOB, "new")
    assert isinstance(unreadable, jobs.UnreadableJob)
    assert "schema 99" in unreadable.why
    with pytest.raises(NewerJournal):
        await jobs.cancel(redis, "new")


TEXTS = {
    "k was given": (
        FIXED,
        '{"k":3,"model":"double","segment":10,"seed":0,"reliability":null,"error":null,"risk":null,"calibration":null,'
        '"hard":null,"limit":100,"spare":0,"sampling":null}',
    ),
    "k was found": (
        Fixed(
            Settings(
                k=4, reliability=0.9, segment=7, seed=5, limit=30, spare=2, sampling=Sampling(0.2, None, 64)
            ),
            "http://gpu:8000/v1",
            Calibrated(0.25, 0.125, (1500, None, 1.5), (500, 1, 0.0625, True, ("a state",))),
        ),
        '{"k":4,"model":"http://gpu:8000/v1","segment":7,"seed":5,"reliability":0.9,"error":0.25,"risk":0.125,'
        '"calibration":[1500,null,1.5],"hard":[500,1,0.0625,true,["a state"]],"limit":30,"spare":2,'
        '"sampling":[0.2,null,64]}',
    ),
}
"""What a job is fixed with, and its text: never another one, since older journals have it and an older surefoot reads it."""


@pytest.mark.parametrize("fixed, text", TEXTS.values(), ids=TEXTS)
async def test_what_a_job_is_fixed_with_is_written_as_ever(redis: Redis, fixed: Fixed, text: str) -> None:
    await jobs.create(redis, "new", "walk", {}, 0, fixed)
    assert (await redis.hget(Keys("new").meta, "settings")).decode() == text
    job = await jobs.load(redis, "new")
    assert (job.settings, job.calibrated, job.k) == (fixed.settings, fixed.calibrated, fixed.settings.k)


def test_a_job_of_before_all_settings_were_written_down_is_read() -> None:
    assert Fixed.read('{"k":3,"model":"m"}') == Fixed(Settings(k=3), "m")
    found = '{"k":3,"model":"m","segment":9,"seed":0,"reliability":0.9,"error":0.1,"risk":0.01}'
    assert Fixed.read(found) == Fixed(Settings(k=3, reliability=0.9, segment=9), "m", Calibrated(0.1, 0.01))


@pytest.mark.parametrize(
    "more", ['"k":0', '"k":null', '"k":"3"', '"segment":0', '"segmant":10', '"limit":2', '"sampling":[1,2]']
)
async def test_settings_that_no_job_has_are_damage(redis: Redis, more: str) -> None:
    await redis.hset(Keys(JOB).meta, "settings", f'{{"k":3,"model":"m",{more}}}')
    with pytest.raises(CorruptJournal, match="its description cannot be read"):
        await jobs.load(redis, JOB)


async def test_a_job_is_created_once(redis: Redis) -> None:
    with pytest.raises(ValueError, match="there is a job 'walk-1' already"):
        await jobs.create(redis, JOB, "other", {}, 0, FIXED)
    assert (await jobs.load(redis, JOB)).task == "walk"


async def test_an_unknown_job_is_answered_with_the_known_ones(redis: Redis) -> None:
    with pytest.raises(NoSuchJob, match=f"no job 'nope' here; known jobs: {JOB}"):
        await Journal.acquire(redis, "nope")


async def test_all_keys_of_a_job_lie_in_one_cluster_slot(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(0, others=((5, 1),)), kept=b"[]")
        await journal.commit()
        await journal.seal(0, Snapshot(1, "", 1, 3))
        keys = await redis.keys(f"surefoot:{{{JOB}}}*")
    assert len(keys) >= 6
    assert len({key_slot(key) for key in keys}) == 1


async def test_acknowledged_steps_survive_a_kill_of_the_server(start_server: Callable[..., Any]) -> None:
    server = start_server("--appendfsync", "always")
    client = await connect(server.url)
    await jobs.create(client, JOB, "walk", {}, 0, FIXED)
    async with await Journal.acquire(client, JOB) as journal:
        for step in range(25):
            await journal.append(record(step))
        await journal.commit()
        server.kill()
        server.start()
        _, tail = await journal.tail()
        assert len(tail) == 25
        await journal.append(record(25))
    await client.aclose()


# --- numbers and types that would have failed half-way -------------------------------------------------

HOSTILE = [
    2**63,
    2**63 - 1,
    2**53,
    10**15,
    10**12 + 1,
    -1,
    -(2**63),
    1.5,
    float("nan"),
    float("inf"),
    "7",
    None,
    True,
]


async def everything(redis: Redis) -> dict[bytes, Any]:
    """All that a job holds, but for its lease, which runs out by itself."""
    read = {
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"string": redis.get,
        b"set": redis.smembers,
    }
    keys = [key for key in await redis.keys("surefoot:{*") if not key.endswith(b":lease")]
    return {key: await read[await redis.type(key)](key) for key in keys}


@pytest.mark.parametrize("number", HOSTILE, ids=lambda number: f"Z6 {number!r}")
@pytest.mark.parametrize("field", [*Usage._fields, "votes", "others", "flags"])
async def test_a_step_with_a_number_that_cannot_be_counted_is_refused_and_the_steps_before_it_are_kept(
    redis: Redis, field: str, number: Any
) -> None:
    bad = {
        "votes": Record(1, 2, number),
        "others": record(1, others=((9, number),)),
        "flags": record(1, flags={"malformed": number}),
    }.get(field) or record(1, usage=Usage()._replace(**{field: number}))
    with pytest.raises(BadInput, match=r"step 1 cannot be recorded: .* not a whole number"):
        async with await Journal.acquire(redis, JOB) as journal:
            await journal.append(record(0))
            await journal.append(bad)
    async with await Journal.acquire(redis, JOB) as journal:
        _, tail = await journal.tail()
        await journal.append(record(1))
    assert tail == [record(0)]
    assert (await jobs.load(redis, JOB)).counters["votes"] == 6


@pytest.mark.parametrize(
    "number", [2**63, 2**63 - 1, 10**15, 1.5, -0.5, 1e300], ids=lambda number: f"Z6 {number!r}"
)
async def test_a_count_that_a_script_cannot_add_leaves_everything_as_it_was(
    redis: Redis, number: Any
) -> None:
    await filled(redis, 3)
    async with await Journal.acquire(redis, JOB) as journal:
        _, before = await journal.tail(), await everything(redis)
        await journal.append(record(3, others=((9, 1),)), kept=b"[]")
        journal.also["wasted_tokens"] = abs(number)
        with pytest.raises(
            BadInput, match=r"n:wasted_tokens was to grow by .*nothing of this commit was written"
        ):
            await journal.commit()
        assert await everything(redis) == before
    async with await Journal.acquire(redis, JOB) as journal:
        _, tail = await journal.tail()
        await journal.append(record(3))
    assert (len(tail), (await jobs.load(redis, JOB)).step) == (3, 4)


@pytest.mark.parametrize(
    "sum_so_far", ["9223372036854775807", "x", "", "1.5", "-3", "1e3", "999999999999999"]
)
async def test_a_counter_that_cannot_grow_leaves_everything_as_it_was(redis: Redis, sum_so_far: str) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await redis.hset(Keys(JOB).meta, "n:votes", sum_so_far)
        before = await everything(redis)
        await journal.append(record(0, others=((9, 1),)), kept=b"[]")
        with pytest.raises(SurefootError, match=r"n:votes"):
            await journal.commit()
        assert await everything(redis) == before


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("log", "set"),
        ("log", "string"),
        ("kept", "list"),
        ("kept", "string"),
        ("contested", "set"),
        ("lease", "list"),
    ],
)
async def test_a_key_of_another_type_is_named_and_everything_stays_as_it_was(
    redis: Redis, name: str, kind: str
) -> None:
    key = Keys(JOB).log(0) if name == "log" else getattr(Keys(JOB), name)
    async with await Journal.acquire(redis, JOB) as journal:
        await redis.delete(key)
        await {"string": redis.set, "list": redis.rpush, "set": redis.sadd}[kind](key, "7")
        before = await everything(redis)
        await journal.append(record(0, others=((9, 1),)), kept=b"[]")
        with pytest.raises(CorruptJournal, match=f"'{key}' holds a {kind}".replace("{", r"\{")):
            await journal.commit()
        assert await everything(redis) == before
        await redis.delete(key)


async def test_what_cannot_be_taken_back_as_a_whole_is_not_taken_back_at_all(redis: Redis) -> None:
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(0))
        await journal.commit()
        for damage, heal in (
            (("SET", Keys(JOB).kept, "7"), ("DEL", Keys(JOB).kept)),
            (("HSET", Keys(JOB).meta, "n:repairs", "many"), ("HDEL", Keys(JOB).meta, "n:repairs")),
        ):
            await redis.execute_command(*damage)
            before = await everything(redis)
            with pytest.raises(CorruptJournal):
                await journal.rewind(journal.job.start)
            assert await everything(redis) == before
            await redis.execute_command(*heal)
        await journal.rewind(journal.job.start)
    assert (await jobs.load(redis, JOB)).step == 0


@pytest.mark.parametrize("lease_s", [0, -1.0, 1e300])
async def test_a_lease_that_cannot_be_granted_leaves_the_job_as_it_was(redis: Redis, lease_s: float) -> None:
    before = await everything(redis)
    with pytest.raises(BadInput, match="ttl_ms"):
        await Journal.acquire(redis, JOB, lease_s=lease_s)
    assert await everything(redis) == before


# --- what a job keeps -------------------------------------------------------------------------------------


def long_samples(step: int, size: int = 2000) -> bytes:
    """The samples of a contested step, as dull or as varied as those of a model: some of it repeats."""
    rng = random.Random(step)
    text = " ".join(
        rng.choice(("move", "disk", "peg", "to", f"{rng.random():.12f}")) for _ in range(size // 6)
    )
    return to_json(
        [{"number": n, "text": text[: size - n], "finish": "stop", "ballot": step} for n in range(5)]
    )


async def test_kept_samples_are_compressed_and_read_back(redis: Redis) -> None:
    """Z12"""
    async with await Journal.acquire(redis, JOB) as journal:
        await journal.append(record(0, others=((9, 1),)), kept=long_samples(0))
    raw = await redis.hget(Keys(JOB).kept, "0")
    assert raw is not None
    assert len(raw) < len(long_samples(0)) / 2
    assert await segments.kept(redis, await jobs.load(redis, JOB), 0) == json.loads(long_samples(0))


async def test_samples_from_before_they_were_compressed_are_read(redis: Redis) -> None:
    await redis.hset(Keys(JOB).kept, "0", long_samples(0))
    assert await segments.kept(redis, await jobs.load(redis, JOB), 0) == json.loads(long_samples(0))


async def kept_bytes(redis: Redis) -> int:
    return sum(map(len, await redis.hvals(Keys(JOB).kept)))


@pytest.mark.parametrize("size", [100_000, 1_000_000], ids=lambda size: f"Z12 samples of {size} bytes")
async def test_kept_samples_have_a_bound_in_bytes_over_all_runners(redis: Redis, size: int) -> None:
    noise = to_json([{"number": 0, "text": random.Random(1).randbytes(size).hex(), "finish": "stop"}])
    enough = 2 * KEPT_BYTES // size + 2
    for first in range(
        0, min(enough, 4000), 1000
    ):  # each runner takes up the count where the last one left it
        async with await Journal.acquire(redis, JOB) as journal:
            for step in range(first, min(first + 50, enough)):
                await journal.append(record(step, others=((9, 1),)), kept=noise)
    contested = await kept_bytes(redis)
    assert contested <= KEPT_BYTES * 3 // 4
    async with await Journal.acquire(redis, JOB) as journal:
        for step in range(journal.step, journal.step + enough):
            await journal.append(record(step), kept=noise)  # unanimous: one of those drawn at random
    assert contested < await kept_bytes(redis) <= KEPT_BYTES


class Careless(Redis):
    """A client that loses the cancellation of a command which is done in the same moment, as redis-py's own does now and then."""

    def __init__(self, client: Redis) -> None:
        super().__init__(connection_pool=client.connection_pool)
        self.looking = asyncio.Event()

    async def hexists(self, name: str, key: str) -> bool:  # type: ignore[override]
        with suppress(asyncio.CancelledError):
            self.looking.set()
            await asyncio.sleep(10)
        return bool(await super().hexists(name, key))


async def test_a_runner_ends_though_its_client_loses_the_cancellation_of_its_pulse(redis: Redis) -> None:
    careless = Careless(redis)
    async with asyncio.timeout(20):
        async with await Journal.acquire(careless, JOB) as journal:
            await journal.append(record(0))
            await careless.looking.wait()
    assert (await jobs.load(redis, JOB)).step == 1
    assert await redis.get(Keys(JOB).lease) is None


async def test_answers_that_are_large_are_committed_in_frames_that_can_be_read(redis: Redis) -> None:
    large = "x" * (COMMIT_BYTES // 4)
    async with await Journal.acquire(redis, JOB) as journal:
        for step in range(9):
            await journal.append(Record(step, f"{step}{large}", 3))
    job = await jobs.load(redis, JOB)
    found = [*await segments.frames(redis, job, 0)]
    assert len(found) >= 2
    assert [len(entry.answer) async for entry in records(redis, job)] == [1 + len(large)] * 9


async def test_an_answer_too_large_for_a_frame_is_refused_and_the_steps_before_it_are_kept(
    redis: Redis,
) -> None:
    with pytest.raises(BadInput, match=r"step 1 cannot be recorded: its answer takes 4,194,30. bytes"):
        async with await Journal.acquire(redis, JOB) as journal:
            await journal.append(record(0))
            await journal.append(Record(1, "x" * ANSWER_BYTES, 3))
    assert (await jobs.load(redis, JOB)).step == 1


async def test_losing_ballots_that_no_frame_could_hold_are_refused_and_the_job_stays_readable(
    redis: Redis,
) -> None:
    losers = tuple((f"{number}" * (ANSWER_BYTES - 2), 1) for number in range(9))
    with pytest.raises(
        BadInput, match=r"step 1 cannot be recorded: its 9 losing ballots take 37,748,\d+ bytes"
    ):
        async with await Journal.acquire(redis, JOB) as journal:
            await journal.append(record(0))
            await journal.append(Record(1, "1", 3, losers))
    assert [entry.step async for entry in records(redis, await jobs.load(redis, JOB))] == [0]


async def test_large_losing_ballots_fill_a_frame_early(redis: Redis) -> None:
    losers = tuple((f"{number}" * (1 << 20), 1) for number in range(3))
    async with await Journal.acquire(redis, JOB) as journal:
        for step in range(9):
            await journal.append(Record(step, "1", 5, losers))
    found = [*await segments.frames(redis, await jobs.load(redis, JOB), 0)]
    assert len(found) >= 4

"""Whatever happens to a job's keys, it is named, and it hides no other job."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from surefoot import Settings
from surefoot.agents.tasks.plain_values import canonical
from surefoot.agents.tasks.towers import Towers
from surefoot.errors import SurefootError
from surefoot.models.doubles import towers_double
from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.journal.records import UNPACKED_BYTES, CorruptJournal, decode
from surefoot.orchestration.journal.snapshots import Snapshot, decode_snapshot, encode_snapshot
from surefoot.orchestration.reporting import read_report, records
from surefoot.orchestration.run import resume, run
from surefoot.printable import printable

TASK = Towers(5, "compact")
JOB = "damaged"
STEPS = 31


@pytest.fixture(scope="module")
def written(redis_server: Any) -> dict[bytes, bytes]:
    """What a Redis holds with a job of 31 steps in four segments, done, and another one that nothing happens to."""

    async def both() -> dict[bytes, bytes]:
        async with Redis.from_url(redis_server.url) as client:
            await client.flushall()
            await run(
                TASK,
                Settings(k=3, segment=10),
                model=towers_double(error=0.2, invalid=0.1),
                job=JOB,
                redis=client,
            )
            await run(Towers(2, "compact"), Settings(k=2), model=towers_double(), job="sound", redis=client)
            return {key: bytes(await client.dump(key) or b"") for key in await client.keys("surefoot:*")}

    return asyncio.run(both())


async def restored(client: Redis, written: dict[bytes, bytes]) -> None:
    await client.flushall()
    for key, dump in written.items():
        await client.restore(key, 0, dump)


@pytest.fixture
async def redis(redis_url: str, written: dict[bytes, bytes]) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await restored(client, written)
        yield client


async def everything(client: Redis) -> list[SurefootError]:
    """Do all that reads the job, and return what it raised; only our errors are expected, and in words that may be shown."""
    raised: list[SurefootError] = []

    async def out() -> None:
        known = await jobs.load(client, JOB)
        async for record in records(client, known):
            TASK.show(record.answer)

    async def steps() -> None:
        known = await jobs.load(client, JOB)
        for step in (0, 11, 30):
            await segments.record(client, known, step)
            await segments.kept(client, known, step)

    for read in (
        lambda: read_report(client, JOB, TASK),
        out,
        steps,
        lambda: resume(JOB, task=TASK, model=towers_double(), redis=client),
        lambda: jobs.cancel(client, JOB),
    ):
        try:
            await read()
        except SurefootError as error:
            raised.append(error)
    for listed in await jobs.every(client):
        assert listed.id in (JOB, "sound")
        if isinstance(listed, jobs.UnreadableJob):
            raised.append(CorruptJournal(listed.why))
    assert "sound" in [job.id for job in await jobs.every(client) if isinstance(job, jobs.Job)]
    for error in raised:
        assert printable(str(error)) == str(error)
        assert len(str(error)) < 1000
    return raised


DEEP = b"[" * 100_000
BOMB = zlib.compress(b"[" + b"0," * UNPACKED_BYTES, 1)
FIELDS = (
    "schema",
    "task",
    "spec",
    "settings",
    "start",
    "models",
    "status",
    "next",
    "head",
    "sealed",
    "created",
    "updated",
)
NONSENSE = {
    "not UTF-8": b"\xff\xfe",
    "empty": b"",
    "a word": b"many",
    "nested deeply": DEEP,
    "another shape": b'{"a": [1]}',
    "a number too large": b"9223372036854775808",
    "a negative number": b"-1",
    "no number": b"nan",
    "null": b"null",
    "orders to a terminal": b"\x1b]0;x\x07\xe2\x80\xae",
}


@pytest.mark.parametrize("value", NONSENSE.values(), ids=[f"Z7 {name}" for name in NONSENSE])
@pytest.mark.parametrize("field", FIELDS)
async def test_a_damaged_field_makes_one_job_unreadable_and_hides_no_other(
    redis: Redis, field: str, value: bytes
) -> None:
    await redis.hset(Keys(JOB).meta, field, value)
    raised = await everything(redis)
    assert raised
    readable, unreadable = await jobs.every(redis)
    assert (readable.id, unreadable.id) == ("sound", JOB)
    assert JOB in unreadable.why


@pytest.mark.parametrize("field", FIELDS)
async def test_a_missing_field_is_named(redis: Redis, field: str) -> None:
    await redis.hdel(Keys(JOB).meta, field)
    _, unreadable = await jobs.every(redis)
    assert isinstance(unreadable, jobs.UnreadableJob)
    assert f"'{field}'" in unreadable.why
    assert await everything(redis)


@pytest.mark.parametrize("kind", ["string", "list", "set", "hash"])
@pytest.mark.parametrize("key", ["meta", "lease", "segments", "kept", "contested", "log"])
async def test_a_key_of_another_type_raises_our_errors_alone(redis: Redis, key: str, kind: str) -> None:
    name = Keys(JOB).log(3) if key == "log" else getattr(Keys(JOB), key)
    await redis.delete(name)
    if kind == "hash":
        await redis.hset(name, "field", "x")
    else:
        await {"string": redis.set, "list": redis.rpush, "set": redis.sadd}[kind](name, "x")
    assert await everything(redis)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        DEEP,
        b"7",
        b"{}",
        b'{"pid": "../1", "machine": "", "host": "", "born": "", "since": ""}',
        b'{"pid": 99999999999999999999, "machine": "", "host": "", "born": "", "since": ""}',
    ],
    ids=lambda raw: f"Z17 {raw[:20]!r}",
)
async def test_a_damaged_lease_is_named_and_hides_no_other_job(redis: Redis, raw: bytes) -> None:
    await redis.set(Keys(JOB).lease, raw)
    await redis.hset(Keys(JOB).meta, "status", "stopped")
    raised = await everything(redis)
    assert raised
    assert all(isinstance(error, CorruptJournal) and "lease" in str(error) for error in raised)


async def test_a_job_whose_name_is_no_text_hides_no_other(redis: Redis) -> None:
    await redis.sadd(Keys("").jobs, b"\xff\x1b")
    await redis.hset(b"surefoot:{\xff\x1b}:meta", "schema", "1")
    assert [job.id for job in await jobs.every(redis)][:2] == [JOB, "sound"]


def frame(payload: bytes, first: int = 30, steps: int = 1, head: str = "a" * 32) -> bytes:
    """A frame with the right checksum, whatever it holds."""
    return b"%d %d %s %s %08x\n" % (first, steps, head.encode(), head.encode(), zlib.crc32(payload)) + payload


def packed(text: bytes) -> bytes:
    return zlib.compress(text)


FRAMES = {
    "not compressed": b"[[1,3,0,0]]",
    "nothing": b"",
    "cut off": packed(b"[[1,3,0,0]]")[:-5],
    "a bomb": BOMB,
    "a bomb of blanks": zlib.compress(b" " * (UNPACKED_BYTES + 1)),
    "nested deeply": packed(DEEP),
    "not JSON": packed(b"[[1,3,0,0"),
    "not UTF-8": packed(b'[["\xff",3,0,0]]'),
    "a number": packed(b"7"),
    "null": packed(b"null"),
    "a word": packed(b'"abcd"'),
    "words for rows": packed(b'["abcd"]'),
    "an object": packed(b'{"a":1}'),
    "numbers for rows": packed(b"[7]"),
    "too few in a row": packed(b"[[1,3]]"),
    "too many in a row": packed(b"[[1,3,0,0,{},7]]"),
    "votes that are a word": packed(b'[[1,"3",0,0]]'),
    "votes that are a fraction": packed(b"[[1,3.5,0,0]]"),
    "extras that are a list": packed(b"[[1,3,0,0,[1]]]"),
    "others without votes": packed(b'[[1,3,0,0,{"others":[[1]]}]]'),
    "others that are a number": packed(b'[[1,3,0,0,{"others":7}]]'),
    "flags that are a list": packed(b'[[1,3,0,0,{"flags":["x"]}]]'),
    "flags that are words": packed(b'[[1,3,0,0,{"flags":{"x":"y"}}]]'),
    "more that is null": packed(b'[[1,3,0,0,{"more":null}]]'),
    "too many rows": packed(b"[[1,3,0,0],[1,3,0,0]]"),
}


@pytest.mark.parametrize("payload", FRAMES.values(), ids=[f"Z17 {name}" for name in FRAMES])
async def test_a_frame_of_another_shape_with_the_right_checksum_is_named(
    redis: Redis, payload: bytes
) -> None:
    with pytest.raises(CorruptJournal, match=r"steps 30 to 30|from step 30"):
        decode(frame(payload), "here")
    await redis.delete(Keys(JOB).log(3))
    await redis.rpush(Keys(JOB).log(3), frame(payload))
    raised = await everything(redis)
    assert any(isinstance(error, CorruptJournal) and "segment 3" in str(error) for error in raised)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\n",
        b"30 1 a b 0\n",
        b"-1 1 %s %s 0\n" % (b"a" * 32, b"a" * 32),
        b"30 0 %s %s 00000000\n" % (b"a" * 32, b"a" * 32),
        b"9" * 4000 + b" 1 %s %s 00000000\n" % (b"a" * 32, b"a" * 32),
        b"30 1 %s %s 00000000\n" % (b"z" * 32, b"a" * 32),
        b"\xff\x1b[2J" * 100,
    ],
)
def test_a_header_of_another_shape_is_named(header: bytes) -> None:
    with pytest.raises(CorruptJournal, match=r"^here: "):
        decode(header, "here")


@pytest.mark.parametrize(
    "raw",
    [
        DEEP,
        b"[]",
        b"[1,2,3,4]",
        b'["10","%s",0,3]' % (b"a" * 32),
        b'[10,"zz",0,3]',
        b'[10,"%s",0,0]' % (b"a" * 32),
        b'[-1,"%s",0,3]' % (b"a" * 32),
        b"7",
        b"\xff",
        b'{"a":1,"b":2,"c":3,"d":4}',
    ],
    ids=lambda raw: f"Z17 {raw[:20]!r}",
)
def test_a_snapshot_of_another_shape_is_named(raw: bytes) -> None:
    with pytest.raises(CorruptJournal, match=r"^here cannot be read"):
        decode_snapshot(raw, "here")


@pytest.mark.parametrize(
    "raw",
    [BOMB, DEEP, b"[7]", b"[{}]", b"\xff", packed(b"{}"), packed(DEEP), b""],
    ids=lambda raw: f"Z17 {raw[:10]!r}",
)
async def test_damaged_samples_are_named(redis: Redis, raw: bytes) -> None:
    await redis.hset(Keys(JOB).kept, "11", raw)
    with pytest.raises(CorruptJournal, match="the samples of step 11 cannot be read"):
        await segments.kept(redis, await jobs.load(redis, JOB), 11)


# A job that is said to be done


async def cut_short(client: Redis) -> None:
    await client.rpop(Keys(JOB).log(3))


async def emptied(client: Redis) -> None:
    await client.delete(*[Keys(JOB).log(segment) for segment in range(4)])


async def replaced(client: Redis) -> None:
    await run(TASK, Settings(k=3, segment=10, seed=7), model=towers_double(), job="twin", redis=client)
    await client.rename(Keys("twin").log(2), Keys(JOB).log(3))


async def another_end(client: Redis) -> None:
    step, _, state, k, _ = json.loads(await client.hget(Keys(JOB).segments, "3"))
    end = Snapshot(step, "0" * 32, state, k)

    await client.hset(Keys(JOB).segments, "3", encode_snapshot(end))


async def another_head(client: Redis) -> None:
    await client.hset(Keys(JOB).meta, "head", "0" * 32)


async def said_to_be_longer(client: Redis) -> None:
    await client.hset(Keys(JOB).meta, "next", "32")


async def no_snapshots(client: Redis) -> None:
    await client.delete(Keys(JOB).segments)


async def forged(client: Redis) -> None:
    """The last answer exchanged, with its checksum, but for the chain."""
    raw = (await client.lrange(Keys(JOB).log(3), -1, -1))[0]
    header, _, payload = raw.partition(b"\n")
    rows = json.loads(zlib.decompress(payload))
    rows[-1][0][0] = [1, 0, 1]
    fresh = zlib.compress(canonical(rows))
    fields = header.split(b" ")
    await client.lset(
        Keys(JOB).log(3), -1, b" ".join([*fields[:4], b"%08x" % zlib.crc32(fresh)]) + b"\n" + fresh
    )


@pytest.mark.parametrize(
    "damage",
    [cut_short, emptied, replaced, another_end, another_head, said_to_be_longer, no_snapshots, forged],
    ids=lambda damage: f"Z16 {damage.__name__}",
)
async def test_a_job_that_is_said_to_be_done_is_not_called_solved_when_its_end_is_damaged(
    redis: Redis, damage: Callable[[Redis], Any]
) -> None:
    sound = await read_report(redis, JOB, TASK)
    assert (sound.solved, sound.steps, sound.steps_read_back) == (True, 31, 1)
    await damage(redis)
    with pytest.raises(CorruptJournal):
        await read_report(redis, JOB, TASK)


async def test_each_segment_is_read_once_for_a_report(redis: Redis) -> None:
    async def reads() -> int:
        return int((await redis.info("commandstats")).get("cmdstat_lrange", {"calls": 0})["calls"])

    before = await reads()
    found = await read_report(redis, JOB, TASK)
    assert len(found.contested_steps) > 8  # in three segments at least
    assert await reads() - before <= 1 + 4 + 1  # the list of contested steps, their segments, the end


# Anything at all

values = (
    st.binary(max_size=40)
    | st.text(max_size=20).map(str.encode)
    | st.integers().map(lambda n: b"%d" % n)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
places = st.sampled_from(
    [
        *(("meta", field) for field in (*FIELDS, "stall", "n:votes", "n:flag:x", "fence", "fences")),
        ("segments", "2"),
        ("segments", "3"),
        ("kept", "11"),
        ("contested", ""),
        ("log", ""),
        ("lease", ""),
    ]
)


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(damage=st.lists(st.tuples(places, values), min_size=1, max_size=2), stalled=st.booleans())
async def test_random_damage_raises_our_errors_alone(
    redis: Redis, written: dict[bytes, bytes], damage: Any, stalled: bool
) -> None:
    await restored(redis, written)
    if stalled:
        await redis.hset(Keys(JOB).meta, "status", "stalled")
    for (key, field), value in damage:
        if key == "log":
            await redis.lset(Keys(JOB).log(3), 0, frame(packed(value)))
        elif key == "lease":
            await redis.set(Keys(JOB).lease, value)
        elif key == "contested":
            await redis.rpush(Keys(JOB).contested, value)
        else:
            await redis.hset(getattr(Keys(JOB), key), field, value)
    await everything(redis)

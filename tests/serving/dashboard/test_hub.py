"""One look serves every browser, costs little, and sends nothing that grows with the job."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from pydantic_core import to_json
from redis import Redis

import surefoot
from surefoot import Settings, Towers
from surefoot.models.doubles import towers_double
from surefoot.orchestration import records
from surefoot.orchestration.deletion import delete
from surefoot.orchestration.journal.jobs import load
from surefoot.orchestration.redis import open_redis
from surefoot.serving.dashboard import Hub
from surefoot.serving.dashboard.figures import (
    AT_ONCE,
    LATEST,
    SPREAD,
    Figures,
    LatestSteps,
    SegmentFigures,
    added,
)
from surefoot.serving.dashboard.hub import Topic
from surefoot.serving.dashboard.texts import LINE, fit, shortened


async def run(redis: str, job: str, disks: int, **settings: Any) -> None:
    model = towers_double(error=0.1, invalid=0.02, seed=2)
    await surefoot.run(Towers(disks, "compact"), Settings(k=3, **settings), model=model, redis=redis, job=job)


async def test_figures_are_those_of_the_records_one_by_one(empty: str) -> None:
    await run(empty, "job", 7, segment=20)
    async with open_redis(empty) as redis:
        job = await load(redis, "job")
        every = [record async for record in records(redis, job)]
        figures = Figures(redis)
        parts = [await figures.segment(job, segment) for segment in range(7)]
        spread = await figures.spread(job)
    assert spread == parts
    whole = added(parts)
    assert whole._replace(notable=()) == SegmentFigures.of(0, every)._replace(notable=())
    assert (whole.votes, whole.contested) == (job.counters["votes"], job.counters["contested"])
    assert whole.against == job.counters["dissent"] and whole.flags == job.flags
    assert whole.usage == job.usage
    leads = Counter(each.votes - max((votes for _, votes in each.others), default=0) for each in every)
    assert whole.margins == leads
    contested = [each.step for each in every if each.others or each.flags]
    assert whole.notable[-1].step == contested[-1]


async def test_of_a_long_job_a_bounded_part_is_read(empty: str) -> None:
    await run(empty, "job", 9, segment=5)  # 103 segments
    async with open_redis(empty) as redis:
        job = await load(redis, "job")
        figures = Figures(redis)
        latest = await figures.latest(job, LatestSteps())
        spread = await figures.spread(job)
    assert latest is not None and spread is not None
    assert latest.steps == LATEST * 5 + 1 and latest.first == 511 - latest.steps
    assert [part.first for part in spread] == [*range(0, 511, 10)] and len(spread) <= SPREAD


async def test_of_a_running_job_one_more_segment_is_read_at_a_time(empty: str) -> None:
    await run(empty, "job", 9, segment=10)
    async with open_redis(empty) as redis:
        job = (await load(redis, "job"))._replace(holder="somebody")
        figures, shown, read = Figures(redis), LatestSteps(), []
        for _ in range(LATEST - AT_ONCE + 2):
            latest = await figures.latest(job, shown)
            assert latest is not None
            read.append(latest.steps)
    assert read[0] == 10 * AT_ONCE
    assert [after - before for before, after in pairwise(read)] == [10] * (LATEST - AT_ONCE - 1) + [11, 0]


async def test_segments_that_are_too_long_are_left_alone(empty: str) -> None:
    await run(empty, "job", 4, segment=50_000)
    async with open_redis(empty) as redis:
        job = await load(redis, "job")
        assert await Figures(redis).latest(job, LatestSteps()) is None
        assert await Figures(redis).spread(job) is None


async def test_a_view_does_not_grow_with_the_job(empty: str) -> None:
    sizes = []
    for disks in (7, 10):
        await run(empty, f"job-{disks}", disks, segment=25)
        async with open_redis(empty) as redis:
            hub = Hub(redis)
            await hub.look()
            sizes.append(len(to_json(await hub.job(f"job-{disks}"))))
    assert sizes[1] < sizes[0] + 1_000 and max(sizes) < 8_000


async def test_twenty_browsers_are_told_the_same_by_one_look(empty: str) -> None:
    await run(empty, "job", 6)
    async with open_redis(empty) as redis:
        hub = Hub(redis)
        streams = [hub.updates(Topic(job="job")) for _ in range(20)]
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await asyncio.sleep(0)
        with Redis.from_url(empty) as client:
            before = client.info("commandstats")
            await hub.look()
            texts = await asyncio.gather(*waiting)
            after = client.info("commandstats")
        assert hub.browsers == 20
        views = {json.dumps(json.loads(text[6:])["view"]) for text in texts}
        assert len(views) == 1
        read = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
        assert read["cmdstat_hgetall"] == 2  # the job, and the stitched ones
        assert read["cmdstat_lrange"] == 1
        for stream in streams:
            await stream.aclose()
        assert hub.browsers == 0


async def test_what_did_not_change_is_not_sent_again(empty: str) -> None:
    await run(empty, "job", 5)
    async with open_redis(empty) as redis:
        hub = Hub(redis)
        await hub.look()
        stream = hub.updates(Topic(job="job"))
        await anext(stream)
        again = asyncio.ensure_future(anext(stream))
        for _ in range(3):
            await hub.look()
            await hub._tell(Topic(job="job"))
        assert not again.done()
        await delete(redis, "job")
        await hub.look()
        await hub._tell(Topic(job="job"))
        assert json.loads((await again)[6:])["view"]["status"] == "missing"
        await stream.aclose()


async def test_what_keeps_a_look_from_being_taken_is_said_until_one_is(empty: str) -> None:
    async with open_redis(empty, patience_s=0.05) as redis:
        hub = Hub(redis)
        watching = asyncio.create_task(hub.watch())
        stream = hub.updates(Topic())
        assert json.loads((await anext(stream))[6:])["view"]["trouble"] == ""
        with Redis.from_url(empty) as client:
            client.set("surefoot:stitched", "no hash")
        said = json.loads((await anext(stream))[6:])["view"]["trouble"]
        assert "the list of stitched jobs is not of the type that was written" in said
        with Redis.from_url(empty) as client:
            client.delete("surefoot:stitched")
        assert json.loads((await anext(stream))[6:])["view"]["trouble"] == ""
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await stream.aclose()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("\ud800", r"\ud800"),
        ("x" * 301, "x" * 300 + "… and 1 characters more"),
    ],
)
def test_a_text_is_bounded_and_hides_nothing(text: str, shown: str) -> None:
    assert shortened(text, LINE) == shown
    assert to_json(fit({text: [text, (text,)]})) == to_json({shown: [shown, [shown]]})

"""A job that a person has suspended stands still before its next step, keeps its runner, and goes on as if nothing had been."""

import asyncio
from contextlib import suppress

import pytest
from redis import Redis

import surefoot
from surefoot import BadInput, Budget, Settings, Speculation, Stalled, Towers
from surefoot.models.doubles import Garbage, towers_double
from surefoot.orchestration.budget import Paused
from surefoot.orchestration.events import Back, Began, Event, StepDecided, Waiting
from surefoot.orchestration.journal import Cancelled, NoSuchJob, jobs, stitched
from surefoot.orchestration.meter import Meter
from surefoot.orchestration.redis import open_redis
from surefoot.orchestration.workers import read_stitched, stitch
from surefoot.voting.samples import NOTHING

TASK = Towers(7, "compact")
LEAD = Settings(k=3, segment=30)


class Heard:
    """What a run has said."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.began, self.stands = asyncio.Event(), asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Began):
            self.began.set()
        if isinstance(event, Waiting) and event.on == "person":
            self.stands.set()

    def decided(self, events: list[Event]) -> int:
        return sum(isinstance(event, StepDecided) for event in events)

    def halves(self) -> tuple[list[Event], list[Event], list[Event]]:
        """What came before the job stood still, meanwhile, and after."""
        kinds = [type(event) if getattr(event, "on", "") == "person" else None for event in self.events]
        stood, went = kinds.index(Waiting), kinds.index(Back)
        return self.events[:stood], self.events[stood + 1 : went], self.events[went + 1 :]


@pytest.mark.parametrize("speculate", [None, Speculation("leading", capacity=16)], ids=str)
async def test_it_stands_still_with_its_runner_and_goes_on_to_the_same_end(
    redis_url: str, speculate: Speculation | None
) -> None:
    whole = await surefoot.run(TASK, LEAD, model=towers_double(error=0.05, seed=4), redis=redis_url)
    heard = Heard()
    async with open_redis(redis_url) as redis:
        running = asyncio.create_task(
            surefoot.run(
                TASK,
                LEAD,
                model=towers_double(error=0.05, seed=4, latency=0.02),
                redis=redis,
                job="held",
                speculate=speculate,
                on_event=heard,
            )
        )
        await heard.began.wait()
        await jobs.suspend(redis, "held")
        await heard.stands.wait()
        stood = await jobs.load(redis, "held")
        await jobs.suspend(redis, "held", off=True)
        report = await running
        after = await jobs.load(redis, "held")
    before, meanwhile, later = heard.halves()
    assert (stood.status, stood.suspended) == ("running", True) and stood.holder is not None
    assert heard.decided(meanwhile) == 0
    assert stood.step == heard.decided(before)  # durable before it stood still
    assert 0 < stood.step < 127 and heard.decided(before) + heard.decided(later) == 127
    assert (report.head, after.suspended) == (whole.head, False)


async def test_taken_up_it_stands_still_before_the_first_step(redis_url: str) -> None:
    model = towers_double()
    await surefoot.run(TASK, LEAD, model=model, redis=redis_url, job="held", budget=Budget(steps=5))
    heard = Heard()
    async with open_redis(redis_url) as redis:
        await jobs.suspend(redis, "held")
        running = asyncio.create_task(surefoot.resume("held", model=model, redis=redis, on_event=heard))
        await heard.stands.wait()
        await jobs.suspend(redis, "held", off=True)
        assert (await running).solved
    before, meanwhile, _ = heard.halves()
    assert heard.decided(before) == heard.decided(meanwhile) == 0
    said = next(event.sentence for event in heard.events if isinstance(event, Waiting))
    assert said == "job 'held' is suspended; `surefoot suspend held --off` lets it go on"


async def test_cancelled_meanwhile_it_ends(redis_url: str) -> None:
    model = towers_double()
    await surefoot.run(TASK, LEAD, model=model, redis=redis_url, job="held", budget=Budget(steps=5))
    heard = Heard()
    async with open_redis(redis_url) as redis:
        await jobs.suspend(redis, "held")
        running = asyncio.create_task(surefoot.resume("held", model=model, redis=redis, on_event=heard))
        await heard.stands.wait()
        await jobs.cancel(redis, "held")
        with pytest.raises(Cancelled):
            await running


def test_the_time_that_it_stood_still_is_no_long_step() -> None:
    now = 0.0
    meters = [
        Meter(Budget(wall_s=100), step=0, spent=NOTHING, ahead={}, before=NOTHING, clock=lambda: now)
        for _ in range(2)
    ]
    for meter in meters:
        meter.check(0)
    now = 60.0
    meters[0].rested()
    meters[0].check(1)
    with pytest.raises(Paused):  # the next step may take as long
        meters[1].check(1)


async def test_a_stitched_job_is_suspended_part_by_part(redis_url: str) -> None:
    model = towers_double()
    await stitch(TASK, LEAD, parts=4, model=model, redis=redis_url, job="tall", budget=Budget(tokens=2_500))
    async with open_redis(redis_url) as redis:
        known = await stitched.load(redis, "tall")
        await stitched.suspend(redis, known)
        parts = await jobs.listed(redis, known.names)
        assert {(part.status == "done", part.suspended) for part in parts if isinstance(part, jobs.Job)} == {
            (True, False),
            (False, True),
        }
        await stitched.suspend(redis, known, off=True)
        await stitch(TASK, LEAD, parts=4, model=model, redis=redis, job="tall")
        assert (await read_stitched(redis, "tall")).solved
        with pytest.raises(BadInput, match="no part that somebody could work on"):
            await stitched.suspend(redis, known)


async def test_a_limit_that_was_set_holds_for_whoever_takes_the_job_up(redis_url: str) -> None:
    thrown = []
    async with open_redis(redis_url) as redis:
        with suppress(Stalled):
            await surefoot.run(TASK, Settings(k=2, limit=10), model=Garbage(), redis=redis, job="stuck")
        thrown.append((await jobs.load(redis, "stuck")).flags)
        await jobs.set_limit(redis, "stuck", 30)
        with suppress(Stalled):
            await surefoot.resume("stuck", model=Garbage(), redis=redis)
        thrown.append((await jobs.load(redis, "stuck")).flags)
    assert [sum(flags.values()) for flags in thrown] == [10, 10 + 30]


async def test_what_cannot_be_is_refused(redis_url: str) -> None:
    async with open_redis(redis_url) as redis:
        await surefoot.run(
            Towers(2, "compact"), Settings(k=1), model=towers_double(), redis=redis, job="over"
        )
        for change in (jobs.suspend(redis, "over"), jobs.set_limit(redis, "over", 50)):
            with pytest.raises(BadInput, match="done already"):
                await change
        for change in (jobs.suspend(redis, "nobody"), jobs.set_limit(redis, "nobody", 50)):
            with pytest.raises(NoSuchJob):
                await change
        with pytest.raises(BadInput, match="limit must be at least 1"):
            await jobs.set_limit(redis, "over", 0)
    with Redis.from_url(redis_url) as client:
        client.hset("surefoot:{over}:meta", "limit", "many")
    with pytest.raises(surefoot.SurefootError, match="cannot be read"):
        await surefoot.report("over", redis=redis_url)

"""What a listener hears of a run, in which order, and what it can do to it: nothing."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from itertools import groupby
from typing import Any

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Budget, Columns, Report, Settings, Speculation, Stalled, Towers
from surefoot.models.base import Message, Prompt
from surefoot.models.doubles import Double, Garbage, towers_double
from surefoot.models.doubles.server import DoubleServer, Fault
from surefoot.orchestration.events import (
    AuditBegan,
    Audited,
    Back,
    Began,
    Calibrating,
    Committed,
    Counts,
    Ended,
    Event,
    Missed,
    Noted,
    Repaired,
    SegmentBegan,
    StepDecided,
    Undecided,
    Waiting,
    current_run,
)
from surefoot.orchestration.journal import jobs, segments
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.record import Record
from surefoot.orchestration.stream import Unread
from surefoot.voting.samples import Usage

PATIENCE_S = 60.0
K2 = Settings(k=2)
K3 = Settings(k=3)


def told(events: list[Event]) -> list[type[Event]]:
    """The kinds in order, each once for all that follow each other."""
    return [kind for kind, _ in groupby(map(type, events))]


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def counted(events: list[Event]) -> dict[str, int]:
    """What all commits have counted, in the words of a report."""
    counts = [event.counts for event in of(Committed, events)]
    flags = [sum(count.flags.values()) for count in counts]
    return {
        "votes": sum(count.votes for count in counts),
        "contested": sum(count.contested for count in counts),
        "flags": sum(flags),
        "tokens": sum(count.usage.total for count in counts),
    }


def in_report(report: Report) -> dict[str, Any]:
    return {
        "votes": report.votes,
        "contested": report.contested,
        "flags": sum(report.red_flags.values()),
        "tokens": report.tokens.total,
    }


async def test_a_small_run_is_told_in_order(redis_url: str) -> None:
    events: list[Event] = []
    model = towers_double(error=0.05, invalid=0.05, seed=3)
    report = await surefoot.run(
        Towers(3, "compact"),
        Settings(reliability=0.9, segment=4),
        model=model,
        redis=redis_url,
        on_event=events.append,
    )
    segment = [SegmentBegan, StepDecided, Committed, AuditBegan, Audited]
    assert told(events) == [Calibrating, Noted, Began, *segment, *segment, Ended]
    assert [event.step for event in of(StepDecided, events)] == list(range(7))
    assert [event.step for event in of(Committed, events)][-1] == 7
    assert of(Audited, events) == [Audited(segment=0), Audited(segment=1)]
    assert events[-1] == Ended(report=report)
    assert counted(events) == in_report(report)
    asked = of(Calibrating, events)
    assert asked[0].asked == 0 < asked[-1].asked == asked[-1].states
    async with Redis.from_url(redis_url) as client:
        job = await jobs.load(client, report.job)
        for event in of(StepDecided, events):
            record = await segments.record(client, job, event.step)
            kept = (record.answer, record.votes, record.against, record.flags)
            assert (event.answer, event.votes, event.dissent, event.flags) == kept


async def test_a_commit_is_told_after_its_steps(redis_url: str) -> None:
    events: list[Event] = []
    model = towers_double(latency=0.02)
    await surefoot.run(Towers(5, "compact"), K2, model=model, redis=redis_url, on_event=events.append)
    decided = 0
    for event in events:
        if isinstance(event, StepDecided):
            decided = event.step + 1
        elif isinstance(event, Committed):
            assert event.step <= decided
    assert len(of(Committed, events)) > 3, "commits are made by time, between the steps"


async def test_a_stall_is_told_before_the_end(redis_url: str) -> None:
    events: list[Event] = []
    task = Towers(3, "compact")
    with pytest.raises(Stalled) as stalled:
        await surefoot.run(
            task, Settings(k=2, limit=10), model=Garbage(), redis=redis_url, on_event=events.append
        )
    assert told(events) == [Began, SegmentBegan, Undecided, Ended]
    undecided, ended = events[-2:]
    assert isinstance(undecided, Undecided)
    assert (undecided.step, undecided.tally, sum(undecided.flags.values())) == (0, {}, 10)
    assert undecided.examples == tuple(sample.text for sample in stalled.value.examples)
    assert ended == Ended(error=stalled.value)


def columns_double(**options: float) -> Double:
    def right(prompt: Prompt) -> str:
        message = prompt[-1]
        assert isinstance(message, Message)
        a, _, b, _, digit, _, carry = message.content.split()
        return f"{int(a) * int(b) + int(digit) + int(carry):02d}"

    def wrong(prompt: Prompt, which: int) -> str:
        return f"{(int(right(prompt)) + 1 + which % 99) % 100:02d}"

    return Double(right, wrong, **options)  # type: ignore[arg-type]


async def test_a_repair_is_told_with_its_fault_and_its_larger_k(redis_url: str) -> None:
    events: list[Event] = []
    report = await surefoot.run(
        Columns((98765, 4321)),
        Settings(k=1, segment=4),
        model=columns_double(error=0.1, seed=1),
        redis=redis_url,
        on_event=events.append,
    )
    assert report.solved
    assert len(of(Repaired, events)) == report.repairs > 0
    at = events.index(of(Repaired, events)[0])
    fault, repaired, again = events[at - 1 : at + 2]
    assert isinstance(fault, Audited)
    assert "is not" in fault.fault
    assert repaired == Repaired(segment=fault.segment, step=4 * fault.segment)
    assert again == SegmentBegan(segment=fault.segment, k=2)
    assert counted(events) == in_report(report)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.002)


async def test_an_outage_of_redis_is_told_with_its_end(start_server: Callable[..., Any]) -> None:
    server, events = start_server(), list[Event]()
    model = towers_double(latency=0.003)
    task = Towers(7, "compact")
    running = asyncio.create_task(
        surefoot.run(task, K3, model=model, redis=server.url, on_event=events.append)
    )
    await until(lambda: of(Committed, events))
    server.kill()
    await until(lambda: of(Waiting, events))
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(PATIENCE_S):
        assert (await running).solved
    outage = [event for event in events if isinstance(event, Waiting | Back)]
    assert {event.on for event in outage} == {"redis"}
    assert "Redis is gone" in outage[0].sentence
    assert isinstance(outage[-1], Back)
    assert of(Committed, events[events.index(outage[-1]) :])


async def test_an_outage_of_a_model_is_told_with_its_end(redis_url: str) -> None:
    events: list[Event] = []
    async with DoubleServer(towers_double(latency=0.003)) as server:
        running = asyncio.create_task(
            surefoot.run(Towers(6, "compact"), K2, model=server.url, redis=redis_url, on_event=events.append)
        )
        await until(lambda: of(StepDecided, events))
        server.fail(Fault("status", status=503), times=2)
        async with asyncio.timeout(PATIENCE_S):
            assert (await running).solved
    outage = [event for event in events if isinstance(event, Waiting | Back)]
    assert told(outage) == [Waiting, Back]
    assert {event.on for event in outage} == {"model"}
    assert "next try in" in outage[0].sentence


async def test_a_listener_of_several_runs_can_tell_them_apart(redis_url: str) -> None:
    heard: dict[object, list[Event]] = {}

    def listen(event: Event) -> None:
        heard.setdefault(current_run(), []).append(event)

    slow = towers_double(latency=0.001)
    names = ["one", "other", "third"]
    runs = [
        surefoot.run(Towers(5, "compact"), K2, model=slow, redis=redis_url, job=name, on_event=listen)
        for name in names
    ]
    await asyncio.gather(*runs)
    assert current_run() is None and None not in heard
    assert sorted(began.job for events in heard.values() for began in of(Began, events)) == names
    for events in heard.values():
        assert [event.step for event in of(StepDecided, events)] == list(range(31))
        # Commits are told by the journal's pulse, too, a task of its own.
        assert of(Committed, events)[-1].step == 31 and isinstance(events[-1], Ended)
        assert counted(events)["votes"] == of(Ended, events)[0].report.votes


async def test_a_job_that_is_taken_up_begins_with_the_counts_so_far(redis_url: str) -> None:
    task, model = Towers(5, "compact"), towers_double(error=0.05, invalid=0.05, seed=4)
    job: dict[str, Any] = {"model": model, "redis": redis_url}
    events: list[Event] = []
    first = await surefoot.run(task, K3, job="long", budget=Budget(steps=10), on_event=events.append, **job)
    assert events[-1] == Ended(report=first)
    assert first.status == "stopped"
    events.clear()
    report = await surefoot.resume("long", on_event=events.append, **job)
    began = events[0]
    assert isinstance(began, Began)
    assert (began.step, began.counts.votes, dict(began.counts.flags)) == (10, first.votes, first.red_flags)
    assert [event.step for event in of(StepDecided, events)] == list(range(10, 31))
    assert counted(events)["votes"] == report.votes - first.votes
    events.clear()
    assert await surefoot.resume("long", on_event=events.append, **job) == report
    assert events == [Ended(report=report)]


@pytest.mark.parametrize("draft", [None, "leading", "recall"])
async def test_a_display_counts_what_the_report_counts(redis_url: str, draft: Any) -> None:
    progress = Progress()
    report = await surefoot.run(
        Towers(6, "compact"),
        Settings(k=3, segment=20),
        model=towers_double(error=0.1, invalid=0.1, seed=5),
        redis=redis_url,
        speculate=Speculation(draft) if draft else None,
        on_event=progress.listen,
    )
    assert (progress.step, progress.durable, progress.steps) == (63, 63, 63)
    assert (progress.votes, progress.contested) == (report.votes, report.contested)
    assert (progress.flags, progress.usage.total) == (report.red_flags, report.tokens.total)
    assert progress.dissent_rate == report.dissent_rate
    assert progress.ahead["ahead"] == (report.speculation.asked_ahead if report.speculation else 0)


async def test_a_listener_that_raises_ends_no_run_and_hears_nothing_more(redis_url: str) -> None:
    heard: list[Event] = []
    failed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))

    def listen(event: Event) -> None:
        heard.append(event)
        if isinstance(event, StepDecided):
            raise OSError("the disk is full")

    report = await surefoot.run(
        Towers(4, "compact"), K2, model=towers_double(), redis=redis_url, on_event=listen
    )
    assert (report.solved, report.steps) == (True, 15)
    assert told(heard) == [Began, SegmentBegan, StepDecided]
    assert [str(context["exception"]) for context in failed] == ["the disk is full"]
    assert "StepDecided" in failed[0]["message"]


# --- the iterator ---


async def test_the_last_event_of_the_iterator_has_the_report(redis_url: str) -> None:
    task = Towers(4, "compact")
    events = [event async for event in surefoot.events(task, K2, model=towers_double(), redis=redis_url)]
    assert told(events) == [Began, SegmentBegan, StepDecided, Committed, AuditBegan, Audited, Ended]
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.report is not None
    assert await surefoot.report(ended.report.job, redis=redis_url, task=task) == ended.report


async def test_the_iterator_raises_what_the_run_raises_after_its_last_event(redis_url: str) -> None:
    events: list[Event] = []
    with pytest.raises(Stalled) as stalled:
        async for event in surefoot.events(
            Towers(3, "compact"), Settings(k=2, limit=10), model=Garbage(), redis=redis_url
        ):
            events.append(event)
    assert events[-1] == Ended(error=stalled.value)
    with pytest.raises(BadInput, match="segment must be at least 1"):
        async for _ in surefoot.events(Towers(3, "compact"), Settings(segment=0), redis=redis_url):
            pass
    with pytest.raises(BadInput, match="on_event"):
        async for _ in surefoot.events(Towers(3, "compact"), redis=redis_url, on_event=events.append):
            pass


async def test_a_reader_that_sleeps_stops_no_run_and_still_counts_all(redis_url: str) -> None:
    """It reads one event, and the next when the whole job is done, 4095 steps later."""
    task, model = Towers(12, "compact"), towers_double(error=0.02, seed=6)
    events: list[Event] = []
    async with Redis.from_url(redis_url) as client:
        async for event in surefoot.events(task, K3, model=model, redis=redis_url, job="whole"):
            if not events:
                async with asyncio.timeout(PATIENCE_S):
                    while (await jobs.load(client, "whole")).status != "done":
                        await asyncio.sleep(0.01)
            events.append(event)
    (missed,) = of(Missed, events)
    assert missed.events > 1000
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.report is not None
    assert ended.report.solved
    assert counted(events) == in_report(ended.report)


async def test_closing_the_iterator_cancels_the_run_in_order(redis_url: str) -> None:
    task, model = Towers(10, "compact"), towers_double(latency=0.001)
    how: dict[str, Any] = {"settings": K2, "model": model, "redis": redis_url, "job": "begun"}
    decided = 0
    async with aclosing(surefoot.events(task, **how)) as events:
        async for event in events:
            if isinstance(event, StepDecided) and (decided := event.step + 1) >= 20:
                break
    async with Redis.from_url(redis_url) as client:
        assert not await client.exists(Keys("begun").lease)
        job = await jobs.load(client, "begun")
    assert decided <= job.step < 1023
    assert (await surefoot.run(task, **how)).solved


async def test_a_cancelled_reader_cancels_the_run_in_order(redis_url: str) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        model = towers_double(latency=500.0)
        async for event in surefoot.events(
            Towers(5, "compact"), K2, model=model, redis=redis_url, job="hung"
        ):
            if isinstance(event, SegmentBegan):
                begun.set()

    reading = asyncio.create_task(read())
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
        reading.cancel()
        await asyncio.wait([reading])
    assert reading.cancelled()
    async with Redis.from_url(redis_url) as client:
        assert not await client.exists(Keys("hung").lease)


def counts(votes: int, flags: Mapping[str, int]) -> Counts:
    return Counts(
        votes=votes, dissent=0, contested=0, flags=flags, ahead={"ahead": 1}, usage=Usage(prompt=votes)
    )


async def test_unread_events_take_bounded_memory_and_lose_no_count() -> None:
    unread = Unread(most=8)
    for step in range(10_000):
        unread.listen(StepDecided(record=Record(step, step, 3)))
        unread.listen(Committed(step=step + 1, counts=counts(3, {"malformed": step % 2})))
        unread.listen(Repaired(segment=step, step=step))
    unread.listen(Ended())
    unread.close()
    events = [event async for event in unread]
    assert len(events) == 8 + 1 + 4
    (missed,) = of(Missed, events)
    assert missed.events + len(events) - 1 == 30_001
    assert events[8] is missed
    assert told(events[9:]) == [StepDecided, Committed, Repaired, Ended]
    assert counted(events) == {"votes": 30_000, "contested": 0, "flags": 5_000, "tokens": 30_000}
    assert sum(event.counts.ahead["ahead"] for event in of(Committed, events)) == 10_000
    assert sum(event.times for event in of(Repaired, events)) == 10_000
    assert of(StepDecided, events)[-1].step == 9_999


async def test_a_reader_that_keeps_up_again_hears_every_event() -> None:
    unread = Unread(most=2)
    for step in range(5):
        unread.listen(Committed(step=step, counts=counts(1, {})))
    assert [(await anext(unread)) for _ in range(2)] == [
        Committed(step=step, counts=counts(1, {})) for step in range(2)
    ]
    assert await anext(unread) == Missed(events=2)
    latest = await anext(unread)
    assert isinstance(latest, Committed)
    assert (latest.step, latest.counts.votes) == (4, 3)
    unread.listen(Noted(sentence="on time"))
    assert await anext(unread) == Noted(sentence="on time")

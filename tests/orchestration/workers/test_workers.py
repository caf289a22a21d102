"""Parts of one job at the same time, by any number of workers, killed or not: each once, and the same result."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping

import pytest
from redis.asyncio import Redis

from surefoot import Columns, Settings, Task, Towers
from surefoot.agents.tasks.task import Value
from surefoot.models.base import Prompt
from surefoot.models.doubles import Double, Garbage, towers_double
from surefoot.orchestration.events import Calibrating, Event, Noted
from surefoot.orchestration.journal import jobs, stitched
from surefoot.orchestration.reporting import records
from surefoot.orchestration.workers import StitchedReport, begin, read_stitched, stitch, work
from surefoot.tools.towers.board import optimal_move
from surefoot.voting import NotAnAnswer

SETTINGS = Settings(k=3, segment=5)
PARTS = 6
TASK = Towers(6, "compact")
MODEL = towers_double(error=0.1, invalid=0.05)
WORKER = """
import asyncio, sys
from surefoot.models.doubles import towers_double
from surefoot.orchestration.workers import work
print("working", flush=True)
asyncio.run(work(sys.argv[2], redis=sys.argv[1], model=towers_double(error=0.1, invalid=0.05, latency=float(sys.argv[3]))))
"""


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


class Down(Task[int, int]):
    """Count down, by steps of one; `lie` is the boundary that is told wrongly."""

    name = "down"

    def __init__(self, first: int = 20, lie: int = -1) -> None:
        self.first, self.lie = first, lie

    def spec(self) -> Mapping[str, Value]:
        return {"first": self.first, "lie": self.lie}

    def start(self) -> int:
        return self.first

    def ask(self, state: int, view: int = 0) -> Prompt:
        return str(state)

    def read(self, text: str, state: int, view: int = 0) -> int:
        if not text.isdecimal():
            raise NotAnAnswer("no number")
        return int(text)

    def advance(self, state: int, answer: int) -> int:
        return answer

    def finished(self, state: int) -> bool:
        return state == 0

    def steps(self) -> int:
        return self.first

    def boundary(self, step: int) -> int:
        return self.first - step + (step == self.lie)


def down_double(stuck: int = -1) -> Double:
    """Right, but for one number at which no answer can be read."""
    return Double(
        lambda prompt: "?" if prompt == str(stuck) else str(int(str(prompt)) - 1), lambda prompt, which: "?"
    )


async def in_workers(redis: Redis, job: str, count: int) -> StitchedReport:
    assert await begin(TASK, SETTINGS, parts=PARTS, model=MODEL, redis=redis, job=job) == job
    finished = await asyncio.gather(*(work(job, redis=redis, model=MODEL) for _ in range(count)))
    assert sum(finished) == PARTS
    return await read_stitched(redis, job)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
async def test_the_result_is_the_same_with_any_number_of_workers(redis: Redis, count: int) -> None:
    alone = await stitch(TASK, SETTINGS, parts=PARTS, model=MODEL, redis=redis, job="alone")
    report = await in_workers(redis, "several", count)
    assert (report.solved, report.status, report.kind, report.steps) == (True, "done", "stitched", 63)
    assert report.head == alone.head and len(report.head) == 32
    assert [part.head for part in report.parts] == [part.head for part in alone.parts]
    assert [(part.first, part.steps) for part in report.parts] == [
        *((0, 10), (10, 11), (21, 10), (31, 11), (42, 10), (52, 11))
    ]
    assert sum(report.workers.values()) == 63 and not report.faults


async def test_each_step_is_decided_once_and_right_and_sums_are_those_of_the_parts(redis: Redis) -> None:
    report = await in_workers(redis, "job", 2)
    parts = [await jobs.load(redis, part.job) for part in report.parts]
    answers = [record.answer for part in parts async for record in records(redis, part)]
    assert [tuple(answer[0]) for answer in answers] == [tuple(optimal_move(6, step)) for step in range(63)]
    counted = [part.counters for part in parts]
    assert report.votes == sum(each["votes"] for each in counted) > 3 * 63
    assert report.contested == sum(each.get("contested", 0) for each in counted) > 0
    assert sum(report.red_flags.values()) == sum(sum(part.flags.values()) for part in parts) > 0
    assert report.tokens.total == sum(part.usage.known("total") or 0 for part in parts)
    contested = [contest.step for contest in report.contested_steps]
    assert contested == sorted(contested) and contested[-1] >= 11  # counted over the whole


async def test_one_calibration_is_for_all_parts(redis: Redis) -> None:
    settings = Settings(reliability=0.99, states=60)
    report = await stitch(TASK, settings, parts=4, model=towers_double(error=0.02), redis=redis, job="job")
    assert report.solved and report.calibration is not None and report.risk is not None
    parts = [await jobs.load(redis, part.job) for part in report.parts]
    assert {part.k for part in parts} == {report.k}
    risks = [part.risk for part in parts]
    assert 1 - report.risk == pytest.approx(
        (1 - risks[0]) * (1 - risks[1]) * (1 - risks[2]) * (1 - risks[3])  # type: ignore[operator]
    )
    # It is on the bill of the whole, once.
    assert [part.calibrated and part.calibrated.calibration for part in parts] == [None] * 4


async def test_those_who_begin_it_at_the_same_time_calibrate_once(redis: Redis) -> None:
    settings, calibrations = Settings(reliability=0.99, states=60), 0

    def listen(event: Event) -> None:
        nonlocal calibrations
        calibrations += isinstance(event, Calibrating) and event.asked == 60

    model = towers_double(error=0.02, latency=0.001)
    reports = await asyncio.gather(
        *(
            stitch(TASK, settings, parts=4, model=model, redis=redis, job="job", on_event=listen)
            for _ in range(3)
        )
    )
    assert calibrations == 1
    assert all(report.solved for report in reports) and len({report.head for report in reports}) == 1


async def test_a_worker_that_is_killed_in_a_part_leaves_it_to_another(redis: Redis, redis_url: str) -> None:
    calm = await in_workers(redis, "calm", 1)
    await begin(TASK, SETTINGS, parts=PARTS, model=MODEL, redis=redis, job="killed")
    victim = subprocess.Popen(
        [sys.executable, "-c", WORKER, redis_url, "killed", "0.05"], stdout=subprocess.PIPE
    )
    try:
        while not any(
            0 < part.steps < part.steps_expected for part in (await read_stitched(redis, "killed")).parts
        ):
            assert victim.poll() is None
            await asyncio.sleep(0.02)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    before = await read_stitched(redis, "killed")
    assert not before.solved and 0 < before.steps < 63
    finished = await work("killed", redis=redis, model=MODEL)
    report = await read_stitched(redis, "killed")
    assert report.solved and report.head == calm.head
    assert finished == PARTS - sum(part.status == "done" for part in before.parts)
    # What the killed one had made durable is not done again.
    assert len(report.workers) == 2 and sum(report.workers.values()) == 63


async def test_a_worker_waits_for_what_others_hold(redis: Redis, redis_url: str) -> None:
    await begin(TASK, SETTINGS, parts=2, model=MODEL, redis=redis, job="job")
    other = subprocess.Popen([sys.executable, "-c", WORKER, redis_url, "job", "0.02"], stdout=subprocess.PIPE)
    try:
        while (await read_stitched(redis, "job")).status != "running":
            assert other.poll() is None
            await asyncio.sleep(0.02)
        assert await work("job", redis=redis, model=MODEL) <= 1
        assert (await read_stitched(redis, "job")).solved  # also the part that the other one held
        assert other.wait(20) == 0
    finally:
        other.kill()
        other.wait()


async def test_it_is_taken_up_by_the_same_call_and_as_it_was_begun(redis: Redis) -> None:
    for _ in range(2):
        report = await stitch(TASK, SETTINGS, parts=3, model=MODEL, redis=redis, job="job")
        assert report.solved and report.votes < 63 * 6
    assert await work("job", redis=redis, model=MODEL) == 0
    assert await begin(TASK, Settings(k=9), parts=3, model=MODEL, redis=redis, job="job") == "job"
    assert (await read_stitched(redis, "job")).k == 3


@pytest.mark.parametrize("at_once", [1, 5])
async def test_a_part_that_stalls_is_named_and_the_others_go_on(redis: Redis, at_once: int) -> None:
    notes: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Noted):
            notes.append(event.sentence)

    stuck = down_double(stuck=9)
    settings = Settings(k=2, limit=6)
    report = await stitch(
        Down(), settings, parts=5, model=stuck, redis=redis, job="job", at_once=at_once, on_event=listen
    )
    assert (report.status, report.solved, report.head) == ("stalled", False, "")
    assert [part.status for part in report.parts] == ["done", "done", "stalled", "done", "done"]
    assert report.faults == ["part job/2 stalled after 3 steps; `surefoot show job/2` says more"]
    assert len(notes) == 1 and "step 3 stalled" in notes[0] and "job/2" in notes[0]
    # It is left as it is, unless it is wanted again.
    assert await work("job", redis=redis, model=down_double(), task=Down) == 0
    assert await work("job", redis=redis, model=down_double(), task=Down, again=True) == 1
    assert (await read_stitched(redis, "job", Down)).solved


async def test_parts_that_stall_again_are_tried_once(redis: Redis) -> None:
    await stitch(TASK, Settings(k=2, limit=4), parts=3, model=Garbage(), redis=redis, job="job")
    notes: list[Event] = []
    assert await work("job", redis=redis, model=Garbage(), again=True, on_event=notes.append) == 0
    assert sum(isinstance(event, Noted) for event in notes) == 3


async def test_a_boundary_that_is_wrong_is_a_fault_that_is_named(redis: Redis) -> None:
    report = await stitch(
        Down(20, lie=8), Settings(k=1), parts=5, model=down_double(), redis=redis, job="job"
    )
    assert (report.status, report.solved) == ("failed", False)
    assert [part.status for part in report.parts] == ["done", "failed", "failed", "done", "done"]
    assert any(
        "part job/1 ended at another state than job/2 started from" in fault for fault in report.faults
    )


async def test_an_end_that_was_changed_in_the_journal_is_a_fault(redis: Redis) -> None:
    assert (await stitch(Down(), Settings(k=1), parts=4, model=down_double(), redis=redis, job="job")).solved
    keys = jobs.Keys("job/1")
    other = await redis.hget(jobs.Keys("job/2").segments, "0")
    assert other is not None
    await redis.hset(keys.segments, "0", other)
    report = await read_stitched(redis, "job")
    assert (report.status, report.solved, len(report.faults)) == ("failed", False, 1)
    assert "part job/1 is done, and its last segment is not sealed there" in report.faults[0]


async def test_other_tasks_with_known_states(redis: Redis) -> None:
    double = Double(_sum, lambda prompt, which: "00")
    report = await stitch(
        Columns((98765, 4321)), Settings(k=1), parts=7, model=double, redis=redis, job="columns"
    )
    assert report.solved and report.steps == 20


def _sum(prompt: Prompt) -> str:
    message = prompt[-1]
    assert not isinstance(message, str)
    a, _, b, _, digit, _, carry = message.content.split()
    return f"{int(a) * int(b) + int(digit) + int(carry):02d}"


async def test_a_cancelled_job_stays_so_until_it_is_wanted_again(redis: Redis) -> None:
    await begin(TASK, SETTINGS, parts=3, model=MODEL, redis=redis, job="job")
    await stitched.cancel(redis, await stitched.load(redis, "job"))
    assert await work("job", redis=redis, model=MODEL) == 0
    report = await read_stitched(redis, "job")
    assert report.status == "cancelled" and "part job/0 was cancelled" in report.faults[0]
    assert await work("job", redis=redis, model=MODEL, again=True) == 3
    assert (await read_stitched(redis, "job")).solved

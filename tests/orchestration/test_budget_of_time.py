"""A run stops in order before its time is over: since the job began, or of work on it."""

import time
from typing import Any

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Budget, Purse, Settings, Towers
from surefoot.models.doubles import Garbage, towers_double
from surefoot.orchestration.budget import OverBudget, Paused
from surefoot.orchestration.meter import Meter
from surefoot.voting.samples import NOTHING

TENS = Settings(k=3, segment=10)
META = "surefoot:{slow}:meta"


def towers(disks: int = 6) -> Towers:
    return Towers(disks, "compact")


class Clock:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def meter(budget: Budget, clock: Clock, **given: Any) -> Meter:
    return Meter(budget, step=0, spent=NOTHING, ahead={}, before=NOTHING, clock=clock, **given)


def steps_taken(watch: Meter, clock: Clock, *seconds: float) -> tuple[int, str]:
    """Take steps of so many seconds until the meter says no, and return how many, and its word."""
    for step, each in enumerate(seconds):
        try:
            watch.check(step)
        except Paused as pause:
            return step, pause.bound
        clock.now += each
    return len(seconds), ""


@pytest.mark.parametrize(
    ("budget", "bound"),
    [
        (Budget(wall_s=10), "wall_time"),
        (Budget(working_s=10), "working_time"),
        (Budget(working_s=10, wall_s=1000), "working_time"),
        (Budget(working_s=1000, wall_s=10), "wall_time"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        ([1] * 20, 9),  # the tenth would end at the bound
        ([3, 1, 1, 1, 1, 1, 1], 5),  # 7 s are spent, and the dearest step took 3
        ([25, 1], 1),  # a first step that is too long cannot be foreseen
        ([0] * 20, 20),
        ([6, 1], 1),
    ],
    ids=str,
)
def test_a_step_that_would_overshoot_is_not_begun(
    budget: Budget, bound: str, seconds: list[float], taken: int
) -> None:
    clock = Clock()
    found = steps_taken(meter(budget, clock), clock, *seconds)
    assert found == (taken, bound if taken < len(seconds) else "")


def test_what_has_passed_before_the_run_counts() -> None:
    clock = Clock()
    assert steps_taken(meter(Budget(wall_s=10), clock, wall_s=10), clock, 1) == (0, "wall_time")
    assert steps_taken(meter(Budget(working_s=10), clock, wall_s=99, working_s=6), clock, *[1] * 9) == (
        3,
        "working_time",
    )


def test_an_election_gets_no_further_samples_once_the_time_is_over() -> None:
    clock = Clock()
    watch = meter(Budget(wall_s=10), clock)
    watch.check(0)
    clock.now += 9
    watch.check_more(0, NOTHING, 3, 1)
    clock.now += 1
    with pytest.raises(Paused) as pause:
        watch.check_more(0, NOTHING, 4, 1)
    assert pause.value.bound == "wall_time"


@pytest.mark.parametrize(("field", "ago"), [("wall_s", "created"), ("working_s", "n:wall_ms")])
async def test_an_old_job_stops_at_once_and_a_larger_budget_may_go_on(
    redis_url: str, field: str, ago: str
) -> None:
    job: dict[str, Any] = {"model": towers_double(), "redis": redis_url}
    await surefoot.run(towers(), TENS, job="slow", budget=Budget(steps=20), **job)
    async with Redis.from_url(redis_url) as redis:
        hour_old = f"{time.time() - 3600:.6f}" if ago == "created" else 3_600_000
        await redis.hset(META, ago, hour_old)  # type: ignore[misc]
    report = await surefoot.resume("slow", budget=Budget(**{field: 3600.0}), **job)
    assert (report.status, report.steps) == ("stopped", 20)
    assert report.bound == ("wall_time" if field == "wall_s" else "working_time")
    assert "than the budget of 3,600 s" in (report.stopped or "")
    done = await surefoot.resume("slow", budget=Budget(**{field: 7200.0}), **job)
    assert (done.solved, done.bound) == (True, None)


async def test_the_time_of_a_step_that_stalls_is_work_too(redis_url: str) -> None:
    class Slow(Garbage):
        async def sample(self, asks: Any) -> Any:
            time.sleep(0.03)
            async for each in super().sample(asks):
                yield each

    for _ in range(2):
        with pytest.raises(surefoot.Stalled):
            await surefoot.run(towers(), Settings(k=3, limit=3), model=Slow(), redis=redis_url, job="slow")
    assert (await surefoot.report("slow", redis=redis_url)).wall_s >= 0.06


async def test_a_calibration_that_would_take_longer_than_the_budget_ends_after_its_first_states(
    redis_url: str,
) -> None:
    class Slow(Garbage):
        async def sample(self, asks: Any) -> Any:
            time.sleep(0.02)
            async for each in super().sample(asks):
                yield each

    for budget in (Budget(wall_s=0.05), Budget(working_s=0.05), Budget(shared=Purse(wall_s=0.05))):
        with pytest.raises(
            OverBudget, match=r"calibrating on 200 states takes too much.* s since it began|work"
        ):
            await surefoot.run(towers(9), Settings(states=200), model=Slow(), redis=redis_url, budget=budget)
    assert await surefoot.jobs(redis=redis_url) == []


@pytest.mark.parametrize("bound", ["wall_s", "working_s"])
@pytest.mark.parametrize("given", [0, -1.0, float("inf"), float("nan")])
def test_a_time_that_cannot_be_is_refused(bound: str, given: float) -> None:
    with pytest.raises(BadInput, match=f"a budget of {bound} must be above 0, not {given!r}"):
        Budget(**{bound: given})

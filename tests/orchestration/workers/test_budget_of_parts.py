"""What workers may spend together on a stitched job, and how it is shown as a whole."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from surefoot import BadInput, Budget, Price, Settings, Towers
from surefoot.cli.display import progress_line
from surefoot.models.doubles import towers_double
from surefoot.orchestration import Event, OverBudget, StitchedStands
from surefoot.orchestration.budget import Purse
from surefoot.orchestration.progress import ProgressOfSeveral
from surefoot.orchestration.workers import begin, read_stitched, stitch, work

TASK = Towers(6, "compact")
K2 = Settings(k=2)
MODEL = towers_double()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def taken(redis: Redis) -> int:
    """Tokens that the whole job takes."""
    report = await stitch(TASK, K2, parts=6, model=MODEL, redis=redis, job="whole")
    assert report.solved and report.tokens.total
    return report.tokens.total


@pytest.mark.parametrize(
    "wrong",
    [Budget(steps=5), Budget(turns=5), Budget(working_s=5), Budget(tokens=9, shared=Purse(tokens=5))],
)
async def test_bounds_of_a_job_in_one_piece_are_refused(redis: Redis, wrong: Budget) -> None:
    with pytest.raises(BadInput, match="a budget of tokens, of cost, or of time"):
        await stitch(TASK, K2, parts=3, model=MODEL, redis=redis, job="job", budget=wrong)
    assert await redis.keys("*") == []
    await begin(TASK, K2, parts=3, model=MODEL, redis=redis, job="job")
    with pytest.raises(BadInput, match="a budget of tokens, of cost, or of time"):
        await work("job", redis=redis, model=MODEL, budget=wrong)


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(
    ("bound", "of"),
    [
        ("tokens", lambda tokens: Budget(tokens=tokens)),
        ("cost", lambda tokens: Budget(cost=tokens / 1e6, price=Price(1, 1))),
    ],
)
async def test_the_sum_over_the_parts_is_kept(
    redis: Redis, taken: int, at_once: int, bound: str, of: Callable[[int], Budget]
) -> None:
    half = taken // 2
    report = await stitch(
        TASK, K2, parts=6, model=MODEL, redis=redis, job="job", at_once=at_once, budget=of(half)
    )
    assert (report.status, report.solved, report.bound) == ("stopped", False, bound)
    assert report.stopped and "would be more than the budget" in report.stopped
    assert report.tokens.total is not None and 0.8 * half < report.tokens.total <= half
    # The same once more has nothing left; whoever has more goes on.
    assert await work("job", redis=redis, model=MODEL, budget=of(half)) == 0
    again = await read_stitched(redis, "job")
    assert (again.tokens.total, again.steps) == (report.tokens.total, report.steps)
    assert await work("job", redis=redis, model=MODEL, budget=of(2 * taken)) > 0
    assert (await read_stitched(redis, "job")).solved


async def test_what_other_workers_spend_counts(redis: Redis, taken: int) -> None:
    await begin(TASK, K2, parts=6, model=MODEL, redis=redis, job="job")
    half = Budget(tokens=taken // 2)
    await asyncio.gather(*(work("job", redis=redis, model=MODEL, budget=half) for _ in range(3)))
    report = await read_stitched(redis, "job")
    # Each knows what the others had spent when it looked last: before it took the part that it stopped in, at the earliest.
    assert report.bound == "tokens" and report.tokens.total is not None
    assert 0.4 * taken < report.tokens.total < taken


async def test_time_is_that_since_the_job_began(redis: Redis) -> None:
    await begin(TASK, K2, parts=6, model=MODEL, redis=redis, job="job")
    assert await work("job", redis=redis, model=MODEL, budget=Budget(wall_s=1e-6)) == 0
    report = await read_stitched(redis, "job")
    assert (report.bound, report.steps) == ("wall_time", 0)
    assert await work("job", redis=redis, model=MODEL, budget=Budget(wall_s=3600)) == 6


async def test_the_calibration_counts(redis: Redis) -> None:
    calibrated = Settings(reliability=0.9, states=60)
    with pytest.raises(OverBudget):
        await stitch(TASK, calibrated, parts=3, model=MODEL, redis=redis, job="job", budget=Budget(tokens=50))
    report = await stitch(TASK, calibrated, parts=3, model=MODEL, redis=redis, job="job")
    assert report.solved and report.calibration and report.calibration.tokens and report.tokens.total
    budget = Budget(tokens=report.calibration.tokens + report.tokens.total // 2)
    stopped = await stitch(TASK, calibrated, parts=3, model=MODEL, redis=redis, job="again", budget=budget)
    assert stopped.bound == "tokens" and stopped.tokens.total
    assert 0.3 * report.tokens.total < stopped.tokens.total <= report.tokens.total // 2


async def test_a_worker_shows_the_whole_with_what_others_have_done(redis: Redis) -> None:
    settings = Settings(reliability=0.99, states=60)
    await begin(TASK, settings, parts=6, model=MODEL, redis=redis, job="job")
    await stitch(TASK, settings, parts=6, model=MODEL, redis=redis, job="job", budget=Budget(tokens=10**9))
    events: list[Event] = []
    progress = ProgressOfSeveral()
    for listen in (events.append, progress.listen):
        assert await work("job", redis=redis, model=MODEL, on_event=listen) == 0
    (stands,) = [event for event in events if isinstance(event, StitchedStands)]
    report = await read_stitched(redis, "job")
    assert (stands.job, stands.parts, stands.done, stands.step, stands.steps) == ("job", 6, 6, 63, 63)
    assert (stands.counts.votes, stands.risk) == (report.votes, report.risk)
    assert (progress.parts_done, progress.parts, progress.step, progress.steps) == (6, 6, 63, 63)
    assert (progress.votes, progress.k, progress.task) == (report.votes, report.k, "towers")
    line = progress_line(progress)
    assert line.startswith("job: running, step 63 of 63, ") and "parts 6 of 6, " in line


async def test_an_eta_is_that_of_all_workers_and_each_job_begins_anew(redis: Redis) -> None:
    progress = ProgressOfSeveral()
    steps: list[tuple[int, int | None, float | None]] = []

    def listen(event: Event) -> None:
        progress.listen(event)
        steps.append((progress.step, progress.steps, progress.eta_s))

    for job in ("one", "two"):
        progress.job = job  # as the command line does
        await begin(TASK, K2, parts=6, model=MODEL, redis=redis, job=job)
        assert await work(job, redis=redis, model=MODEL, on_event=listen) == 6
        assert progress.job == job and (progress.step, progress.steps) == (63, 63)
        assert all(step <= 63 and of == 63 for step, of, _ in steps)
        assert steps[0] == (0, 63, None)
        assert any(eta is not None and eta > 0 for _, _, eta in steps)
        steps.clear()

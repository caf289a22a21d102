"""Several runs spend from one purse, and together never more than is in it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

import surefoot
from surefoot import BadInput, Budget, Price, Purse, Settings, Speculation, Stalled, Towers
from surefoot.models import Ask
from surefoot.models.doubles import Garbage, towers_double
from surefoot.orchestration.budget import OverBudget
from surefoot.voting import Sample
from surefoot.voting.samples import Usage

TENS = Settings(k=3, segment=10)
RUNS = 8


def towers(disks: int = 5) -> Towers:
    return Towers(disks, "compact")


async def fleet(redis_url: str, purse: Purse, **given: Any) -> list[surefoot.Report]:
    return await asyncio.gather(
        *[
            surefoot.run(
                towers(),
                TENS,
                model=towers_double(error=0.2, seed=number),
                redis=redis_url,
                job=f"run {number}",
                budget=Budget(shared=purse),
                **given,
            )
            for number in range(RUNS)
        ]
    )


def tokens(reports: Sequence[surefoot.Report]) -> int:
    spent = 0
    for report in reports:
        assert report.tokens.total is not None
        spent += report.tokens.total
        if report.speculation is not None:
            spent += (report.speculation.wasted_tokens or 0) + (report.speculation.draft_tokens or 0)
    return spent


@pytest.mark.parametrize("speculate", [None, Speculation("leading", capacity=16)], ids=str)
async def test_runs_together_never_overspend_and_a_larger_purse_may_go_on(
    redis_url: str, speculate: Speculation | None
) -> None:
    small = Purse(tokens=4_000)
    stopped = await fleet(redis_url, small, speculate=speculate)
    # Of a step that was asked about ahead, further samples are not held back: each run's may be more than any before.
    dearer = 0 if speculate is None else RUNS * 70
    assert tokens(stopped) == small.tokens <= 4_000 + dearer
    assert small.tokens > 2_000
    over = [report for report in stopped if report.status != "done"]
    assert over
    assert {(report.status, report.bound) for report in over} == {("stopped", "tokens")}
    assert "with all runs that share a purse" in (over[0].stopped or "")
    large = Purse(tokens=10**9)
    done = await fleet(redis_url, large, speculate=speculate)
    assert all(report.solved for report in done)
    assert tokens(done) == small.tokens + large.tokens


async def test_a_purse_of_money_goes_by_the_prices(redis_url: str) -> None:
    purse = Purse(cost=0.004, price=Price(1, 1))
    reports = await fleet(redis_url, purse)
    assert {report.bound for report in reports} >= {"cost"}
    assert 2_000 < tokens(reports) == purse.tokens <= 4_000


def test_what_others_have_set_aside_is_not_there_until_they_let_go_of_it() -> None:
    purse = Purse(tokens=100)
    assert purse.reserve("a", Usage(prompt=60)) is None
    over = purse.reserve("b", Usage(prompt=60))
    assert over is not None
    assert over.bound == "tokens"
    assert purse.reserve("b", Usage(prompt=40)) is None
    assert purse.reserve("b", Usage(prompt=41)) is not None
    assert purse.excess(Usage(prompt=1)) is not None  # its 40 are kept
    purse.keep("a")
    assert purse.reserve("b", Usage(prompt=100)) is None  # its own 40 are no hindrance
    purse.spend(Usage(prompt=30), 20)
    assert purse.tokens == 50
    assert purse.reserve("b", Usage(prompt=51)) is not None
    assert purse.reserve("b", Usage(prompt=50)) is None


def test_a_run_that_has_no_step_behind_it_sets_aside_what_the_dearest_of_others_took() -> None:
    purse = Purse(tokens=100)
    assert purse.reserve("first", None) is None
    purse.learn(Usage(prompt=30, completion=10))
    purse.learn(Usage(prompt=10, completion=20))
    assert purse.reserve("a", None) is None
    assert purse.reserve("b", None) is None  # 50 and 50
    assert purse.reserve("c", Usage(prompt=1)) is not None


async def test_the_time_of_a_purse_is_over_for_all(redis_url: str) -> None:
    now = 0.0

    class Slow:
        name = "slow"
        _double = towers_double()

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            nonlocal now
            now += 10
            async for each in self._double.sample(asks):
                yield each

    purse = Purse(wall_s=100, clock=lambda: now)
    budget = Budget(shared=purse)
    reports = await asyncio.gather(
        *[surefoot.run(towers(), TENS, model=Slow(), redis=redis_url, budget=budget) for _ in range(3)]
    )
    assert {(report.status, report.bound) for report in reports} == {("stopped", "wall_time")}
    assert 1 <= sum(report.steps for report in reports) <= 10


async def test_what_a_step_that_stalls_has_cost_is_out_of_the_purse(redis_url: str) -> None:
    purse = Purse(tokens=10**6)
    with pytest.raises(Stalled):
        await surefoot.run(
            towers(),
            Settings(k=2, limit=20),
            model=Garbage(),
            redis=redis_url,
            job="junk",
            budget=Budget(shared=purse),
        )
    assert 0 < purse.tokens == (await surefoot.report("junk", redis=redis_url)).tokens.total


async def test_what_an_election_has_cost_that_the_purse_cuts_short_is_out_of_it_too(redis_url: str) -> None:
    purse = Purse(tokens=200)
    report = await surefoot.run(
        towers(), Settings(k=2), model=Garbage(), redis=redis_url, budget=Budget(shared=purse)
    )
    assert (report.status, report.bound) == ("stopped", "tokens")
    assert 0 < purse.tokens == report.tokens.total <= 200


async def test_a_run_that_is_cancelled_leaves_what_it_had_set_aside(redis_url: str) -> None:
    begun = asyncio.Event()

    class Hanging:
        name = "hanging"

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            begun.set()
            await asyncio.Event().wait()
            yield 0, Sample("")

    purse = Purse(tokens=100)
    purse.learn(Usage(prompt=80))
    run = asyncio.create_task(
        surefoot.run(towers(), TENS, model=Hanging(), redis=redis_url, budget=Budget(shared=purse))
    )
    await begun.wait()
    assert purse.excess(Usage(prompt=21)) is not None
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert purse.excess(Usage(prompt=100)) is None


async def test_a_calibration_is_out_of_the_purse(redis_url: str) -> None:
    purse = Purse(tokens=10**6)
    model, settings = towers_double(), Settings(states=31)
    report = await surefoot.run(towers(), settings, model=model, redis=redis_url, budget=Budget(shared=purse))
    assert report.calibration is not None
    assert purse.tokens == report.calibration.tokens + report.tokens.total  # type: ignore[operator]
    poor = Purse(tokens=500)
    with pytest.raises(OverBudget, match="with all runs that share a purse"):
        await surefoot.run(towers(), settings, model=model, redis=redis_url, budget=Budget(shared=poor))


async def test_a_bound_of_its_own_holds_beside_the_purse(redis_url: str) -> None:
    purse = Purse(tokens=10**6)
    report = await surefoot.run(
        towers(), TENS, model=towers_double(), redis=redis_url, budget=Budget(steps=3, shared=purse)
    )
    assert (report.bound, report.steps) == ("steps", 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tokens": 0}, "a budget of tokens must be above 0"),
        ({"cost": 5.0}, "both, a cost and the price"),
        ({"wall_s": "9"}, "wall_s of Budget must be of type float | None, not '9'"),
    ],
)
def test_a_purse_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        Purse(**given)
    assert said in str(refused.value)
    with pytest.raises(BadInput, match=r"shared of Budget must be of type Purse \| None, not 5"):
        Budget(shared=5)  # type: ignore[arg-type]

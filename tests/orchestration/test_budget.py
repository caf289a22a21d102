"""A run stops in order before its budget of steps, tokens or money is overspent, and goes on with a larger one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Budget, Price, Settings, Speculation, Towers
from surefoot.models.base import Ask
from surefoot.models.doubles import Double, Garbage, towers_double
from surefoot.models.doubles.towers import towers_right, towers_wrong
from surefoot.orchestration.budget import OverBudget
from surefoot.orchestration.engine.open_step import StepStalled
from surefoot.voting.samples import Sample, Usage

TENS = Settings(k=3, segment=10)
AHEAD = Speculation("leading", capacity=64)
PRICE = Price(1.0, 3.0)


def towers(disks: int = 6) -> Towers:
    return Towers(disks, "compact")


@pytest.mark.parametrize("speculate", [None, Speculation("leading"), Speculation("recall")], ids=str)
async def test_a_run_takes_so_many_steps_and_no_more(redis_url: str, speculate: Speculation | None) -> None:
    model = towers_double(error=0.1, seed=1)
    whole = await surefoot.run(towers(), TENS, model=model, redis=redis_url)
    for turn in range(4):
        report = await surefoot.run(
            towers(),
            TENS,
            model=model,
            redis=redis_url,
            job="by steps",
            budget=Budget(steps=17),
            speculate=speculate,
        )
        assert report.steps == min(63, 17 * (turn + 1))
        assert (report.status, report.solved) == (("done", True) if turn == 3 else ("stopped", False))
        if turn < 3:
            assert (
                report.stopped
                == f"stopped before step {report.steps}: the run has taken the 17 steps that it may"
            )
            assert report.bound == "steps"
    assert (report.stopped, report.bound) == (None, None)
    assert report.head == whole.head


@pytest.mark.parametrize("speculate", [None, Speculation("leading"), Speculation("recall")], ids=str)
@pytest.mark.parametrize("error", [0.0, 0.2])
async def test_a_budget_of_tokens_is_never_overspent_and_a_larger_one_may_go_on(
    redis_url: str, error: float, speculate: Speculation | None
) -> None:
    model = towers_double(error=error, seed=2)
    whole = await surefoot.run(towers(), TENS, model=model, redis=redis_url)
    job: dict[str, Any] = {"model": model, "redis": redis_url}
    steps = []
    for share in (0.2, 0.5, 0.8):
        budget = Budget(tokens=int(whole.tokens.total * share))  # type: ignore[operator]
        if steps:
            report = await surefoot.resume("poor", budget=budget, speculate=speculate, **job)
        else:
            report = await surefoot.run(towers(), TENS, job="poor", budget=budget, speculate=speculate, **job)
        wasted = report.speculation.wasted_tokens if report.speculation else 0
        assert report.tokens.total + wasted <= budget.tokens  # type: ignore[operator]
        assert report.status == "stopped"
        assert report.stopped is not None
        assert report.bound == "tokens"
        assert f"more than the budget of {budget.tokens:,}" in report.stopped
        steps.append(report.steps)
    assert steps == sorted(steps)
    assert steps[-1] > (30 if speculate is None else 0)
    done = await surefoot.resume("poor", **job)
    assert (done.solved, done.head, done.stopped, done.bound) == (True, whole.head, None, None)


async def test_what_a_stalled_step_has_cost_is_billed_to_the_job_and_counts_for_its_budget(
    redis_url: str,
) -> None:
    async def go() -> surefoot.Report:
        junk, settings = Garbage(), Settings(k=2, limit=20)
        return await surefoot.run(
            towers(), settings, model=junk, redis=redis_url, job="junk", budget=Budget(tokens=1000)
        )

    spent = []
    for _ in range(2):
        with pytest.raises(surefoot.Stalled):
            await go()
        found = await surefoot.report("junk", redis=redis_url)
        assert found.status == "stalled"
        spent.append((found.tokens.total, sum(found.red_flags.values())))
    assert spent == [(spent[0][0], 20), (2 * spent[0][0], 40)]
    assert spent[0][0] > 100
    while (report := await resumed(go)) is None:
        pass
    assert "more than the budget of 1,000" in (report.stopped or "")
    assert 0 < (report.tokens.total or 0) <= 1000


async def resumed(go: Any) -> surefoot.Report | None:
    try:
        return await go()  # type: ignore[no-any-return]
    except surefoot.Stalled:
        return None


async def test_what_an_election_has_cost_that_a_budget_cuts_short_is_billed_too(redis_url: str) -> None:
    report = await surefoot.run(
        towers(), Settings(k=2), model=Garbage(), redis=redis_url, budget=Budget(tokens=200)
    )
    assert report.status == "stopped"
    assert 0 < (report.tokens.total or 0) <= 200


async def test_a_budget_in_money_goes_by_the_prices(redis_url: str) -> None:
    model = towers_double(error=0.1, seed=3)
    whole = await surefoot.run(towers(), Settings(k=3), model=model, redis=redis_url)

    def cost(report: surefoot.Report) -> float:
        return PRICE.of(report.tokens.prompt, report.tokens.completion, 0)  # type: ignore[arg-type]

    budget = Budget(cost=cost(whole) / 2, price=PRICE)
    half = await surefoot.run(
        towers(), Settings(k=3), model=model, redis=redis_url, job="half", budget=budget
    )
    assert (half.status, half.bound) == ("stopped", "cost")
    assert cost(whole) / 3 < cost(half) <= cost(whole) / 2
    done = await surefoot.resume(
        "half", model=model, redis=redis_url, budget=Budget(cost=cost(whole) * 1.1, price=PRICE)
    )
    assert done.solved


async def test_a_calibration_that_would_cost_more_than_the_budget_ends_after_its_first_states(
    redis_url: str,
) -> None:
    with pytest.raises(OverBudget, match=r"calibrating on 200 states takes too much.*budget of 500"):
        await surefoot.run(
            towers(9), Settings(states=200), model=towers_double(), redis=redis_url, budget=Budget(tokens=500)
        )
    assert await surefoot.jobs(redis=redis_url) == []


async def test_the_tokens_of_the_calibration_count(redis_url: str) -> None:
    free = await surefoot.run(towers(), Settings(states=63), model=towers_double(), redis=redis_url)
    assert free.calibration is not None
    budget = Budget(tokens=free.calibration.tokens + free.tokens.total // 2)  # type: ignore[operator]
    poor = await surefoot.run(
        towers(), Settings(states=63), model=towers_double(), redis=redis_url, budget=budget
    )
    assert poor.status == "stopped"
    assert 0 < poor.steps <= 32


async def test_a_journal_from_before_the_word_is_read_and_may_go_on(redis_url: str) -> None:
    job: dict[str, Any] = {"model": towers_double(), "redis": redis_url}
    await surefoot.run(towers(), TENS, job="old", budget=Budget(steps=5), **job)
    async with Redis.from_url(redis_url) as redis:
        assert await redis.hdel("surefoot:{old}:meta", "bound") == 1  # type: ignore[misc]
    old = await surefoot.report("old", redis=redis_url)
    assert (old.status, old.bound, old.steps) == ("stopped", None, 5)
    assert "the 5 steps that it may" in (old.stopped or "")
    assert (await surefoot.resume("old", **job)).solved


async def test_the_word_is_of_the_run_that_stopped_and_of_no_later_one(redis_url: str) -> None:
    await surefoot.run(
        towers(), TENS, job="cut", model=towers_double(), redis=redis_url, budget=Budget(steps=5)
    )
    with pytest.raises(surefoot.Stalled):
        await surefoot.resume("cut", model=Garbage(), redis=redis_url, limit=5)
    stalled = await surefoot.report("cut", redis=redis_url)
    assert (stalled.status, stalled.bound) == ("stalled", None)
    await surefoot.resume("cut", model=towers_double(), redis=redis_url, budget=Budget(tokens=1))
    stopped = await surefoot.report("cut", redis=redis_url)
    assert (stopped.status, stopped.bound) == ("stopped", "tokens")


def test_what_a_server_does_not_count_cannot_be_kept_to() -> None:
    silent = Usage(prompt=5, uncounted=1)
    over = Budget(tokens=100).over(silent)
    assert over is not None
    assert over.bound == "tokens"
    assert "does not say what 1 samples have cost" in over.sentence
    assert Budget(steps=100).over(silent) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": 0}, "a budget of steps must be above 0, not 0"),
        ({"tokens": -5}, "a budget of tokens must be above 0, not -5"),
        ({"cost": float("nan"), "price": PRICE}, "a budget of cost must be above 0, not nan"),
        ({"cost": 1.0}, "both, a cost and the price"),
        ({"price": PRICE}, "both, a cost and the price"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Budget(**given)


class Counting:
    """A model of another's answers that counts what it was asked, and takes its time."""

    name = "counting"

    def __init__(self, inner: Double) -> None:
        self.inner, self.asked = inner, 0

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        self.asked += len(asks)
        await asyncio.sleep(0.005)
        for place, ask in enumerate(asks):
            yield place, self.inner.draw(ask)


async def test_what_was_asked_ahead_is_on_the_bill_when_a_run_stops(redis_url: str) -> None:
    model = Counting(towers_double())
    for turn in (1, 2):
        report = await surefoot.run(
            towers(), TENS, model=model, redis=redis_url, job="ahead", budget=Budget(steps=7), speculate=AHEAD
        )
        assert (report.status, report.steps) == ("stopped", 7 * turn)
        assert report.speculation is not None
        assert report.samples + report.speculation.wasted_samples == model.asked
    assert report.speculation.wasted_samples > 0


async def test_a_step_that_stalls_and_all_that_was_ahead_of_it_are_on_the_bill(redis_url: str) -> None:
    model = Counting(towers_double(hard=0.05, hard_error=0.5, seed=1))
    with pytest.raises(StepStalled) as stalled:
        await surefoot.run(
            towers(10),
            Settings(k=6, limit=8),
            model=model,
            redis=redis_url,
            job="stalls",
            speculate=AHEAD,
        )
    report = await surefoot.report("stalls", redis=redis_url)
    assert report.speculation is not None
    drawn = sum(stalled.value.tally.values()) + sum(stalled.value.flags.values())
    assert report.samples + drawn + report.speculation.wasted_samples == model.asked


@pytest.mark.parametrize("speculate", [None, Speculation("leading", capacity=8)], ids=str)
async def test_an_election_gets_further_samples_only_within_the_budget(
    redis_url: str, speculate: Speculation | None
) -> None:
    task = towers()
    task.views = 1  # a step that is hard is so in every view
    divided = Double(towers_right, lambda prompt, _: towers_wrong(prompt, 0), hard=0.1, hard_error=0.5)
    for tokens in (400, 800, 1_200):
        report = await surefoot.run(
            task,
            Settings(k=10, limit=10_000),
            model=divided,
            redis=redis_url,
            budget=Budget(tokens=tokens),
            speculate=speculate,
        )
        assert (report.status, report.bound) == ("stopped", "tokens")
        wasted = report.speculation.wasted_tokens if report.speculation else 0
        assert 0 < (report.tokens.total or 0) + (wasted or 0) <= tokens

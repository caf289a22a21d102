"""A run stops in order before its budget of steps, tokens or money is overspent, and goes on with a larger one."""

from typing import Any

import pytest

import surefoot
from surefoot import BadInput, Budget, Price, Speculation, Towers
from surefoot.models.doubles import towers_double
from surefoot.orchestration.budget import OverBudget
from surefoot.voting.samples import Usage

PRICE = Price(1.0, 3.0)


def towers(disks: int = 6) -> Towers:
    return Towers(disks, "compact")


@pytest.mark.parametrize("speculate", [None, Speculation("leading"), Speculation("recall")], ids=str)
async def test_a_run_takes_so_many_steps_and_no_more(redis_url: str, speculate: Speculation | None) -> None:
    model = towers_double(error=0.1, seed=1)
    whole = await surefoot.run(towers(), model=model, redis=redis_url, k=3, segment=10)
    for turn in range(4):
        report = await surefoot.run(
            towers(),
            model=model,
            redis=redis_url,
            k=3,
            segment=10,
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
    assert report.stopped is None
    assert report.head == whole.head


@pytest.mark.parametrize("speculate", [None, Speculation("leading"), Speculation("recall")], ids=str)
@pytest.mark.parametrize("error", [0.0, 0.2])
async def test_a_budget_of_tokens_is_never_overspent_and_a_larger_one_goes_on(
    redis_url: str, error: float, speculate: Speculation | None
) -> None:
    model = towers_double(error=error, seed=2)
    whole = await surefoot.run(towers(), model=model, redis=redis_url, k=3, segment=10)
    job: dict[str, Any] = {"model": model, "redis": redis_url}
    steps = []
    for share in (0.2, 0.5, 0.8):
        budget = Budget(tokens=int(whole.tokens.total * share))  # type: ignore[operator]
        if steps:
            report = await surefoot.resume("poor", budget=budget, speculate=speculate, **job)
        else:
            report = await surefoot.run(
                towers(), job="poor", k=3, segment=10, budget=budget, speculate=speculate, **job
            )
        wasted = report.speculation.wasted_tokens if report.speculation else 0
        assert report.tokens.total + wasted <= budget.tokens  # type: ignore[operator]
        assert report.status == "stopped"
        assert report.stopped is not None
        assert f"more than the budget of {budget.tokens:,}" in report.stopped
        steps.append(report.steps)
    assert steps == sorted(steps)
    assert steps[-1] > (30 if speculate is None else 0)
    done = await surefoot.resume("poor", **job)
    assert (done.solved, done.head, done.stopped) == (True, whole.head, None)


async def test_a_budget_in_money_goes_by_the_prices(redis_url: str) -> None:
    model = towers_double(error=0.1, seed=3)
    whole = await surefoot.run(towers(), model=model, redis=redis_url, k=3)

    def cost(report: surefoot.Report) -> float:
        return PRICE.of(report.tokens.prompt, report.tokens.completion, 0)  # type: ignore[arg-type]

    budget = Budget(cost=cost(whole) / 2, price=PRICE)
    half = await surefoot.run(towers(), model=model, redis=redis_url, k=3, job="half", budget=budget)
    assert half.status == "stopped"
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
            towers(9), model=towers_double(), redis=redis_url, states=200, budget=Budget(tokens=500)
        )
    assert await surefoot.jobs(redis=redis_url) == []


async def test_the_tokens_of_the_calibration_count(redis_url: str) -> None:
    free = await surefoot.run(towers(), model=towers_double(), redis=redis_url, states=63)
    assert free.calibration is not None
    budget = Budget(tokens=free.calibration.tokens + free.tokens.total // 2)  # type: ignore[operator]
    poor = await surefoot.run(towers(), model=towers_double(), redis=redis_url, states=63, budget=budget)
    assert poor.status == "stopped"
    assert 0 < poor.steps <= 32


def test_what_a_server_does_not_count_cannot_be_kept_to() -> None:
    silent = Usage(prompt=5, uncounted=1)
    assert "does not say what 1 samples have cost" in Budget(tokens=100).over(silent)
    assert Budget(steps=100).over(silent) == ""


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

"""What ends an agent's run, or keeps it from going on, is one word of a small set."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import get_args

import pytest

import surefoot
from surefoot import Agent, Budget, Price, Purse
from surefoot.agents.agent import Ending, ExitStatus
from surefoot.models import Ask, Call, write_calls
from surefoot.orchestration.journal.jobs import STATUSES
from surefoot.voting import Sample
from surefoot.voting.samples import Usage


class Restless:
    """Looks for ever, at 100 tokens a turn."""

    name = "restless"

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, _ in enumerate(asks):
            yield (
                place,
                Sample(write_calls("I go on.", [Call("look", "{}")]), usage=Usage(prompt=80, completion=20)),
            )


@surefoot.tool(effect="reads")
async def look() -> str:
    """Look around."""
    return "nothing"


@pytest.mark.parametrize(
    ("budget", "status", "bound", "turns"),
    [
        (Budget(steps=5), ExitStatus.STOPPED, "steps", 3),
        (Budget(tokens=350), ExitStatus.TOKEN_LIMIT, "tokens", 3),
        (Budget(cost=350e-6, price=Price(1, 1)), ExitStatus.COST_LIMIT, "cost", 3),
        (Budget(turns=3, tokens=10_000), ExitStatus.TURN_LIMIT, None, 3),
    ],
    ids=["steps", "tokens", "cost", "turns"],
)
async def test_what_stopped_a_run_is_one_word(
    redis_url: str, budget: Budget, status: ExitStatus, bound: str | None, turns: int
) -> None:
    report = await Agent(Restless(), [look], budget=budget).run("Look for ever.", redis=redis_url)
    assert (report.status, report.report.bound, report.turns) == (status, bound, turns)
    assert report.status.resumable
    assert report.model_dump(mode="json")["status"] == status.value


async def test_a_larger_budget_goes_on_to_the_next_limit(redis_url: str) -> None:
    words = []
    for budget in (Budget(steps=1), Budget(tokens=250), Budget(tokens=10_000, turns=4)):
        report = await Agent(Restless(), [look], budget=budget).run("Look.", redis=redis_url, job="look")
        words.append((report.status, report.turns))
    assert words == [("stopped", 1), ("token_limit", 2), ("turn_limit", 4)]


async def test_a_fleet_of_agents_takes_no_turn_that_is_not_in_the_purse(redis_url: str) -> None:
    purse = Purse(tokens=3_050)
    agent = Agent(Restless(), [look], budget=Budget(turns=50, shared=purse))
    reports = await asyncio.gather(*[agent.run(f"Look {place}.", redis=redis_url) for place in range(16)])
    assert {report.status for report in reports} == {ExitStatus.TOKEN_LIMIT}
    assert sum(report.turns for report in reports) == purse.tokens // 100 == 30


def test_every_ending_of_an_agent_and_every_status_of_a_job_is_in_the_set() -> None:
    endings = set(get_args(Ending)) - {""}
    assert {*endings, *STATUSES} - {"done"} <= set(ExitStatus)
    assert {ending for ending in endings if ExitStatus(ending).resumable} == {"turn_limit"}

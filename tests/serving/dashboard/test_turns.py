"""Where the monitor stepped in, turn by turn, as far as a journal tells it."""

from typing import Any

import pytest

import surefoot
from surefoot import Agent
from surefoot.agents.monitor import Policy
from surefoot.agents.monitor.policies import Nudge, Stop
from surefoot.models import Call, write_calls
from surefoot.models.doubles import Scripted

from .conftest import Dashboard
from .test_dashboard import got

HASTY = "It is surely right."


@surefoot.tool(effect="reads")
def total() -> str:
    """Add up the ledger."""
    return "0"


async def turns(dashboard: Dashboard, redis: str, *script: str, monitor: Policy | None) -> tuple[Any, Any]:
    """What the page has of an agent that says so, and the agent's own report."""
    report = await Agent(Scripted([*script]), [total], monitor=monitor).run(
        "Check it.", redis=redis, job="it"
    )
    async with dashboard(redis) as client:
        return await got(client, "/api/turns", job="it", first=0), report


@pytest.mark.parametrize(
    "script",
    [
        (HASTY, HASTY, write_calls("", [Call("total", "{}")]), "The sum is 0."),
        (HASTY, HASTY, HASTY, HASTY, HASTY, HASTY),
        (write_calls("", [Call("total", "{}")]), "The sum is 0."),
    ],
    ids=["taken back", "ended by it", "left alone"],
)
async def test_the_acts_of_the_usual_policy_are_those_of_the_report(
    empty: str, dashboard: Dashboard, script: tuple[str, ...]
) -> None:
    found, report = await turns(dashboard, empty, *script, monitor=Policy())
    assert found["interventions"] == report.interventions
    assert [turn["act"] for turn in found["turns"]] == [turn.act for turn in report.watched]


@pytest.mark.parametrize("ladder", [(Stop(),), (Nudge("Look first."),)], ids=str)
async def test_of_another_policy_only_the_number_is_told(
    empty: str, dashboard: Dashboard, ladder: tuple[Any, ...]
) -> None:
    found, report = await turns(dashboard, empty, *[HASTY] * 4, monitor=Policy(ladder=ladder, patience=1))
    assert found["interventions"] == report.interventions > 0
    assert all("act" not in turn for turn in found["turns"])


async def test_without_a_monitor_nothing_is_told(empty: str, dashboard: Dashboard) -> None:
    found, _ = await turns(dashboard, empty, HASTY, monitor=None)
    assert found["interventions"] is None and "act" not in found["turns"][0]

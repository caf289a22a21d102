"""Doubles that do what agents do wrong: each run ends with its own status, within its budget, and leaves nothing behind."""

import subprocess
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from surefoot import Agent, AgentReport, BadInput, Budget
from surefoot.agents.monitor import Policy
from surefoot.agents.monitor.policies import LADDER
from surefoot.models.doubles import Conduct, DoubleServer, issue_worker
from surefoot.models.doubles.server import Feature
from surefoot.tools.environments import Bubblewrap, Environment, Limits, Local
from surefoot.tools.workspace import edit_file, read_file, search, shell, submit, write_file

pytestmark = pytest.mark.parametrize("redis_binary", ["valkey"], indirect=True)
"""What keeps the journal makes no difference here."""
TOOLS = [replace(shell, name="bash"), read_file, edit_file, write_file, search, submit]
TURNS = 12
WIRES: dict[str, Collection[Feature]] = {"native": (), "words": ("tools",)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    made = tmp_path / "repo"
    made.mkdir()
    (made / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "base")):
        subprocess.run(["git", *command], cwd=made, check=True)
    return made


async def run(
    conduct: Conduct,
    world: Environment,
    redis_url: str,
    *,
    turns: int = TURNS,
    without: Collection[Feature] = (),
    monitor: Policy | None = None,
) -> AgentReport:
    async with DoubleServer(issue_worker(conduct), without=without) as server:
        agent = Agent(server.url, TOOLS, budget=Budget(turns=turns), monitor=monitor)
        try:
            return await agent.run("add() subtracts", environment=world, redis=redis_url)
        except BadInput as error:
            if "namespace" in str(error) or "uid map" in str(error):
                pytest.skip(f"the kernel gives no user namespace here: {error}")
            raise


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("conduct", "status", "turns"),
    [
        ("overthinks", "answered", 1),
        ("loops", "turn_limit", TURNS),
        ("garbage", "error_limit", 5),
        ("unknown-tools", "error_limit", 5),
    ],
)
async def test_what_only_talks_ends_by_its_status(
    repository: Path, redis_url: str, conduct: Conduct, status: str, turns: int, wire: str
) -> None:
    world = Local(repository, trusted=True)
    report = await run(conduct, world, redis_url, without=WIRES[wire])
    assert (report.status, report.turns) == (status, turns)


@pytest.mark.parametrize("wire", WIRES)
async def test_who_overthinks_is_stopped_where_a_monitor_reads(
    repository: Path, redis_url: str, wire: str
) -> None:
    world = Local(repository, trusted=True)
    report = await run("overthinks", world, redis_url, without=WIRES[wire], monitor=Policy())
    assert report.status == "overthinking" and 2 < report.turns < TURNS
    assert report.interventions == len(LADDER)


PLACES: dict[str, Callable[..., Environment]] = {
    "local": partial(Local, trusted=True),
    "bubblewrap": Bubblewrap,
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("conduct", ["hangs", "floods", "forks"])
async def test_what_never_ends_is_ended_and_the_turns_are_counted(
    repository: Path, redis_url: str, conduct: Conduct, where: str
) -> None:
    world = PLACES[where](repository, limits=Limits(timeout_s=1))
    report = await run(conduct, world, redis_url, turns=2)
    assert (report.status, report.turns, report.calls) == ("turn_limit", 2, 2)


@pytest.mark.parametrize("where", PLACES)
async def test_who_deletes_the_workspace_submits_an_empty_one(
    repository: Path, redis_url: str, where: str
) -> None:
    report = await run("deletes", PLACES[where](repository), redis_url)
    assert (report.status, report.turns) == ("submitted", 3)
    assert repository.is_dir() and not list(repository.iterdir())

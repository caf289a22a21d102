"""A stitched job in the actors of a real Ray cluster: undisturbed, and with an actor, a driver and a node killed (kill -9)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot import Settings, Towers
from surefoot.orchestration.journal import stitched
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.workers import stitch

from .conftest import Place

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

DISKS, PARTS = 9, 8
STEPS = 2**DISKS - 1
ENOUGH = 10
"""Steps of a part after which it is in full swing."""


class Driver:
    """`surefoot run ... --on ray` in a process of its own."""

    def __init__(self, place: Place, job: str) -> None:
        task = ["towers", "--disks", str(DISKS), "--style", "compact", "--k", "2", "--model", place.model]
        spread = ["--parts", str(PARTS), "--at-once", "2", "--on", "ray", "--actors", "2"]
        command = ["run", *task, *spread, "--job", job, "--redis", place.redis, "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "surefoot.cli", *command],
            env=place.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def report(self) -> dict[str, Any]:
        said, complaint = self.process.communicate(timeout=240)
        assert self.process.returncode == 0, complaint
        return dict(json.loads(said))


def parent(pid: int) -> int:
    """Return the process that started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def holders(place: Place, job: str) -> dict[str, int]:
    """Return the process that holds each part in full swing, once two processes do; there is no other way to wait than to look."""
    deadline = time.monotonic() + 120
    with place.client() as client:
        while time.monotonic() < deadline:
            found = {}
            for name in stitched.names_of(job, PARTS):
                lease, step = client.get(Keys(name).lease), client.hget(Keys(name).meta, "next")
                if lease and int(step or 0) >= ENOUGH:
                    found[name] = int(json.loads(lease)["pid"])
            if len(set(found.values())) >= 2:
                return found
            time.sleep(0.05)
    raise AssertionError("two actors never worked at the same time")


@pytest.fixture(scope="module")
def head(place: Place) -> str:
    """The hash of the same job in one process, without Ray."""
    report = asyncio.run(
        stitch(
            Towers(DISKS, "compact"),
            Settings(k=2),
            parts=PARTS,
            at_once=PARTS,
            model=place.model,
            redis=place.redis,
            job="alone",
        )
    )
    assert report.solved
    return report.head


@pytest.fixture
def drivers(place: Place) -> Iterator[Any]:
    started: list[Driver] = []

    def start(job: str) -> Driver:
        started.append(Driver(place, job))
        return started[-1]

    yield start
    for driver in started:
        driver.process.kill()
        driver.process.wait()


def check_each_part_once(report: dict[str, Any], head: str) -> None:
    assert report["solved"] and report["kind"] == "stitched" and report["head"] == head
    assert [part["status"] for part in report["parts"]] == ["done"] * PARTS
    assert report["steps"] == STEPS == sum(report["workers"].values())


def test_two_actors_do_a_stitched_job(place: Place, drivers: Any, head: str) -> None:
    report = drivers("calm").report()
    check_each_part_once(report, head)
    assert len(report["workers"]) == 2


def test_what_a_killed_actor_had_in_hand_is_done_all_the_same(place: Place, drivers: Any, head: str) -> None:
    driver = drivers("actor")
    os.kill(min(holders(place, "actor").values()), signal.SIGKILL)
    check_each_part_once(driver.report(), head)


def test_after_the_driver_was_killed_a_new_run_goes_on(place: Place, drivers: Any, head: str) -> None:
    first = drivers("driver")
    decided = holders(place, "driver")
    first.process.kill()
    first.process.wait()
    report = drivers("driver").report()
    check_each_part_once(report, head)
    new = {int(worker.rpartition(":")[2]) for worker in report["workers"]} - set(decided.values())
    assert len(new) == 2


def test_a_node_that_dies_takes_no_part_along(place: Place, drivers: Any, head: str) -> None:
    """Its actor's process writes on for a while: the leases and the fencing tokens see to it that nothing is written twice."""
    (node,) = place.cluster.worker_nodes
    (raylet,) = node.all_processes["raylet"]
    driver = drivers("node")
    assert raylet.process.pid in map(parent, holders(place, "node").values())
    os.kill(raylet.process.pid, signal.SIGKILL)
    check_each_part_once(driver.report(), head)

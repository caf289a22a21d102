"""The command line: every command that runs something tells of it, lets its end be read, and says what was lost."""

import asyncio
import http.client
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from surefoot import BadInput, Stalled
from surefoot.models.doubles import (
    DoubleServer,
    Garbage,
    goal_double,
    issue_worker,
    read_fixes,
    towers_double,
)
from surefoot.tests.orchestration.swe.places import prepared
from surefoot.tests.serving.telemetry.scraping import TIMEOUT_S, samples_at

CLI = [sys.executable, "-m", "surefoot.cli"]
THREE = ("towers", "--style", "compact", "--disks", "3")


async def told(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*CLI, *map(str, arguments)]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)


async def test_a_run_has_metrics_and_spans(redis: str, receiver: Any) -> None:
    both = ("--metrics-port", "0", "--otlp", receiver.url, "--span-share", "1")
    async with DoubleServer(towers_double()) as server:
        where = ("--model", server.url, "--redis", redis)
        done = await told("run", *THREE, *where, "--k", "2", *both, "--json")
    assert done.returncode == 0, done.stderr
    assert "metrics are served at http://127.0.0.1:" in done.stderr
    assert len(receiver.named("step")) == 7


async def test_parts_and_their_worker_have_spans_under_one_name(redis: str, receiver: Any) -> None:
    spans = ("--otlp", receiver.url, "--span-share", "1")
    async with DoubleServer(towers_double()) as server:
        where = ("--model", server.url, "--redis", redis)
        budget = ("--budget-tokens", "1")  # so that something is left to the worker
        begun = await told(
            "run", *THREE, *where, "--k", "1", "--parts", "2", "--job", "both", *budget, *spans
        )
        done = await told("worker", "both", "--redis", redis, *spans)
    assert done.returncode == 0, begun.stderr + done.stderr
    assert {each["surefoot.run"] for each in receiver.said("segment")} == {"both"}
    assert {each["surefoot.job"] for each in receiver.said("segment")} == {"both/0", "both/1"}
    assert len(receiver.named("step")) == 7


async def test_a_problem_has_spans(redis: str, receiver: Any) -> None:
    async with DoubleServer(goal_double()) as server:
        where = ("--model", server.url, "--redis", redis, "--job", "product")
        spans = ("--otlp", receiver.url, "--span-share", "1")
        done = await told("solve", "What is 12 * 34?", *where, "--votes", "2", "--branches", "2", *spans)
    assert (done.returncode, done.stdout) == (0, "408\n"), done.stderr
    assert {each["surefoot.run"] for each in receiver.said("segment")} == {"product"}
    assert receiver.named("step")


async def test_a_fleet_has_metrics_and_spans_and_not_on_ray(
    redis: str, receiver: Any, tmp_path: Path
) -> None:
    issues = prepared(tmp_path, 2)
    both = ("--metrics-port", "0", "--otlp", receiver.url)
    async with DoubleServer(issue_worker("fixes", read_fixes(issues.rows))) as server:
        what = ("--instances", issues.rows, "--repos", issues.repos, "--env", "local", "--no-grade")
        where = ("--model", server.url, "--redis", redis)
        done = await told("swe", "run", *what, "--out", tmp_path / "x", *where, *both, "--json")
        refused = await told("swe", "run", *what, "--out", tmp_path / "y", *where, *both, "--on", "ray")
    assert done.returncode == 0, done.stderr
    assert "metrics are served at http://127.0.0.1:" in done.stderr
    (run,) = {each["surefoot.run"] for each in receiver.said("segment")}
    assert run.startswith("swe-")
    assert len({each["surefoot.job"] for each in receiver.said("segment")}) == 2
    assert {each["gen_ai.tool.name"] for each in receiver.said("act")} >= {"submit"}
    assert refused.returncode == BadInput.exit_code
    assert "leave --metrics-port and --otlp out with --on ray" in refused.stderr


async def test_it_is_said_how_many_spans_were_lost(redis: str, closed_port: int) -> None:
    gone = ("--otlp", f"http://127.0.0.1:{closed_port}", "--span-share", "1")
    async with DoubleServer(towers_double()) as server:
        done = await told("run", *THREE, "--model", server.url, "--redis", redis, "--k", "1", *gone)
    assert done.returncode == 0 and "9 of 9 spans were lost on their way" in done.stderr
    async with DoubleServer(Garbage()) as server:
        where = ("--model", server.url, "--redis", redis)
        stuck = await told("run", *THREE, *where, "--k", "1", "--limit", "4", *gone)
    assert stuck.returncode == Stalled.exit_code and "2 of 2 spans were lost on their way" in stuck.stderr


async def test_a_stall_can_be_read_before_the_command_ends(redis: str) -> None:
    async with DoubleServer(Garbage()) as server:
        what = ("--model", server.url, "--redis", redis, "--k", "2", "--limit", "4")
        served = ("--metrics-port", "0", "--metrics-linger", str(TIMEOUT_S))
        command = [*CLI, "run", *THREE, *what, *served]
        assert await asyncio.to_thread(stalls, command) == 1


def stalls(command: list[str]) -> float:
    """Return how many runs the metrics of a command say that stalled, once it is any; it ends when that was read."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        url, count = url_of(process), 0.0
        while not count:
            count = stalled(url)
            select.select([], [], [], 0.05)
        with suppress(OSError, http.client.HTTPException):  # it may be over in the middle of it
            stalled(url)  # the one before may have begun before the end
        process.communicate(timeout=TIMEOUT_S / 2)
        assert process.returncode == Stalled.exit_code
        return count


def stalled(url: str) -> float:
    (count,) = (each.value for each in samples_at(url) if each.labels.get("how") == "stalled")
    return count


def url_of(process: "subprocess.Popen[str]") -> str:
    """Return where a command says that it serves metrics."""
    assert process.stderr is not None
    for line in process.stderr:
        if "metrics are served at " in line:
            return str(line.split("metrics are served at ")[1].strip())
    raise AssertionError("it never said so")


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    without = "import sys; sys.modules['prometheus_client'] = None; from surefoot.cli import main; main()"
    command = [sys.executable, "-c", without, "run", "towers", "--metrics-port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == BadInput.exit_code
    assert "pip install 'surefoot[otel]'" in done.stderr

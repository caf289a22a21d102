"""A set of instances, a double that works on them, and runs over them in processes that can be killed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.tests.orchestration.conftest import BINARIES, Server
from surefoot.tests.orchestration.swe.places import Set, prepared


@pytest.fixture(scope="session")
def issues(tmp_path_factory: pytest.TempPathFactory) -> Set:
    """Four small repositories with an issue each, as SWE-bench rows."""
    return prepared(tmp_path_factory.mktemp("issues"), 4)


@pytest.fixture(scope="session")
def redis_of_runs() -> Iterator[str]:
    """The URL of a Redis for runs; their names never meet."""
    server = Server(next(iter(BINARIES.values())))
    yield server.url
    server.close()


@pytest.fixture
def served(issues: Set) -> Iterator[Any]:
    """Start doubles that work on issues, by their conduct; returns the URL of the model."""
    processes: list[subprocess.Popen[str]] = []

    def start(conduct: str = "fixes", *options: str) -> str:
        command = [sys.executable, "-m", "surefoot.models.doubles.server", "--double", "issues"]
        command += ["--conduct", conduct, "--instances", str(issues.rows), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        url: str = json.loads(process.stdout.readline())["url"]
        return url

    yield start
    for process in processes:
        process.terminate()
        process.wait()


@pytest.fixture
def swe(redis_of_runs: str) -> Iterator[Any]:
    """Run `surefoot swe`, to its end or until it is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "surefoot", "swe", *map(str, arguments)],
            env={**os.environ, "SUREFOOT_REDIS": redis_of_runs},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()

"""A run over instances of SWE-bench in the actors of a real Ray cluster, one of which is killed (kill -9)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.tests.orchestration.swe.places import Set, prepared

from .conftest import Place

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def issues(tmp_path_factory: pytest.TempPathFactory) -> Set:
    """Four small repositories with an issue each, as SWE-bench rows."""
    return prepared(tmp_path_factory.mktemp("issues"), 4)


@pytest.fixture(scope="module")
def fixing_model(issues: Set) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "surefoot.models.doubles.server",
        "--double",
        "issues",
        "--latency",
        "0.3",
    ]
    command += ["--conduct", "fixes", "--instances", str(issues.rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


def holder(place: Place) -> int:
    """Return the process that works on some instance."""
    deadline = time.monotonic() + 120
    with place.client() as client:
        while time.monotonic() < deadline:
            for name in client.scan_iter(match="surefoot:{*own__sums*}:lease"):
                if lease := client.get(name):
                    return int(json.loads(lease)["pid"])
            time.sleep(0.02)
    raise AssertionError("no actor ever worked on an instance")


def test_every_instance_is_resolved_though_an_actor_dies(
    place: Place, issues: Set, fixing_model: str, tmp_path: Path
) -> None:
    out = tmp_path / "x"
    what = ["--instances", issues.rows, "--repos", issues.repos, "--model", fixing_model, "--out", out]
    where = ["--env", "local", "--workers", 1, "--on", "ray", "--actors", 2, "--redis", place.redis, "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "surefoot.cli", "swe", "run", *map(str, (*what, *where))],
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.kill(holder(place), signal.SIGKILL)
        said, complaint = process.communicate(timeout=200)
    assert process.returncode == 0, complaint
    record = json.loads(said)
    assert (record["over"], record["resolved"], record["statuses"]) == (4, 4, {"submitted": 4})
    assert sorted(json.loads((out / "preds.json").read_text())) == sorted(issues.ids)

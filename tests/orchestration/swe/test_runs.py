"""Runs over instances, on the command line: to their end, killed and resumed, and with agents that go wrong."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.agents.monitor.readers.formats import read
from surefoot.agents.swe.recorded import read_recording
from surefoot.orchestration.swe.fleet import Fleet
from surefoot.tests.orchestration.swe.places import Set

PATIENCE_S = 300
Start = Callable[..., subprocess.Popen[str]]
Served = Callable[..., str]


def begun(issues: Set, model: str, out: Path, *more: str | Path) -> list[str | Path]:
    """Return the arguments of a run in the local environment: what the doubles do is known."""
    return [
        *("run", "--instances", issues.rows, "--repos", issues.repos, "--model", model, "--out", out),
        *("--env", "local", "--workers", "2", *more),
    ]


def told(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, said


def results(out: Path) -> dict[str, dict[str, Any]]:
    return {
        path.parent.name: json.loads(path.read_text()) for path in (out / "instances").glob("*/result.json")
    }


def test_every_instance_is_resolved_and_what_is_written_can_be_read(
    issues: Set, served: Served, swe: Start, tmp_path: Path
) -> None:
    out = tmp_path / "x"
    code, printed, said = told(swe(*begun(issues, served(), out, "--json")))
    assert code == 0, said
    record = json.loads(printed)
    assert (record["over"], record["resolved"], record["statuses"]) == (4, 4, {"submitted": 4})
    predictions = json.loads((out / "preds.json").read_text())
    assert sorted(predictions) == sorted(issues.ids)
    for name, result in results(out).items():
        assert predictions[name]["model_patch"] == result["chosen"]["patch"]
        assert "calc.py" in result["chosen"]["files"]
        path = out / "instances" / name / "attempt-1" / f"{name}.traj.json"
        recording = read_recording(path)
        assert recording.submission == result["chosen"]["patch"]
        assert len(recording.acts) == result["chosen"]["calls"]
        assert len(read(path).turns) == result["chosen"]["turns"]
        assert not (path.parent / "workspace").exists()
    assert said.count("resolved, submitted after") == 4
    code, printed, said = told(swe("report", out))
    assert code == 0
    assert all(name in printed for name in issues.ids)


def await_change(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a process makes or removes a file in a folder."""

    def files() -> set[str]:  # what is gone meanwhile is passed over
        return {f"{place}/{name}" for place, _, names in os.walk(folder) for name in names}

    before = files()
    while files() == before and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.parametrize(("seed", "rebuild"), [(1, "replay"), (2, "snapshot")])
def test_killed_again_and_again_it_ends_as_if_nobody_had(
    issues: Set, served: Served, swe: Start, tmp_path: Path, seed: int, rebuild: str
) -> None:
    model = served()
    since = time.monotonic()
    assert told(swe(*begun(issues, model, tmp_path / "whole")))[0] == 0
    whole_s = time.monotonic() - since
    out, rng, kills = tmp_path / "killed", random.Random(seed), 0
    first = begun(issues, model, out, "--rebuild", rebuild)
    process = swe(*first)
    while True:
        if kills < 2:  # twice it has begun to write, and cannot be over yet
            await_change(out, process)
        try:
            # Then longer every time, so that a machine of any speed gets on.
            share = rng.uniform(0, 0.05) if kills < 2 else rng.uniform(0.15, 0.4) * (1 + kills / 3)
            process.communicate(timeout=share * whole_s)
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
        process = swe("resume", out, "--workers", "2") if (out / "run.json").exists() else swe(*first)
        assert kills < 40
    assert process.returncode == 0
    assert kills > 1
    assert (out / "preds.json").read_bytes() == (tmp_path / "whole" / "preds.json").read_bytes()
    assert all(result["resolved"] for result in results(out).values())


@pytest.mark.parametrize(
    ("conduct", "status", "turns"),
    [
        ("loops", "turn_limit", 8),
        ("unknown-tools", "error_limit", 5),
        ("deletes", "lost_workspace", 3),
        ("overthinks", "answered", 1),
    ],
)
def test_an_agent_that_goes_wrong_ends_with_the_right_word(
    issues: Set, served: Served, swe: Start, tmp_path: Path, conduct: str, status: str, turns: int
) -> None:
    code, printed, said = told(swe(*begun(issues, served(conduct), tmp_path / "x", "--turns", "8", "--json")))
    assert code == 4, said
    record = json.loads(printed)
    assert record["statuses"] == {status: 4}
    assert record["resolved"] == 0
    for result in record["results"]:
        assert result["chosen"]["turns"] == turns
        assert result["chosen"]["patch"] == ""


def test_two_processes_share_a_run(issues: Set, served: Served, swe: Start, tmp_path: Path) -> None:
    out = tmp_path / "x"
    first = swe(*begun(issues, served(), out, "--workers", "1"))
    deadline = time.monotonic() + PATIENCE_S
    while not (out / "run.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = swe("resume", out, "--workers", "1")
    (code, _, said), (other_code, _, other_said) = told(first), told(second)
    assert (code, other_code) == (0, 0), said + other_said
    assert said.count("resolved, submitted") + other_said.count("resolved, submitted") == 4
    assert len(json.loads((out / "preds.json").read_text())) == 4


def test_what_is_spent_is_bounded_for_all_together(
    issues: Set, served: Served, swe: Start, tmp_path: Path
) -> None:
    out = tmp_path / "x"
    code, printed, _ = told(swe(*begun(issues, served(), out, "--all-tokens", "3000", "--json")))
    record = json.loads(printed)
    assert (code, record["statuses"], record["over"]) == (3, {"token_limit": 4}, 0)
    code, printed, said = told(swe("resume", out, "--json"))
    assert code == 0, said
    assert json.loads(printed)["statuses"] == {"submitted": 4}


def test_a_second_attempt_is_made_only_where_the_first_does_not_hold(
    issues: Set, served: Served, swe: Start, tmp_path: Path
) -> None:
    code, printed, said = told(swe(*begun(issues, served(), tmp_path / "x", "--attempts", "3", "--json")))
    assert code == 0, said
    assert {result["attempts"] for result in json.loads(printed)["results"]} == {1}
    code, printed, said = told(
        swe(*begun(issues, served("loops"), tmp_path / "y", "--attempts", "2", "--turns", "3", "--json"))
    )
    assert code == 4, said
    assert {result["attempts"] for result in json.loads(printed)["results"]} == {2}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--env", "nowhere"], "environment: Input should be 'bubblewrap', 'local', 'docker' or 'podman'"),
        (["--attempts", "0"], "attempts: Input should be greater than or equal to 1"),
        (["--instances", "/nowhere.jsonl"], "'/nowhere.jsonl' cannot be read: No such file or directory"),
        (["--budget-cost", "1"], "a cost takes both prices of a million tokens"),
        (["--all-cost", "1"], "--all-cost takes the prices"),
        (["--workers", "0"], "a fleet needs a worker at least, not 0"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    issues: Set, served: Served, swe: Start, tmp_path: Path, change: list[str], sentence: str
) -> None:
    code, _, said = told(swe(*begun(issues, served(), tmp_path / "x", *change)))
    assert code == 2
    assert sentence in said
    assert said.count("\n") == 1


def test_a_folder_is_a_run_or_it_is_said_what_it_is(issues: Set, swe: Start, tmp_path: Path) -> None:
    out = tmp_path / "x"
    code, _, said = told(swe("status", out))
    assert (code, said) == (2, f"surefoot: '{out}' holds no run: `surefoot swe run --out {out}` begins one\n")
    out.mkdir()
    (out / "run.json").write_text('{"run": 3}')
    code, _, said = told(swe("resume", out))
    assert code == 2
    assert "holds no settings of a run" in said
    code, _, said = told(swe(*begun(issues, "http://127.0.0.1:9/v1", out)))
    assert code == 2
    assert "holds a run already" in said


def test_a_repository_that_is_not_there_is_that_instances_status_alone(
    issues: Set, served: Served, swe: Start, tmp_path: Path
) -> None:
    repos = tmp_path / "repos"
    repos.mkdir()
    for folder in list(issues.repos.iterdir())[1:]:
        (repos / folder.name).symlink_to(folder)
    others = Set(issues.rows, repos)
    code, printed, said = told(swe(*begun(others, served(), tmp_path / "x", "--json")))
    assert code == 3, said
    assert json.loads(printed)["statuses"] == {"failed_setup": 1, "submitted": 3}
    fleet = Fleet.again(tmp_path / "x")
    assert len(fleet.results()) == 4

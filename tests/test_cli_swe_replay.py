"""`surefoot swe replay` as a user meets it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from surefoot.cli.swe import app
from surefoot.models.offers import Call
from surefoot.tests.agents.swe.places import sh
from surefoot.tests.agents.swe.recordings import FIX, MINI, REPAIR, clone, of_ours, recorded, written

PATIENCE_S = 120.0
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached"
Run = Callable[..., Result]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return clone(tmp_path / "clone")


@pytest.fixture
def swe_replay(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what replays a trajectory, with the folder for temporary files in the test's own."""
    own = tmp_path / "temporary"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))

    def run(*arguments: str | Path) -> Result:
        done = CliRunner().invoke(app, ["replay", *map(str, arguments), "--repo", str(source)])
        if "user namespace" in done.stderr or "uid map" in done.stderr:
            pytest.skip(f"the kernel gives no user namespace here: {done.stderr}")
        assert not [path for path in own.iterdir() if path.name.startswith("surefoot-")], "left behind"
        return done

    return run


@pytest.mark.parametrize("env", ["bubblewrap", "local"])
def test_what_mini_recorded_replays_to_the_identical_patch(env: str, swe_replay: Run, source: Path) -> None:
    done = swe_replay(MINI, "--env", env)
    head = sh("git rev-parse HEAD", source).decode().strip()
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"commit  {head} (HEAD of the repository)",
        "acts    8: 5 same, 1 alike, 2 unrecorded",
        "patch   identical",
    ]


def test_differences_are_a_table_and_an_exit_code(swe_replay: Run, tmp_path: Path) -> None:
    acts = [("echo \x1b[31mred", "green\n", 0), ("false", "", 0), (REPAIR, "", 0), (SUBMIT, None, None)]
    done = swe_replay(written(tmp_path, recorded(*acts, submission=FIX.replace("a + b", "b + a"))))
    assert done.exit_code == 1 and not done.stderr and "\x1b" not in done.stdout
    head, red, false, *rest = done.stdout.splitlines()
    assert head.split() == ["act", "call", "what", "recorded", "now"]
    assert red.strip().startswith('1    bash {"command":"echo ') and red.endswith("\\x1b[31mred")
    assert "differs" in red and "[0] green" in red
    assert false.split()[:3] == ["2", "bash", '{"command":"false"}'] and "code" in false and "[1]" in false
    assert "acts    4: 1 differs, 1 code, 1 same, 1 unrecorded" in rest
    assert "patch   differs: the same files are changed otherwise" in rest
    assert rest.count("+    return b + a") == 1 and rest.count("+    return a + b") == 1


def test_json_has_it_all(swe_replay: Run, tmp_path: Path, source: Path) -> None:
    trajectory = written(tmp_path, recorded(("echo 1", "2\n", 0), (REPAIR, "", 0), submission=FIX))
    done = swe_replay(trajectory, "--json", "--commit", "main")
    found = json.loads(done.stdout)
    assert done.exit_code == 1 and found["faithful"] is False
    assert found["commit"] == sh("git rev-parse main", source).decode().strip()
    assert found["kinds"] == {"differs": 1, "same": 1} and found["patch"]["verdict"] == "identical"
    (difference,) = found["differing"]
    assert difference == {
        "number": 1,
        "call": {"name": "bash", "arguments": '{"command":"echo 1"}'},
        "kind": "differs",
        "expected": "2\n",
        "seen": "1\n",
        "expected_code": 0,
        "seen_code": 0,
    }


def test_commands_find_the_workspace_where_it_was(swe_replay: Run, tmp_path: Path) -> None:
    acts = [("pwd && cd /work/some/where && ls", "/work/some/where\nsums.py\n", 0)]
    trajectory = written(tmp_path, recorded(*acts, environment={"cwd": "/work/some/where"}))
    assert swe_replay(trajectory).exit_code == 0
    # The folder is another one, and goes by its recorded name all the same; what names it fails.
    done = swe_replay(trajectory, "--seen-as", "/elsewhere")
    assert done.exit_code == 1 and "No such file" in done.stdout


@pytest.mark.parametrize("cwd", ["", "relative", "/proc/x"])
def test_a_place_that_cannot_be_is_the_testbed(cwd: str, swe_replay: Run, tmp_path: Path) -> None:
    trajectory = recorded(("cd /testbed && ls", "sums.py\n", 0), environment={"cwd": cwd})
    assert swe_replay(written(tmp_path, trajectory)).exit_code == 0


def test_ours_is_replayed_by_our_tools(swe_replay: Run, tmp_path: Path) -> None:
    edit = Call("edit_file", '{"new":"a + b","old":"a - b","path":"sums.py"}')
    shown = "[sums.py edited]\n     1\tdef add(a, b):\n     2\t    return a + b"
    acts = [(edit, shown, 0), (Call("bash", '{"command":"pwd; exit 2"}'), "/testbed\n[exit code 2]", 2)]
    done = swe_replay(of_ours(tmp_path, acts, FIX))
    assert (done.exit_code, done.stderr) == (0, ""), done.stdout


def test_a_command_that_hangs_ends_with_its_time(swe_replay: Run, tmp_path: Path) -> None:
    hanging = recorded(("sleep 1000", "", -1), environment={"timeout": 100_000})
    begun = time.monotonic()
    assert swe_replay(written(tmp_path, hanging), "--timeout", "2").exit_code == 0
    as_recorded = recorded(("sleep 1000", "", -1), environment={"timeout": 2})
    assert swe_replay(written(tmp_path, as_recorded)).exit_code == 0
    assert time.monotonic() - begun < PATIENCE_S


def test_the_workspace_is_kept_where_it_is_wanted(swe_replay: Run, tmp_path: Path, source: Path) -> None:
    kept = tmp_path / "kept"
    assert swe_replay(MINI, "--keep", kept).exit_code == 0
    assert "a + b" in (kept / "sums.py").read_text() and "a - b" in (source / "sums.py").read_text()
    again = swe_replay(MINI, "--keep", kept)
    assert again.exit_code == 2 and "is not empty" in again.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[" * 2_000_000, "lists and objects"),
        (b'{"messages":[]}', "trajectory_format"),
        (b'{"trajectory_format":"mini-swe-agent-1.1","messages":[1]}', "no list of objects"),
        (b'{"trajectory_format":"mini-swe-agent-1.1","messages":[]}', "no act"),
        (b'{"trajectory_format":"mini-swe-agent-1.1","messages":[{"role":"assistant"}]}', "no act"),
    ],
)
def test_what_is_no_trajectory_is_refused_in_a_sentence(
    content: bytes, said: str, swe_replay: Run, tmp_path: Path
) -> None:
    path = tmp_path / "x.traj.json"
    path.write_bytes(content)
    done = swe_replay(path)
    assert done.exit_code == 2 and done.stderr.startswith("surefoot: ") and said in done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--commit", "nothing"], "has no commit 'nothing'"),
        (["--env", "moon"], "not in 'moon'"),
        (["--seen-as", "relative"], "'relative'"),
        (["--timeout", "0"], "timeout_s must be a number above 0"),
        (["--timeout", "nan"], "timeout_s must be a number above 0"),
        (["--readable", "/no/such/folder"], "'/no/such/folder'"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(options: list[str], said: str, swe_replay: Run) -> None:
    done = swe_replay(MINI, *options)
    assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert json.loads(swe_replay(MINI, *options, "--json").stdout)["error"] in done.stderr


def test_an_interrupt_ends_the_command_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    mark = "sleep 1234.5"
    trajectory: dict[str, Any] = recorded((f"touch /testbed/begun; {mark}", "", 0))
    kept, own = tmp_path / "kept", tmp_path / "temporary"
    own.mkdir()
    arguments = [
        "swe",
        "replay",
        str(written(tmp_path, trajectory)),
        "--repo",
        str(source),
        "--keep",
        str(kept),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "surefoot", *arguments],
        env={**os.environ, "TMPDIR": str(own)},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        end = time.monotonic() + PATIENCE_S
        while running.poll() is None and not (kept / "begun").exists() and time.monotonic() < end:
            time.sleep(0.05)
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=PATIENCE_S)[1]
    if "user namespace" in said or "uid map" in said:
        pytest.skip(f"the kernel gives no user namespace here: {said}")
    assert running.returncode == 130 and said == "surefoot: interrupted\n"
    assert not [path for path in own.iterdir() if path.name.startswith("surefoot-")]

"""Which holders are gone, and which are only invisible (N): no lease is taken because /proc does not show its holder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surefoot.orchestration.journal.lease_holder import describe, gone, left, me, process_ended


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process of its own that runs until the test ends."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


def born(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def proc_of(tmp_path: Path, self: int, stats: dict[int, str]) -> Path:
    """A /proc as a process sees it that is allowed to see these processes only."""
    (tmp_path / "self").symlink_to(str(self))
    for pid, stat in stats.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(stat)
    return tmp_path


def as_if(holder: str, **changed: Any) -> str:
    return json.dumps({**json.loads(holder), **changed})


def test_a_process_that_runs_is_there_and_one_that_has_ended_is_gone(other: subprocess.Popen[bytes]) -> None:
    before = born(other.pid)
    assert not process_ended(other.pid, before)
    other.kill()
    other.wait()
    assert process_ended(other.pid, before)


def test_a_zombie_is_gone(other: subprocess.Popen[bytes]) -> None:
    before = born(other.pid)
    other.kill()
    while Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    assert process_ended(other.pid, before)


def test_a_number_that_another_process_has_now_is_no_sign_of_life(other: subprocess.Popen[bytes]) -> None:
    assert process_ended(other.pid, "1")


def test_a_process_that_proc_hides_is_not_gone(other: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Mounted with hidepid, /proc has no entry for what other users run."""
    proc = proc_of(tmp_path, os.getpid(), {})
    assert not process_ended(other.pid, born(other.pid), proc)
    other.kill()
    other.wait()
    assert process_ended(other.pid, "1", proc)


def test_a_proc_of_another_namespace_is_not_believed(other: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Its numbers mean other processes: here it knows one of this number, born at another time."""
    stat = Path(f"/proc/{other.pid}/stat").read_text()
    proc = proc_of(tmp_path, os.getpid() + 1, {other.pid: stat})
    assert not process_ended(other.pid, "1", proc)


def test_a_proc_that_is_not_there_says_nothing(other: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert not process_ended(other.pid, born(other.pid), tmp_path)


def test_a_process_of_another_user_is_not_gone() -> None:
    """The first process may not be signalled by everybody; that it may not is a sign of life."""
    assert not process_ended(1, born(1))


@pytest.mark.parametrize("part", ["boot", "namespace", "host"])
def test_the_same_number_on_another_machine_or_in_another_container_says_nothing(part: str) -> None:
    holder = me()
    machine = json.loads(holder)["machine"].split()
    place = {"boot": 0, "namespace": 1, "host": -1}[part]
    machine[place] = "another"
    assert not gone(as_if(holder, machine=" ".join(machine), pid=2**30))
    assert gone(as_if(holder, pid=2**30))


def test_a_holder_of_this_process_is_there_until_it_has_left() -> None:
    mine, another = me(), me()
    assert not gone(mine)
    left(mine)
    assert gone(mine)
    assert not gone(another)
    assert f"process {os.getpid()} on " in describe(another)


def test_a_process_that_had_this_number_before_is_gone() -> None:
    assert gone(as_if(me(), born="1"))

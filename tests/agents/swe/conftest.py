"""A repository with a past and a future, and a home with hostile settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.tests.agents.swe.places import SETUP, Repo, sh


@pytest.fixture(scope="session")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A clone that no test changes."""
    path = tmp_path_factory.mktemp("clones") / "repo"
    path.mkdir()
    sh(SETUP, path)
    first, base, fix = (sh(f"git rev-parse {name}", path).decode().strip() for name in ("v1~1", "v1", "v2"))
    return Repo(path, first, base, fix)


@pytest.fixture
def hostile_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose git settings leave a mark when git runs any program that they name."""
    mark = tmp_path / "mark"
    home = tmp_path / "home"
    home.mkdir()
    program = home / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        (home / hook).write_text(program.read_text())
        (home / hook).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\tfsmonitor = {program}\n\thooksPath = {home}\n\tautocrlf = true\n"
        f"[uploadpack]\n\tpackObjectsHook = {program}\n[diff]\n\texternal = {program}\n\tnoprefix = true\n"
    )
    monkeypatch.setenv("HOME", str(home))
    yield mark

"""What the tests of this folder share: a repository with a past and a future, and a place to run commands in."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from surefoot.tools.environments.environment import Ran

IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def sh(command: str, cwd: Path) -> bytes:
    """Run a command of the test's own and return what it prints."""
    done = subprocess.run(
        command, shell=True, cwd=cwd, env={**os.environ, **IDENTITY}, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Repo(NamedTuple):
    """A clone with three commits, the second of which is the base."""

    path: Path
    first: str
    base: str
    fix: str


SETUP = r"""
git init -q -b trunk
mkdir -p pkg/deep tests
printf 'def add(a, b):\n    return a - b\n' > pkg/sums.py
touch pkg/__init__.py
printf 'x\r\ny\r\n' > crlf.txt
printf 'caf\351\n' > latin.txt
printf '*.log\n!keep.log\n' > .gitignore
printf '#!/bin/sh\n' > run.sh; chmod +x run.sh
ln -s pkg/sums.py alias.py
ln -s pkg/deep deeper
touch pkg/deep/file
git add -A; git commit -qm first
printf 'from pkg.sums import add\n\n\ndef test_zero():\n    assert add(0, 0) == 0\n' > tests/test_sums.py
git add -A; git commit -qm second; git tag v1
printf 'def add(a, b):\n    return a + b  # the fix\n' > pkg/sums.py
git commit -qam fix; git tag v2; git branch side
git remote add origin https://example.invalid/repo.git
"""


class LocalPlace:
    """The `Environment` seam on this machine, for commands of the tests' own."""

    name = "local"

    def __init__(self, workspace: Path) -> None:
        self.folder, self.workspace = workspace, str(workspace)

    async def start(self) -> None:
        """Nothing has to be made ready."""

    async def execute(self, command: str, *, timeout_s: float | None = None) -> Ran:
        """Run it; its process group ends with it."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command),
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), timeout_s)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            return Ran("", None)
        return Ran(printed.decode("utf-8", "replace"), process.returncode)

    async def read(self, path: str) -> bytes:
        """Return what a file holds."""
        return (self.folder / path).read_bytes()

    async def write(self, path: str, data: bytes) -> None:
        """Write a file."""
        (self.folder / path).write_bytes(data)

    async def diff(self) -> bytes:
        """Return what has changed."""
        return sh("git add -A; git diff --cached --binary HEAD", self.folder)

    async def stop(self) -> None:
        """Nothing runs on."""

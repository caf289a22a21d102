"""Environments, started and stopped, and what is left behind on the machine."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.tools.environments import Bubblewrap, Environment, Limits, Local

Opened = Callable[..., AbstractAsyncContextManager[Environment]]
"""Opens an environment with options of its class."""
KINDS = ("local", "bubblewrap")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    made = tmp_path / "work space"
    made.mkdir()
    return made


@asynccontextmanager
async def running(environment: Environment) -> AsyncIterator[Environment]:
    try:
        await environment.start()
    except BadInput as error:
        if "user namespace" in str(error) or "uid map" in str(error):
            pytest.skip(f"the kernel gives no user namespace here: {error}")
        raise
    try:
        yield environment
    finally:
        await environment.stop()


def made(kind: str, workspace: Path, **options: Any) -> Environment:
    if isinstance(limits := options.get("limits"), dict):
        options["limits"] = Limits(**limits)
    if kind == "local":
        return Local(workspace, trusted=True, **options)
    return Bubblewrap(workspace, **options)


@pytest.fixture
def sandbox(workspace: Path) -> Opened:
    """Return what opens a sandbox around the workspace: `async with sandbox(limits={"timeout_s": 1}) as box`."""

    def opened(**options: Any) -> AbstractAsyncContextManager[Environment]:
        return running(made("bubblewrap", workspace, **options))

    return opened


@pytest.fixture
def opens() -> Opened:
    """Return what opens an environment by its kind: `async with opens("local", workspace) as world`."""

    def opened(kind: str, workspace: Path, **options: Any) -> AbstractAsyncContextManager[Environment]:
        return running(made(kind, workspace, **options))

    return opened


@pytest.fixture(params=KINDS)
def environment(request: pytest.FixtureRequest, workspace: Path) -> Opened:
    """Return what opens each environment of this machine in turn."""

    def opened(**options: Any) -> AbstractAsyncContextManager[Environment]:
        return running(made(request.param, workspace, **options))

    return opened


@pytest.fixture
def alive() -> Iterator[Callable[[str], bool]]:
    """Return what says whether a process with this word on its command line is there."""

    def found(word: str) -> bool:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
                state = path.with_name("stat").read_bytes().rpartition(b") ")[2][:1]
            except OSError:
                continue
            if word.encode() in words and state != b"Z":
                return True
        return False

    yield found


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], bool]:
    """Return what waits for something that has to come true."""

    def waited(true: Callable[[], bool], longest_s: float = 30.0) -> bool:
        end = time.monotonic() + longest_s
        while not true():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    return waited

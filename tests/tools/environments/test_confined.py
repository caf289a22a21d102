"""No path leads out of a workspace, whatever lies on the way; what stays inside can be read and written."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from surefoot.tools import ToolFailed
from surefoot.tools.environments import Environment, Limits
from surefoot.tools.environments.confined import ConfinedFiles, strange

Opened = Callable[..., AbstractAsyncContextManager[Environment]]
SECRET = b"the secret of another folder"
SEEN = "/testbed"


@pytest.fixture
def files(workspace: Path) -> ConfinedFiles:
    outside = workspace.with_name("outside")
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (workspace / "folder").mkdir()
    (workspace / "folder" / "file").write_bytes(b"inside")
    return ConfinedFiles(workspace, SEEN)


@pytest.mark.parametrize(
    "path",
    [
        "folder/file",
        "./folder//file",
        f"{SEEN}/folder/file",
        f"{SEEN}//folder/../folder/file",
        "folder/../folder/./file",
        "up/file",
        "chain/file",
        "absolute",
        "absolute folder/file",
        "folder/back/folder/file",
    ],
)
def test_what_stays_inside_can_be_read_and_written(files: ConfinedFiles, workspace: Path, path: str) -> None:
    (workspace / "up").symlink_to("./folder/../folder")
    (workspace / "chain").symlink_to("up")
    (workspace / "absolute").symlink_to(f"{SEEN}/folder/file")
    (workspace / "absolute folder").symlink_to(f"{SEEN}/folder/")
    (workspace / "folder" / "back").symlink_to("..")
    assert files.read(path, 100) == b"inside"
    files.write(path, b"new", 100)
    assert (workspace / "folder" / "file").read_bytes() == b"new"


OUT = [
    "../outside/secret",
    "folder/../../outside/secret",
    "folder/../../work space/folder/file",
    "/etc/passwd",
    "/",
    "/testbed2/file",
    f"{SEEN}/../outside/secret",
    "link",
    "far link",
    "folder link/secret",
    "in the middle/outside/secret",
    "link of link",
    "/proc/self/root/etc/passwd",
]


@pytest.mark.parametrize("path", OUT)
def test_what_leads_out_is_refused(files: ConfinedFiles, workspace: Path, path: str) -> None:
    outside = workspace.with_name("outside")
    (workspace / "link").symlink_to("../outside/secret")
    (workspace / "far link").symlink_to(outside / "secret")
    (workspace / "folder link").symlink_to(outside)
    (workspace / "in the middle").symlink_to("folder/../..")
    (workspace / "link of link").symlink_to("link")
    for call in (lambda: files.read(path, 100), lambda: files.write(path, b"x", 100)):
        with pytest.raises(ToolFailed, match="leads out of the workspace"):
            call()
    assert [file.read_bytes() for file in outside.iterdir()] == [SECRET]


def test_nothing_is_made_outside(files: ConfinedFiles, workspace: Path) -> None:
    (workspace / "dangling").symlink_to("../outside/new")
    (workspace / "folder link").symlink_to("../outside")
    for path in ("dangling", "folder link/new", "folder link/a/b/new", "new/../../outside/new"):
        with pytest.raises(ToolFailed, match="leads out"):
            files.write(path, b"x", 100)
    assert [file.name for file in workspace.with_name("outside").iterdir()] == ["secret"]


def test_a_hard_link_is_refused(files: ConfinedFiles, workspace: Path) -> None:
    secret = workspace.with_name("outside") / "secret"
    os.link(secret, workspace / "second name")
    for call in (lambda: files.read("second name", 100), lambda: files.write("second name", b"x", 100)):
        with pytest.raises(ToolFailed, match="second name"):
            call()
    assert secret.read_bytes() == SECRET


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a device", "a folder"])
def test_what_is_no_file_is_refused_at_once(files: ConfinedFiles, workspace: Path, kind: str) -> None:
    place = workspace / "x"
    if kind == "a pipe":
        os.mkfifo(place)
    elif kind == "a socket":
        here = os.open(workspace, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"/proc/self/fd/{here}/x")
        os.close(here)
    elif kind == "a folder":
        place.mkdir()
    else:
        try:
            os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("only root makes device nodes")
    for call in (lambda: files.read("x", 100), lambda: files.write("x", b"x", 100)):
        with pytest.raises(ToolFailed, match=f"^'x' is {kind}, not a file$"):
            call()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "is a folder"),
        (".", "is a folder"),
        ("folder/..", "is a folder"),
        (SEEN, "is a folder"),
        ("a\0b", "is no path"),
        ("\ud800", "is no path"),
        ("x" * 300, r"\.\.\.' cannot be opened: File name too long"),
        ("a/" * 100 + "b", "too many parts"),
        ("../" * 100_000, "too many parts"),
        ("folder/file/below", "Not a directory"),
        ("loop", "too many links"),
        ("loop/x", "too many links"),
        ("..", "leads out"),
    ],
)
def test_a_path_that_cannot_be_is_said(files: ConfinedFiles, workspace: Path, path: str, says: str) -> None:
    (workspace / "loop").symlink_to("./loop")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for call in (lambda: files.read(path, 100), lambda: files.write(path, b"", 100)):
        with pytest.raises(ToolFailed, match=says) as failed:
            call()
        assert "\n" not in str(failed.value)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_is_not_there_is_said_and_can_be_made(files: ConfinedFiles, workspace: Path) -> None:
    for path in ("new", "a/b/new", "folder/new"):
        with pytest.raises(ToolFailed, match="No such file"):
            files.read(path, 100)
        files.write(path, b"made", 100)
        assert (workspace / path).read_bytes() == files.read(path, 100) == b"made"
    (workspace / "to be").symlink_to("a/made later")
    files.write("to be", b"x", 100)
    assert (workspace / "a" / "made later").read_bytes() == b"x" and (workspace / "to be").is_symlink()


def test_an_existing_file_keeps_its_mode_and_nothing_of_its_old_end(
    files: ConfinedFiles, workspace: Path
) -> None:
    script = workspace / "script"
    script.write_bytes(b"a long text")
    script.chmod(0o755)
    files.write("script", b"short", 100)
    assert script.read_bytes() == b"short" and script.stat().st_mode & 0o777 == 0o755


def test_sizes_are_limited(files: ConfinedFiles, workspace: Path) -> None:
    (workspace / "large").write_bytes(bytes(101))
    (workspace / "sparse").touch()
    os.truncate(workspace / "sparse", 1 << 40)
    assert files.read("large", 101) == bytes(101)
    for path in ("large", "sparse"):
        with pytest.raises(ToolFailed, match="bytes, and 100 can be read"):
            files.read(path, 100)
    with pytest.raises(ToolFailed, match="101 bytes for 'new' are more than the 100"):
        files.write("new", bytes(101), 100)
    assert not (workspace / "new").exists()
    files.write("new", b"", 100)
    assert files.read("new", 1) == b""


EXCHANGE = """
import os, shutil
os.mkdir("kept")
open("kept/secret", "w").write("harmless")
steps = (
    lambda: os.rename("kept", "place"),
    lambda: os.rename("place", "kept"),
    lambda: os.symlink("../outside", "place"),
    lambda: os.unlink("place"),
)
while True:
    for step in steps:
        try:
            step()
        except OSError:
            pass
    if os.path.isdir("place") and not os.path.islink("place"):  # made by `write`
        shutil.rmtree("place", ignore_errors=True)
"""


def test_a_link_that_changes_all_the_time_never_leads_out(files: ConfinedFiles, workspace: Path) -> None:
    """A process exchanges a folder for a link to the outside and back, as fast as it goes, while it is read and written."""
    seen = set()
    with subprocess.Popen([sys.executable, "-c", EXCHANGE], cwd=workspace) as exchanging:
        try:
            for _ in range(15_000):
                try:
                    seen.add(files.read("place/secret", 100))
                    files.write("place/secret", b"harmless", 100)
                except ToolFailed as failed:
                    seen.add(str(failed).rpartition(": ")[2].encode())
        finally:
            exchanging.kill()
    assert SECRET not in seen and len(seen) > 1
    assert (workspace.with_name("outside") / "secret").read_bytes() == SECRET


def test_strange_files_are_found(files: ConfinedFiles, workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc/passwd")
    os.link(workspace / "folder" / "file", workspace / "another name inside")
    assert strange(workspace) == ""
    os.link(workspace / "folder" / "file", workspace.with_name("outside") / "a third name")
    assert strange(workspace) in ("folder/file", "another name inside")
    (workspace / "folder" / "file").unlink()
    (workspace / "another name inside").unlink()
    assert strange(workspace) == ""
    os.mkfifo(workspace / "folder" / "pipe")
    assert strange(workspace) == "folder/pipe"


async def test_environments_read_and_write_in_their_workspace_only(
    environment: Opened, workspace: Path
) -> None:
    workspace.with_name("secret").write_bytes(SECRET)
    async with environment(limits={"read_bytes": 10}) as world:
        await world.write("a/b", b"\r\n\0\xff")
        assert await world.read(f"{world.workspace}/a/b") == b"\r\n\0\xff"
        assert (
            await world.execute("wc -c < a/b; echo 12345678901 > long; ln -s ../secret link; ln -s a/b good")
        ).code == 0
        assert await world.read("good") == b"\r\n\0\xff"
        for path, says in (("long", "12 bytes"), ("link", "leads out"), ("../secret", "leads out")):
            with pytest.raises(ToolFailed, match=says):
                await world.read(path)
        with pytest.raises(ToolFailed, match="leads out"):
            await world.write("link", b"x")
    assert workspace.with_name("secret").read_bytes() == SECRET
    assert Limits().read_bytes == 16 << 20

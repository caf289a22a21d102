"""The command lines of docker and podman, against a stand-in that writes them down and runs what they run in a sandbox.

No real engine has been asked.
"""

import asyncio
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot import BadInput
from surefoot.tools import ToolFailed
from surefoot.tools.environments import Docker, Limits, Ran
from surefoot.tools.environments.bubblewrap import found

WORK = "/tmp/testbed"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an engine that answers."""
    bwrap = found()
    assert bwrap
    probe = [str(bwrap), "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "true"]
    if subprocess.run(probe, capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("the kernel gives no user namespace here, without which the stand-in runs nothing")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("docker", "podman"):
        script = programs / name
        script.write_text(f"#!{sys.executable} -I\n" + Path(__file__).with_name("stand_in.py").read_text())
        script.chmod(0o755)
    for name in ("tmp", "testbed"):
        (tmp_path / "root" / name).mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{programs}:{Path(str(shutil.which('bash'))).parent}:/usr/bin:/bin")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(bwrap))
    monkeypatch.setenv("A_SERVICE_API_KEY", "key-4711")
    return tmp_path


def calls(state: Path) -> list[list[str]]:
    return [json.loads(line) for line in (state / "calls").read_text().splitlines()]


async def test_the_command_lines(state: Path) -> None:
    limits = Limits(memory_bytes=1 << 30, processes=64, cpu_s=60, file_bytes=1 << 20)
    world = Docker("some/image:1", WORK, limits=limits, environment={"MINE": "a b=c"})
    await world.start()
    assert world.name == "docker" and world.workspace == WORK
    assert await world.execute('echo "$MINE" "$PAGER"; pwd; exit 3') == Ran(f"a b=c cat\n{WORK}\n", 3)
    await world.stop()
    version, run, _, execute, remove = calls(state)
    assert version == ["docker", "version", "--format", "{{.Server.Version}}"]
    name = run[run.index("--name") + 1]
    assert shlex.join(run[:-1]) == (
        f"docker run --detach --rm --name {name} --network none --cap-drop ALL --security-opt no-new-privileges "
        "--pids-limit 64 --memory 1073741824 --memory-swap 1073741824 --workdir /tmp/testbed --entrypoint sh "
        "--ulimit core=0 --ulimit cpu=60 --ulimit fsize=1048576 some/image:1 -c"
    )
    assert execute[:4] == ["docker", "exec", "--workdir", WORK] and execute[-6:-3] == [name, "sh", "-c"]
    assert "MINE=a b=c" in execute and "key-4711" not in str(calls(state))
    assert remove == ["docker", "rm", "--force", name] and not (state / "running").exists()


async def test_files_and_patches(state: Path) -> None:
    work = state / "root" / "testbed"
    (work / "a.txt").write_bytes(b"one\r\n")
    world = Docker("image", WORK, limits=Limits(read_bytes=100))
    await world.start()
    try:
        assert await world.read("a.txt") == await world.read(f"{WORK}/a.txt") == b"one\r\n"
        await world.write("new folder/b", b"\0\xff\r\n")
        assert await world.read("new folder/../new folder/b") == b"\0\xff\r\n"
        await world.write("a.txt", b"two")
        (work / "out").symlink_to("/etc")
        (work / "link").symlink_to("/etc/passwd")
        (work / "dangling").symlink_to("../new")
        (work / "good").symlink_to("a.txt")
        (work / "second").hardlink_to(work / "new folder" / "b")
        (work / "large").write_bytes(bytes(101))
        assert await world.read("good") == b"two"
        refused = {
            "link": "leads out",
            "out/passwd": "leads out",
            "../x": "leads out|cannot be opened",
            "/etc/passwd": "leads out",
            "new folder": "not a file",
            "second": "second name",
            "missing": "no such file",
            "large": "more than can be read",
            "": "no path",
            "a\0b": "no path",
            "\ud800": "no path",
        }
        for path, says in refused.items():
            with pytest.raises(ToolFailed, match=says):
                await world.read(path)
        for path in (
            "link",
            "dangling",
            "out/new",
            "out/a/new",
            "../../x",
            "/etc/x",
            "new/../../x",
            "second",
            "new folder",
        ):
            with pytest.raises(ToolFailed):
                await world.write(path, b"x")
        assert not (state / "root" / "tmp" / "new").exists()
        (work / "out").unlink()
        patch = await world.diff()
        assert (
            b"+two" in patch
            and b"new folder/b" in patch
            and b"GIT binary patch" in patch
            and b"root:" not in patch
        )
    finally:
        await world.stop()


async def test_what_a_command_starts_ends_with_it(state: Path, alive: Callable[[str], bool]) -> None:
    world = Docker("image", WORK)
    await world.start()
    try:
        assert await world.execute("(setsid sleep 3331 &) ; sleep 3332 & echo done") == Ran("done\n", 0)
        assert not alive("3331") and not alive("3332")
        ran = await world.execute("echo first; setsid sleep 3331", timeout_s=3)
        assert ran == Ran("first\n", None) and calls(state)[-1][-1] == "kill -9 -1"
        command = asyncio.ensure_future(world.execute("sleep 3332"))
        await asyncio.sleep(0.5)
        command.cancel()
        with pytest.raises(asyncio.CancelledError):
            await command
        assert calls(state)[-1][-1] == "kill -9 -1"
        assert not alive("3331") and not alive("3332")
        assert await world.execute("cat; echo next") == Ran("next\n", 0)
    finally:
        await world.stop()


async def test_a_container_that_is_gone_is_said(state: Path) -> None:
    world = Docker("image", WORK, engine="podman")
    await world.start()
    assert world.name == "podman" and calls(state)[0][0] == "podman"
    (state / "running").write_text("another")
    with pytest.raises(ToolFailed, match="No such container"):
        await world.execute("true")
    await world.stop()
    for call in (world.execute("true"), world.read("a"), world.write("a", b"")):
        with pytest.raises(BadInput, match="not started"):
            await call


async def test_what_is_missing_is_said(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"no container of 'no-such-image' starts: .*no such image"):
        await Docker("no-such-image").start()
    (state / "silent").touch()
    with pytest.raises(
        BadInput, match=r"no container engine answers: docker says 'Cannot connect.*; podman says 'Cannot"
    ):
        await Docker("image").start()
    monkeypatch.setenv("PATH", str(state))
    with pytest.raises(BadInput, match="docker is not installed; podman is not installed"):
        await Docker("image").start()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"image": ""}, "an image is named"),
        ({"image": "--privileged"}, "an image is named"),
        ({"image": "a b"}, "an image is named"),
        ({"image": "a", "workspace": "relative"}, "absolute path"),
        ({"image": "a", "engine": "rkt"}, "an engine is one of"),
        ({"image": "a", "environment": {"A=": "b"}}, "no environment variable"),
    ],
)
def test_what_makes_no_container_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        Docker(**given)  # type: ignore[arg-type]

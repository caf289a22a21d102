"""Commands in every environment of this machine: what comes back, what ends them, and that nothing outlives them."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from surefoot import BadInput
from surefoot.tools import ToolFailed
from surefoot.tools.environments import Environment, Limits, Local, Ran

Opened = Callable[..., AbstractAsyncContextManager[Environment]]
Alive = Callable[[str], bool]
Until = Callable[..., bool]


@pytest.mark.parametrize(
    ("command", "ran"),
    [
        ("echo out; echo err >&2; echo more", Ran("out\nerr\nmore\n", 0)),
        ("exit 3", Ran("", 3)),
        ("false", Ran("", 1)),
        ("kill -TERM $$", Ran("", 143)),
        ("kill -KILL $$", Ran("", 137)),
        ("no-such-program 2>/dev/null", Ran("", 127)),
        ("printf 'a\\xffb\\0c'", Ran("a\ufffdb\0c", 0)),
        ("cat", Ran("", 0)),
        ('read x; echo "$?"', Ran("1\n", 0)),
        ("yes | head -n 1", Ran("y\n", 0)),
        ("", Ran("", 0)),
        ('echo \'it\'"\'"\'s\'; echo "$1" "$#"', Ran("it's\n 0\n", 0)),
        ("set -o pipefail; yes | head -n 1 >/dev/null", Ran("", 141)),
        ("test -t 0 || test -t 1 || (: </dev/tty) 2>/dev/null || echo none", Ran("none\n", 0)),
        ("exec >&- 2>&-; sleep 0.1; exit 5", Ran("", 5)),
    ],
)
async def test_what_a_command_says_and_how_it_ends(environment: Opened, command: str, ran: Ran) -> None:
    async with environment() as world:
        assert await world.execute(command) == ran


async def test_a_command_runs_in_the_workspace_and_leaves_it_changed(
    environment: Opened, workspace: Path
) -> None:
    async with environment() as world:
        ran = await world.execute("pwd; echo hello > 'a file'; cd /; echo $HOME")
        assert ran.output.splitlines()[0] == world.workspace
        assert (workspace / "a file").read_text() == "hello\n"
        assert (await world.execute("pwd")).output == f"{world.workspace}\n"


async def test_a_command_that_never_ends_is_ended_with_all_that_it_started(
    environment: Opened, alive: Alive
) -> None:
    tree = (
        "(setsid sh -c 'sleep 5551 & sleep 5552' &) ; sleep 5553 & echo before; while :; do sleep 5554; done"
    )
    async with environment() as world:
        ran = await world.execute(tree, timeout_s=3)
        assert ran == Ran("before\n", None)
        assert not any(map(alive, ("5551", "5552", "5553", "5554")))
        assert (await world.execute("echo next")).output == "next\n"


DAEMONS = {
    "in the background": "sleep 6661 &",
    "in a session of its own": "setsid sleep 6661 & ",
    "forked twice, without output": "(setsid sh -c 'sleep 6661 & exec sleep 6662' >/dev/null 2>&1 </dev/null &)",
    "without environment": "env -i setsid sh -c 'trap \"\" TERM HUP INT; sleep 6661' & disown",
    "holding the output": "(setsid sleep 6661 &) ; sleep 6662 &",
}


@pytest.mark.parametrize("kind", DAEMONS)
async def test_a_daemon_does_not_outlive_its_command(environment: Opened, alive: Alive, kind: str) -> None:
    async with environment() as world:
        ran = await world.execute(f"{DAEMONS[kind]}\necho done")
        assert ran == Ran("done\n", 0)
        assert not alive("6661") and not alive("6662")


async def test_cancelling_ends_the_command(environment: Opened, alive: Alive, until: Until) -> None:
    async with environment() as world:
        running = asyncio.ensure_future(world.execute("(setsid sleep 7771 &) ; sleep 7772"))
        assert await asyncio.to_thread(until, lambda: alive("7771") and alive("7772"))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not alive("7771") and not alive("7772")
        assert await world.execute("echo next") == Ran("next\n", 0)


async def test_cancelling_at_any_moment_leaves_the_next_command_its_own_answer(environment: Opened) -> None:
    async with environment() as world:
        for number in range(25):
            running = asyncio.ensure_future(world.execute(f"echo {number}"))
            for _ in range(number % 7):
                await asyncio.sleep(0.002 * (number % 5))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert await world.execute(f"echo after {number}") == Ran(f"after {number}\n", 0)


async def test_cancelled_twice_it_ends_all_the_same(environment: Opened, alive: Alive, until: Until) -> None:
    async with environment() as world:
        running = asyncio.ensure_future(world.execute("sleep 7773"))
        assert await asyncio.to_thread(until, lambda: alive("7773"))
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await asyncio.to_thread(until, lambda: not alive("7773"))
        assert await world.execute("echo next") == Ran("next\n", 0)


async def test_commands_at_the_same_time_run_one_after_the_other(environment: Opened) -> None:
    async with environment() as world:
        commands = (
            world.execute(f"[ ! -e busy ] && touch busy && sleep 0.1 && rm busy && echo {n}")
            for n in range(5)
        )
        assert [ran.output for ran in await asyncio.gather(*commands)] == [f"{n}\n" for n in range(5)]


async def test_endless_output_is_cut_in_the_middle(environment: Opened) -> None:
    async with environment(limits={"output_bytes": 1000}) as world:
        ran = await world.execute("echo first; yes 1234567", timeout_s=3)
        assert ran.code is None and len(ran.output) <= 1000
        assert ran.output.startswith("first\n1234567\n")
        assert ran.left_out > 1_000_000 and f"[{ran.left_out} bytes left out]" in ran.output


@pytest.mark.parametrize("size", [0, 1, 839, 840, 841, 1000, 65536, 5_000_000])
async def test_every_byte_of_output_is_there_or_counted(environment: Opened, size: int) -> None:
    async with environment(limits={"output_bytes": 1000}) as world:
        ran = await world.execute(f"head -c {size} /dev/zero | tr '\\0' x; exit 4")
        assert ran.code == 4 and len(ran.output) <= 1000
        assert ran.output.count("x") + ran.left_out == size
        assert (ran.left_out > 0) == (size > 840)


async def test_no_character_is_cut(environment: Opened) -> None:
    async with environment(limits={"output_bytes": 1001}) as world:
        for start in ("", "a", "ab", "abc"):
            ran = await world.execute(f"printf {start or '%s'}; for i in $(seq 500); do printf €𝄞; done")
            assert "\ufffd" not in ran.output and len(ran.output.encode()) <= 1001
            kept = len(ran.output.partition("\n[")[0].encode()) + len(
                ran.output.partition("left out]\n")[2].encode()
            )
            assert kept + ran.left_out == 3500 + len(start)


async def test_output_of_a_whole_day_takes_no_memory(environment: Opened) -> None:
    """The supervisor holds the limit, whatever comes."""
    async with environment(limits={"output_bytes": 1000}) as world:
        await world.execute("true")
        pid = world._supervisor._process.pid  # type: ignore[attr-defined]
        before = peak(pid)
        await world.execute("head -c 200M /dev/zero")
        assert peak(pid) - before < 4 * 1024


def peak(pid: int) -> int:
    """The most memory that a process has held, in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def test_more_memory_than_allowed_cannot_be_had(environment: Opened) -> None:
    async with environment(limits={"memory_bytes": 64 << 20}) as world:
        ran = await world.execute("x=$(head -c 300M /dev/zero | tr '\\0' x); echo got ${#x}")
        assert "got" not in ran.output and ran.code != 0
        assert (
            await world.execute("x=$(head -c 1M /dev/zero | tr '\\0' x); echo ${#x}")
        ).output == "1048576\n"


async def test_memory_of_many_processes_together_is_limited(environment: Opened, alive: Alive) -> None:
    many = "for i in 1 2 3 4 5 6; do (x=$(head -c 20M /dev/zero | tr '\\0' x); sleep 8881) & done; wait; echo done"
    async with environment(limits={"memory_bytes": 64 << 20}) as world:
        ran = await world.execute(many, timeout_s=60)
        assert ran.code == 137 and "more than 67108864 bytes of memory" in ran.output
        assert not alive("8881")


async def test_more_processes_than_allowed_cannot_be_had(environment: Opened, alive: Alive) -> None:
    """As root they are found and ended, else the kernel refuses them: nowhere do all of them run to their end."""
    loop = "for i in $(seq 60); do sleep 8882 & done; wait; echo all ended"
    async with environment(limits={"processes": 20}) as world:
        ran = await world.execute(loop, timeout_s=20)
        refused = "Resource temporarily unavailable" in ran.output
        assert refused or (ran.code == 137 and "[ended: it had more than 20 processes" in ran.output)
        assert not alive("8882")
        assert await world.execute("echo next") == Ran("next\n", 0)


async def test_time_on_the_cpu_is_limited(environment: Opened) -> None:
    async with environment(limits={"cpu_s": 1}) as world:
        assert (await world.execute("while :; do :; done", timeout_s=120)).code in (137, 152)


async def test_the_size_of_files_is_limited(environment: Opened, workspace: Path) -> None:
    async with environment(limits={"file_bytes": 1 << 20}) as world:
        ran = await world.execute("head -c 3M /dev/zero > big; ls")
        assert "big" in ran.output and (workspace / "big").stat().st_size == 1 << 20
        with pytest.raises(ToolFailed, match="1048577 bytes for 'too big' are more than the 1048576"):
            await world.write("too big", bytes((1 << 20) + 1))


@pytest.mark.parametrize(
    "variables",
    [{}, {"BASH_ENV": "own.sh"}, {"POSIXLY_CORRECT": "1"}, {"BASHOPTS": "extglob"}, {"PATH": "only-sh"}],
    ids=lambda variables: next(iter(variables), "usual"),
)
async def test_limits_hold_however_a_shell_starts(
    opens: Opened, workspace: Path, variables: dict[str, str]
) -> None:
    """bash is given them on a way of its own, where it has one; nothing of that is left for the command."""
    (workspace / "own.sh").write_text("OWN=read\n")
    (workspace / "only-sh").mkdir()
    (workspace / "only-sh" / "sh").symlink_to("/bin/sh")
    variables = {
        name: str(workspace / value) if (workspace / value).exists() else value
        for name, value in variables.items()
    }
    async with opens("local", workspace, environment=variables, limits={"cpu_s": 7}) as world:
        said = 'ulimit -t; ulimit -c; echo "${OWN-no} ${BASH_ENV-none} $# ${0##*/}"; echo /proc/self/fd/*'
        ran = await world.execute(said)
        own = f"read {workspace}/own.sh" if "BASH_ENV" in variables else "no none"
        shell = "sh" if "PATH" in variables else "bash"
        assert ran.output.splitlines()[:3] == ["7", "0", f"{own} 0 {shell}"]
        assert "/proc/self/fd/9" not in ran.output


async def test_no_core_is_dumped(environment: Opened, workspace: Path) -> None:
    async with environment() as world:
        assert (await world.execute("ulimit -c; kill -SEGV $$")).output == "0\n"
        assert not list(workspace.iterdir())


async def test_no_file_of_this_process_is_open_in_a_command(environment: Opened) -> None:
    async with environment() as world:
        assert (await world.execute("echo /proc/self/fd/*; ls /proc/self/fd | wc -l")).output.endswith(
            "\n4\n"
        )


@pytest.mark.parametrize(
    ("command", "says"),
    [("echo \0", "NUL"), ("echo \ud800", "surrogate"), ("#" * 131072, "at most 131071 bytes, not 131072")],
)
async def test_what_no_shell_can_be_given_is_said(environment: Opened, command: str, says: str) -> None:
    async with environment() as world:
        with pytest.raises(ToolFailed, match=says):
            await world.execute(command)
        assert (await world.execute("#" * 131071)).code == 0


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
async def test_a_time_is_above_0(environment: Opened, timeout_s: float) -> None:
    async with environment() as world:
        with pytest.raises(BadInput, match="timeout_s"):
            await world.execute("true", timeout_s=timeout_s)


async def test_before_start_and_after_stop_nothing_can_be_done(workspace: Path) -> None:
    world = Local(workspace, trusted=True)
    for _ in range(2):
        for call in (world.execute("true"), world.read("a"), world.write("a", b""), world.diff()):
            with pytest.raises(BadInput, match="not started"):
                await call
        await world.start()
        with pytest.raises(BadInput, match="already"):
            await world.start()
        await world.stop()
        await world.stop()


async def test_a_workspace_that_is_gone_is_said_and_may_come_back(
    environment: Opened, workspace: Path
) -> None:
    async with environment() as world:
        (workspace / "x").touch()
        moved = workspace.rename(workspace.with_name("away"))
        with pytest.raises(ToolFailed):
            await world.execute("true")
        with pytest.raises(ToolFailed):
            await world.read("x")
        moved.rename(workspace)
        assert await world.execute("ls") == Ran("x\n", 0)


async def test_a_supervisor_that_is_killed_takes_the_command_along_or_is_replaced(
    opens: Opened, workspace: Path, alive: Alive, until: Until
) -> None:
    """`--die-with-parent` follows the thread that started bwrap: that is the supervisor's."""
    async with opens("bubblewrap", workspace) as world:
        command = asyncio.ensure_future(world.execute("setsid sleep 9991"))
        assert await asyncio.to_thread(until, lambda: alive("9991"))
        os.kill(world._supervisor._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(ToolFailed, match="was ended"):
            await command
        assert await asyncio.to_thread(until, lambda: not alive("9991"))
        assert await world.execute("echo next") == Ran("next\n", 0)


RUNNER = """
import asyncio, sys
from surefoot.tools.environments import Bubblewrap, Local
async def main():
    kind, workspace = sys.argv[1:]
    world = Local(workspace, trusted=True) if kind == "local" else Bubblewrap(workspace)
    await world.start()
    print(world._scratch, flush=True)
    await world.execute("(setsid sleep 9992 &); mkdir -p /tmp/closed/x; chmod 0 /tmp/closed; sleep 9993")
asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["local", "bubblewrap"])
def test_a_runner_that_is_killed_leaves_nothing(
    kind: str, workspace: Path, alive: Alive, until: Until
) -> None:
    command = [sys.executable, "-c", RUNNER, kind, str(workspace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        scratch = Path(runner.stdout.readline().strip())
        if not scratch.is_absolute():
            pytest.skip("the kernel gives no user namespace here")
        assert scratch.is_dir() and scratch.stat().st_mode & 0o777 == 0o700
        assert until(lambda: alive("9992") and alive("9993"))
        runner.kill()
    assert until(lambda: not alive("9992") and not alive("9993"))
    assert until(lambda: not scratch.exists())
    if kind == "local" and (closed := Path("/tmp/closed")).exists():
        closed.chmod(0o700)
        (closed / "x").rmdir()
        closed.rmdir()


def test_an_environment_lives_in_a_thread_that_ends(opens: Opened, workspace: Path) -> None:
    found: list[Any] = []

    async def use() -> None:
        async with opens("bubblewrap", workspace) as world:
            found.append(await world.execute("sleep 0.2; echo lived"))

    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    thread.join()
    assert found == [Ran("lived\n", 0)]


async def test_ten_environments_at_the_same_time(opens: Opened, tmp_path: Path) -> None:
    async def one(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with opens("local" if number % 2 else "bubblewrap", folder) as world:
            await world.execute("(setsid sleep 1000 &)")
            return (await world.execute(f"echo {number} > here; cat here; ls")).output

    assert await asyncio.gather(*map(one, range(10))) == [f"{number}\nhere\n" for number in range(10)]


@pytest.mark.parametrize(
    "limits", [{"timeout_s": 0}, {"processes": -1}, {"memory_bytes": float("nan")}, {"cpu_s": True}]
)
def test_a_limit_is_a_number_above_0(limits: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(limits))):
        Limits(**limits)
    with pytest.raises(BadInput, match="at least 256"):
        Limits(output_bytes=255)


def test_the_local_environment_wants_trust(workspace: Path) -> None:
    for trusted in ({}, {"trusted": False}, {"trusted": "no"}):
        with pytest.raises(BadInput, match="trusted=True"):
            Local(workspace, **trusted)  # type: ignore[arg-type]


async def test_no_key_of_this_process_reaches_a_local_command(
    opens: Opened, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SERVICE_API_KEY", "key-4711")
    async with opens("local", workspace, environment={"MINE": "a b"}) as world:
        ran = await world.execute('env; echo "$MINE"')
        assert "key-4711" not in ran.output and ran.output.endswith("\na b\n")

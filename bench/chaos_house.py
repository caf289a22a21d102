"""The processes that the chaos bench kills and starts again: a model server, a Redis, and the runner of a job."""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from runners import command
from servers import redis_command

from surefoot.orchestration.journal.jobs import Keys

Victim = Literal["runner", "model server", "redis"]
VICTIMS: tuple[Victim, ...] = get_args(Victim)

START_S = 60.0
SEGMENT = 50
"""Small segments, so that sealing and auditing are hit as well."""


class Process:
    """A process that is killed and started again."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs, or if it was killed."""
        return None if self._process is None else self._process.poll()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None


class House:
    """The three processes of one job, and a view of its journal from outside."""

    def __init__(self, directory: Path, disks: int) -> None:
        self.disks = disks
        self.directory = directory
        self._socket = directory / "s"
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}/v1"
        serve = [sys.executable, "-m", "surefoot.models.embedded.llama_cpp", "--port", str(port)]
        self.model_server = Process(serve, directory / "model.log")
        self.redis = Process(redis_command(directory, self._socket), directory / "redis.log")
        self.runner = Process([], directory / "runner.log")
        self._client = Redis(
            unix_socket_path=str(self._socket), socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    def open(self) -> None:
        """Start both servers and wait until they answer."""
        self.redis.start()
        self.model_server.start()
        deadline = time.monotonic() + START_S
        while not (self._redis_answers() and self._model_answers()):
            if time.monotonic() > deadline:
                raise SystemExit(f"the servers do not start; see {self.directory}")
            time.sleep(0.05)

    def close(self) -> None:
        for process in (self.runner, self.model_server, self.redis):
            process.kill()
        self._client.close()

    def durable(self, job: str) -> int | None:
        """How many steps of the job are durable; None while Redis is away."""
        try:
            return int(self._client.hget(Keys(job).meta, "next") or 0)
        except (RedisError, OSError):
            return None

    def begin(self, job: str) -> None:
        """Start a runner: `run` for a job that the journal does not know yet, `resume` after that."""
        files = ["--out", str(self._moves(job)), "--redis", f"unix://{self._socket}", "--json"]
        what = ["resume", job]
        if not self.durable(job):
            task = ["towers", "--disks", str(self.disks), "--style", "compact", "--model", self._url]
            what = ["run", *task, "--k", "3", "--segment", str(SEGMENT), "--job", job]
        report = self.directory / f"{job}.json"
        report.unlink(missing_ok=True)
        self.runner = Process(command(*what, *files), report)
        self.runner.start()

    def process(self, victim: Victim) -> Process:
        return {"runner": self.runner, "model server": self.model_server, "redis": self.redis}[victim]

    def result(self, job: str) -> tuple[bytes, str]:
        """The move list and the final hash of a job that is done."""
        return self._moves(job).read_bytes(), _report(self.directory / f"{job}.json")["head"]

    def _moves(self, job: str) -> Path:
        return self.directory / f"{job}.moves"

    def _redis_answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except (RedisError, OSError):
            return False

    def _model_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/models", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def house(disks: int) -> Iterator[House]:
    """Both servers, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="sf-chaos-") as directory:
        made = House(Path(directory), disks)
        try:
            made.open()
            yield made
        finally:
            made.close()


def _report(path: Path) -> Any:
    """Read the report out of a runner's output, in which lines of its log may come first."""
    text = path.read_text()
    return json.loads(text[text.index("{\n") :])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

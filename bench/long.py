"""A long job on the embedded model: memory, a kill in the middle, the same final hash.

python bench/long.py [--disks 14] [--answers full|move] [--speculate recall|off] [--k K]

Runs the job once undisturbed, watching the resident memory of its process, and once more with a kill -9 half way and a
`surefoot resume`.  Both are the command line as a user runs it.  Every move is compared with the optimal sequence.
Exits 1 if a move is wrong, or if the two runs do not end with the same hash.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pages import options, shown
from redis import Redis
from rich.console import Console
from runners import command, decided, resident_mb, wrong_moves
from servers import redis_server

from surefoot.tools.towers.board import optimal_length

WARM = 500
"""Steps after which memory is first looked at: by then everything is loaded and every buffer has its size."""


class Run(NamedTuple):
    """One job, from its report and from outside."""

    report: dict[str, Any]
    wrong: int
    seconds: float
    memory_mb: tuple[float, float]
    """Resident memory of the runner when warm and at its highest after that."""


class Job(NamedTuple):
    """What is run, and how."""

    disks: int
    form: str
    speculate: str
    k: int | None

    def run(self, name: str, *more: object) -> list[str]:
        """Return the command that runs it as a job of this name."""
        k = () if self.k is None else ("--k", self.k)
        task = ("towers", "--disks", self.disks, "--answers", self.form, *k)
        return command("run", *task, "--job", name, "--speculate", self.speculate, *more, "--json")

    def resume(self, name: str, *more: object) -> list[str]:
        """Return the command that takes that job up."""
        return command("resume", name, "--speculate", self.speculate, *more, "--json")


def whole(redis: Redis, job: Job, out: Path) -> Run:
    began = time.perf_counter()
    process = subprocess.Popen(job.run("whole", "--out", out), stdout=subprocess.PIPE, text=True)
    warm = most = 0.0
    while process.poll() is None:
        if decided(redis, "whole") >= WARM:
            most = max(most, resident_mb(process.pid))
            warm = warm or most
        time.sleep(0.25)
    assert process.stdout is not None
    report = json.loads(process.stdout.read())
    return Run(report, wrong_moves(out, job.disks), time.perf_counter() - began, (warm, most))


def killed(redis: Redis, job: Job, out: Path) -> tuple[Run, int]:
    began = time.perf_counter()
    process = subprocess.Popen(job.run("killed"), stdout=subprocess.DEVNULL)
    while decided(redis, "killed") < optimal_length(job.disks) // 2 and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    step = decided(redis, "killed")
    done = subprocess.run(job.resume("killed", "--out", out), stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - began
    return Run(json.loads(done.stdout), wrong_moves(out, job.disks), seconds, (0.0, 0.0)), step


def rows(first: Run, second: Run) -> Iterator[list[str]]:
    for name in ("solved", "steps", "votes", "red_flags", "contested", "repairs", "k", "wall_s", "head"):
        yield [name, str(first.report[name]), str(second.report[name])]
    yield ["wrong moves", str(first.wrong), str(second.wrong)]
    yield ["seconds, everything", f"{first.seconds:.1f}", f"{second.seconds:.1f}"]
    yield ["steps/s", f"{first.report['steps'] / first.report['wall_s']:.1f}", ""]
    warm, most = first.memory_mb
    yield ["resident memory", f"{warm:.1f} MB warm, {most:.1f} MB at most: +{most - warm:.1f} MB", ""]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--disks", type=int, default=14)
    parser.add_argument("--answers", choices=("full", "move"), default="full")
    parser.add_argument("--speculate", default="recall", help="as for `surefoot run`")
    parser.add_argument("--k", type=int, help="found by calibration if absent")
    arguments = parser.parse_args()
    job = Job(arguments.disks, arguments.answers, arguments.speculate, arguments.k)
    with tempfile.TemporaryDirectory(prefix="sf-long-") as folder, redis_server() as url:
        os.environ["SUREFOOT_REDIS"] = url
        with Redis.from_url(url) as redis:
            first = whole(redis, job, Path(folder) / "whole.txt")
            second, step = killed(redis, job, Path(folder) / "killed.txt")
    title = f"{job.disks} disks, {job.form} answers, embedded model, speculation: {job.speculate}"
    columns = ("", "undisturbed", f"kill -9 at step {step:,}, resumed")
    Console().print(shown(title, columns, rows(first, second)))
    same = first.report["head"] == second.report["head"]
    sys.exit(0 if same and first.wrong == second.wrong == 0 else 1)


if __name__ == "__main__":
    main()

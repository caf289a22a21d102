"""A long job on the embedded model: memory, a kill in the middle, the same final hash.

python bench/long.py [--disks 14] [--answers full|move] [--speculate recall|off]

Runs the job once undisturbed, watching the resident memory of its process, and once more with a kill -9 half way and a
`surefoot resume`.  Both are the command line as a user runs it.  Every move is compared with the optimal sequence.
Exits 1 if a move is wrong, or if the two runs do not end with the same hash.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis
from rich.console import Console
from rich.table import Table
from servers import redis_server

from surefoot.orchestration.journal.jobs import Keys
from surefoot.tools.towers.board import optimal_length, optimal_move

WARM = 500
"""Steps after which memory is first looked at: by then everything is loaded and every buffer has its size."""


class Run(NamedTuple):
    """One job, from its report and from outside."""

    report: dict[str, Any]
    wrong: int
    seconds: float
    memory_mb: tuple[float, float]
    """Resident memory of the runner when warm and at its highest after that."""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "surefoot.cli", *map(str, arguments), "--json"]


def run(job: str, disks: int, form: str, speculate: str, *more: object) -> list[str]:
    task = ("towers", "--disks", disks, "--answers", form)
    return command("run", *task, "--job", job, "--speculate", speculate, *more)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0
    )


def decided(redis: Redis, job: str) -> int:
    return int(redis.hget(Keys(job).meta, "next") or 0)


def wrong_moves(path: Path, disks: int) -> int:
    """How many lines of the move list differ from the optimal sequence, missing ones included."""
    moves = path.read_text().splitlines()
    steps = optimal_length(disks)
    right = sum(
        line == "{} {} {}".format(*optimal_move(disks, step)) for step, line in enumerate(moves[:steps])
    )
    return max(steps, len(moves)) - right


def whole(redis: Redis, disks: int, form: str, speculate: str, out: Path) -> Run:
    began = time.perf_counter()
    process = subprocess.Popen(
        run("whole", disks, form, speculate, "--out", out), stdout=subprocess.PIPE, text=True
    )
    warm = most = 0.0
    while process.poll() is None:
        if decided(redis, "whole") >= WARM:
            most = max(most, resident_mb(process.pid))
            warm = warm or most
        time.sleep(0.25)
    assert process.stdout is not None
    report = json.loads(process.stdout.read())
    return Run(report, wrong_moves(out, disks), time.perf_counter() - began, (warm, most))


def killed(redis: Redis, disks: int, form: str, speculate: str, out: Path) -> tuple[Run, int]:
    began = time.perf_counter()
    process = subprocess.Popen(run("killed", disks, form, speculate), stdout=subprocess.DEVNULL)
    while decided(redis, "killed") < optimal_length(disks) // 2 and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    step = decided(redis, "killed")
    resume = command("resume", "killed", "--speculate", speculate, "--out", out)
    done = subprocess.run(resume, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - began
    return Run(json.loads(done.stdout), wrong_moves(out, disks), seconds, (0.0, 0.0)), step


def shown(disks: int, form: str, speculate: str, first: Run, second: Run, step: int) -> Table:
    table = Table(title=f"{disks} disks, {form} answers, embedded model, speculation: {speculate}")
    for column in ("", "undisturbed", f"kill -9 at step {step:,}, resumed"):
        table.add_column(column)
    for name in ("solved", "steps", "votes", "red_flags", "contested", "repairs", "k", "wall_s", "head"):
        table.add_row(name, str(first.report[name]), str(second.report[name]))
    table.add_row("wrong moves", str(first.wrong), str(second.wrong))
    table.add_row("seconds, everything", f"{first.seconds:.1f}", f"{second.seconds:.1f}")
    table.add_row("steps/s", f"{first.report['steps'] / first.report['wall_s']:.1f}", "")
    warm, most = first.memory_mb
    table.add_row("resident memory", f"{warm:.1f} MB warm, {most:.1f} MB at most: +{most - warm:.1f} MB", "")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--disks", type=int, default=14)
    parser.add_argument("--answers", choices=("full", "move"), default="full")
    parser.add_argument("--speculate", default="recall", help="as for `surefoot run`")
    arguments = parser.parse_args()
    how = (arguments.disks, arguments.answers, arguments.speculate)
    with tempfile.TemporaryDirectory(prefix="sf-long-") as folder, redis_server() as url:
        os.environ["SUREFOOT_REDIS"] = url
        with Redis.from_url(url) as redis:
            first = whole(redis, *how, Path(folder) / "whole.txt")
            second, step = killed(redis, *how, Path(folder) / "killed.txt")
    Console().print(shown(*how, first, second, step))
    same = first.report["head"] == second.report["head"]
    sys.exit(0 if same and first.wrong == second.wrong == 0 else 1)


if __name__ == "__main__":
    main()

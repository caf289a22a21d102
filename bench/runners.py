"""The runner of a job as a user runs it, in a process of its own, and a look at it from outside."""

import ctypes
import signal
import sys
from pathlib import Path
from typing import cast

from redis import Redis

from surefoot.orchestration.journal.jobs import Keys
from surefoot.tools.towers.board import optimal_length, optimal_move

PDEATHSIG = 1


def command(*arguments: object) -> list[str]:
    """Return the command line of `surefoot` with these arguments."""
    return [sys.executable, "-m", "surefoot.cli", *map(str, arguments)]


def die_with_parent() -> None:
    """Let the kernel end the runner with the bench, however that ends: two must never run one job."""
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    sizes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    return round(sizes[0] / 1024, 1) if sizes else 0.0


def decided(redis: Redis, job: str) -> int:
    """Return how many steps of a job are durable."""
    return int(cast(bytes | None, redis.hget(Keys(job).meta, "next")) or 0)


def wrong_moves(path: Path, disks: int) -> int:
    """Return how many lines of the move list differ from the optimal sequence, missing ones included."""
    moves = path.read_text().splitlines()
    steps = optimal_length(disks)
    right = sum(
        line == "{} {} {}".format(*optimal_move(disks, step)) for step, line in enumerate(moves[:steps])
    )
    return max(steps, len(moves)) - right

"""Whether anything grows: 1,048,575 chained steps with a model that answers at once and is always right, k = 3.

python bench/flat.py [--disks 20] [--speculate off|leading|recall ...] [--latency S] [--results bench/results]

The runner is a process of its own, on a Valkey of the bench's own (append-only).  For each `--speculate`, one runner does the whole
job undisturbed: its resident memory after 10,000 steps, every 100,000 steps and at the end, its steps a second, and the
bytes that a step leaves in Valkey's memory and in its files.  Then a second job is killed (kill -9) at step 900,000
and run to its end by another runner.

Exits 1 if memory grows by 50 MB or more, if a step is wrong, or if any two jobs do not end with the same hash.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from million import LAST_KILL
from million_check import memory_bytes, reminded, resumed
from million_diary import Take
from pages import options, origin, shown, table, write
from redis import Redis
from rich.console import Console
from runners import decided, die_with_parent, resident_mb
from servers import flags, redis_server

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.tools.towers.board import optimal_length

K = 3
WAYS = ("off", "leading", "recall")
GROWTH_MB = 50.0
EVERY = 100_000
"""Steps between two looks at the memory; the first look comes after a tenth of them."""
LOOK_S = 0.02


@dataclass
class Whole:
    """One job that nothing disturbed."""

    way: str
    report: dict[str, Any] = field(default_factory=dict)
    resident: dict[int, float] = field(default_factory=dict)
    """Steps to the resident memory of the runner in MB."""
    memory_bytes: int = 0
    """What the job's keys take in Valkey's memory."""
    file_bytes: int = 0
    """What the append-only files grew by."""

    @property
    def growth_mb(self) -> float:
        first, *later = self.resident.values()
        return max(later, default=first) - first

    @property
    def right(self) -> bool:
        return bool(self.report["solved"] and self.report["steps"] == self.report["steps_expected"])

    @property
    def rate(self) -> float:
        return float(self.report["steps"] / self.report["wall_s"])


@dataclass
class Killed:
    """One job whose runner was killed on the way."""

    step: int
    take: Take
    remind_s: float
    """After that: what it takes to remind a draft of the latest segments; nothing without a draft."""
    first_step_s: float
    """From the start of the next runner's process to its first durable step."""
    report: dict[str, Any]

    @property
    def taken_up(self) -> str:
        """How long the job takes to be taken up again, and with what."""
        take = self.take
        parts = f"lease {take.acquire_s:.3f}, tail of {take.records:,} records {take.tail_s:.3f}, replay {take.replay_s:.3f}"
        reminded = f", reminding the draft {self.remind_s:.3f}" if self.remind_s else ""
        return f"{take.seconds + self.remind_s:.3f} s ({parts}{reminded})"


@contextmanager
def runner(job: str, url: str, given: argparse.Namespace, way: str) -> Iterator[subprocess.Popen[str]]:
    """Start this script as a runner; it goes on where the job stands, and does not outlive the bench."""
    how = flags({"disks": given.disks, "latency": given.latency, "speculate": way})
    command = [sys.executable, __file__, "--runner", job, url, *how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent) as process:
        yield process


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what a runner printed at its end."""
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the runner ended with exit code {process.returncode}")
    found: dict[str, Any] = json.loads(out)
    return found


async def run(job: str, url: str, disks: int, latency_s: float, way: str) -> None:
    """Be the runner."""
    speculate = None if way == "off" else surefoot.Speculation(way)
    task = surefoot.Towers(disks, "compact")
    model = towers_double(latency=latency_s)
    report = await surefoot.run(
        task, surefoot.Settings(k=K), model=model, redis=url, job=job, speculate=speculate
    )
    resident = resident_mb(os.getpid())
    print(json.dumps({"report": report.model_dump(mode="json"), "resident_mb": resident}))


def whole(redis: Redis, url: str, given: argparse.Namespace, way: str) -> Whole:
    found, steps, job = Whole(way), optimal_length(given.disks), f"flat-{way}"
    before = file_bytes(redis)
    every = max(min(EVERY, steps // 10), 1)
    mark = max(every // 10, 1)
    with runner(job, url, given, way) as process:
        while process.poll() is None:
            step = decided(redis, job)
            if mark <= step < steps:
                found.resident[step] = resident_mb(process.pid)
                mark = (step // every + 1) * every
            time.sleep(LOOK_S)
        last = told(process)
    found.report = last["report"]
    found.resident[steps] = last["resident_mb"]
    found.memory_bytes = memory_bytes(redis, job)
    found.file_bytes = file_bytes(redis) - before
    return found


def killed(redis: Redis, url: str, given: argparse.Namespace, way: str) -> Killed:
    job, disks = f"flat-{way}-killed", given.disks
    target = round(LAST_KILL * optimal_length(disks))
    with runner(job, url, given, way) as process:
        while decided(redis, job) < target and process.poll() is None:
            time.sleep(LOOK_S)
        process.kill()
    step = decided(redis, job)
    take = asyncio.run(resumed(redis, job, disks, "full"))
    remind_s = asyncio.run(reminded(redis, job, disks, "full")) if way == "recall" else 0.0
    began = time.perf_counter()
    with runner(job, url, given, way) as process:
        while decided(redis, job) == step and process.poll() is None:
            time.sleep(LOOK_S)
        first_step_s = time.perf_counter() - began
        return Killed(step, take, remind_s, first_step_s, told(process)["report"])


def file_bytes(redis: Redis) -> int:
    folder = Path(str(redis.config_get("dir")["dir"])) / "appendonlydir"
    return sum(path.stat().st_size for path in folder.iterdir())


def rows(runs: list[Whole], stops: list[Killed]) -> Iterator[list[str]]:
    yield ["speculation", *(run.way for run in runs)]
    yield ["every step right", *("yes" if run.right else "NO" for run in runs)]
    yield ["steps/s", *(f"{run.rate:,.0f}" for run in runs)]
    yield ["seconds", *(f"{run.report['wall_s']:,.1f}" for run in runs)]
    for number, _ in enumerate(runs[0].resident):
        seen = [list(run.resident.items())[number : number + 1] for run in runs]
        yield [
            f"resident memory, look {number + 1}",
            *("".join(f"{mb:.1f} MB at step {step:,}" for step, mb in look) for look in seen),
        ]
    yield [
        f"growth after the first look, at most (limit {GROWTH_MB:.0f} MB)",
        *(f"{run.growth_mb:.1f} MB" for run in runs),
    ]
    for what, name in (("Valkey's memory", "memory_bytes"), ("append-only files", "file_bytes")):
        sizes = [getattr(run, name) for run in runs]
        each = [f"{size / run.report['steps']:.1f}" for size, run in zip(sizes, runs, strict=True)]
        yield [f"journal bytes a step, {what}", *each]
    yield ["kill -9 of a second job at step", *(f"{stop.step:,}" for stop in stops)]
    yield ["taken up in", *(stop.taken_up for stop in stops)]
    first = "start of the next process to its first new durable step"
    yield [first, *(f"{stop.first_step_s:.2f} s" for stop in stops)]
    same = (stop.report["head"] == runs[0].report["head"] for stop in stops)
    yield ["the same final hash as undisturbed", *("yes" if one else "NO" for one in same)]


def main() -> None:
    parser = options(__doc__, "flat.md")
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--speculate", nargs="+", choices=WAYS, default=["off"])
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that an answer takes")
    parser.add_argument("--runner", nargs=2, metavar=("JOB", "REDIS"), help="be the runner of this job")
    given = parser.parse_args()
    if given.runner:
        job, url = given.runner
        asyncio.run(run(job, url, given.disks, given.latency, given.speculate[0]))
        return
    with redis_server() as url, Redis.from_url(url) as redis:
        runs = [whole(redis, url, given, way) for way in given.speculate]
        stops = [killed(redis, url, given, way) for way in given.speculate]
    title = f"{optimal_length(given.disks):,} chained steps with a model that answers at once, k = {K}"
    lines = list(rows(runs, stops))
    Console(width=160).print(shown(title, lines[0], lines[1:]))
    text = f"# {title}\n\n{origin('flat', given.results)}\n\n{table(lines[0], lines[1:])}\n"
    write(given.results, "flat.md", text)
    right = all(run.right and run.growth_mb < GROWTH_MB for run in runs)
    heads = {report["head"] for report in (*(run.report for run in runs), *(stop.report for stop in stops))}
    sys.exit(0 if right and len(heads) == 1 else 1)


if __name__ == "__main__":
    main()

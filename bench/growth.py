"""How the commands grow: `jobs`, `show`, `resume`, `--out` and a new job, with the number of jobs and with the steps of one job.

python bench/growth.py [--jobs 10 100 1000 5000] [--disks 13 17 20] [--results bench/results]

A Valkey of the bench's own is filled by a double that answers at once and errs now and then (k = 3).  Of each command the CPU seconds
are taken, those of this process and of the server together, the least of three; the slope is that of a line through the logarithms:
1 is linear, 0 constant.  The many jobs are copies of one of 7 steps.  What is loaded is left out of garbage collections, as the
command line does: a few of these in a large heap would weigh more than a small job.

Exits 1 if a slope is above 1.1.
"""

import asyncio
import gc
import math
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Any, NamedTuple

from pages import options, origin, table, write
from redis.asyncio import Redis
from servers import redis_server

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.reporting import answer_line, read_report, records
from surefoot.private_files import replacement
from surefoot.tools.towers.board import optimal_length

K = 3
ERROR = 0.0005
"""Of a sample: some 1,500 contested steps in a million, each of which keeps its samples."""
SMALL = 3
MOST = 1.1
REPEATED = 3

Work = Callable[[Redis, str, int], Awaitable[Any]]


class Costs(NamedTuple):
    """CPU seconds by size."""

    what: str
    seconds: Mapping[int, float]

    @property
    def slope(self) -> float:
        """Slope of a line through (log size, log seconds)."""
        points = [(math.log(size), math.log(seconds)) for size, seconds in self.seconds.items()]
        return linear_regression(*zip(*points, strict=True)).slope


async def listing(redis: Redis, job: str, disks: int) -> None:
    assert all(isinstance(found, jobs.Job) for found in await jobs.every(redis))


async def show(redis: Redis, job: str, disks: int) -> None:
    assert (await read_report(redis, job, surefoot.Towers(disks, "compact"))).solved


async def resume(redis: Redis, job: str, disks: int) -> None:
    """Take up a job that was killed when all was decided and nothing said so."""
    await redis.hset(Keys(job).meta, "status", "stopped")
    assert (await surefoot.resume(job, model=towers_double(), redis=redis)).solved


async def out(redis: Redis, job: str, disks: int) -> None:
    task = surefoot.Towers(disks, "compact")
    with tempfile.TemporaryDirectory() as folder, replacement(Path(folder) / "moves") as file:
        async for record in records(redis, await jobs.load(redis, job)):
            file.write(answer_line(task, record.answer) + "\n")


async def new(redis: Redis, job: str, disks: int) -> None:
    """Run a new job of 7 steps."""
    await run(redis, f"new-{time.monotonic_ns()}", SMALL)


COMMANDS: Mapping[str, Work] = {
    "jobs": listing,
    "show": show,
    "resume": resume,
    "--out": out,
    "run, a new job of 7 steps": new,
}


async def run(redis: Redis, job: str, disks: int) -> None:
    task, model = surefoot.Towers(disks, "compact"), towers_double(error=ERROR)
    assert (await surefoot.run(task, surefoot.Settings(k=K), model=model, redis=redis, job=job)).solved


async def cpu_s(redis: Redis) -> float:
    """Return what this process and the server have computed so far."""
    served = await redis.info("cpu")
    return time.process_time() + float(served["used_cpu_user"]) + float(served["used_cpu_sys"])


async def least_s(redis: Redis, work: Work, job: str, disks: int) -> float:
    spent = []
    for _ in range(REPEATED):
        before = await cpu_s(redis)
        await work(redis, job, disks)
        spent.append(await cpu_s(redis) - before)
    return min(spent)


async def copied(redis: Redis, job: str, count: int) -> None:
    """Make copies of a job until there are so many jobs; nothing of a job but its keys says its name."""
    prefix = f"surefoot:{{{job}}}:"
    dumps = {
        key.decode()[len(prefix) :]: await redis.dump(key)
        async for key in redis.scan_iter(match=prefix + "*")
    }
    there = await redis.scard(Keys("").jobs)
    async with redis.pipeline(transaction=False) as pipe:
        for number in range(there, count):
            for name, dump in dumps.items():
                pipe.restore(f"surefoot:{{copy-{number}}}:{name}", 0, dump or b"", replace=True)
            pipe.sadd(Keys("").jobs, f"copy-{number}")
        await pipe.execute()


async def by_jobs(redis: Redis, counts: Sequence[int]) -> list[Costs]:
    """Measure every command on one of so many small jobs."""
    await run(redis, "first", SMALL)
    seconds: dict[str, dict[int, float]] = {name: {} for name in COMMANDS}
    for count in counts:
        await copied(redis, "first", count)
        for name, work in COMMANDS.items():
            seconds[name][count] = await least_s(redis, work, "first", SMALL)
    return [Costs(name, found) for name, found in seconds.items()]


async def by_steps(redis: Redis, sizes: Sequence[int]) -> tuple[list[Costs], dict[int, list[str]]]:
    """Measure what reads one job on jobs of so many disks; returns the bytes that each keeps, too."""
    measured = {name: work for name, work in COMMANDS.items() if work is not new}
    seconds: dict[str, dict[int, float]] = {name: {} for name in measured}
    kept: dict[int, list[str]] = {}
    for disks in sizes:
        job, steps = f"towers-{disks}", optimal_length(disks)
        await run(redis, job, disks)
        for name, work in measured.items():
            seconds[name][steps] = await least_s(redis, work, job, disks)
        kept[steps] = await sizes_of(redis, job, steps)
    return [Costs(name, found) for name, found in seconds.items()], kept


async def sizes_of(redis: Redis, job: str, steps: int) -> list[str]:
    """Return what a job keeps in the server's memory: per step, all in all, and its samples alone."""
    keys = [key async for key in redis.scan_iter(match=f"surefoot*:{{{job}}}:*")]
    whole = sum([await redis.memory_usage(key, samples=0) or 0 for key in keys])
    samples = await redis.memory_usage(Keys(job).kept, samples=0) or 0
    return [f"{steps:,}", f"{whole / steps:.1f}", f"{whole / 1e6:.2f} MB", f"{samples / 1e3:.1f} kB"]


def rows(costs: Sequence[Costs]) -> Iterator[list[str]]:
    for each in costs:
        yield [each.what, *(f"{seconds:.3f}" for seconds in each.seconds.values()), f"{each.slope:.2f}"]


def page(many: Sequence[Costs], long: Sequence[Costs], kept: Mapping[int, list[str]], about: str) -> str:
    counts, steps = ([f"{size:,}" for size in costs[0].seconds] for costs in (many, long))
    return "\n\n".join(
        [
            "# How the commands grow",
            about,
            "CPU seconds, those of the command and of the server together, the least of three. A slope of 1 is linear, 0 constant. "
            "LangGraph's import is not in it.",
            f"## With so many jobs of {optimal_length(SMALL)} steps",
            table(["", *counts, "slope"], list(rows(many))),
            "## With so many steps in one job, done",
            table(["", *steps, "slope"], list(rows(long))),
            "## What a job keeps in the server's memory",
            table(["steps", "bytes a step", "all in all", "samples, compressed"], list(kept.values())),
        ]
    )


async def measure(url: str, counts: Sequence[int], disks: Sequence[int], about: str) -> tuple[str, float]:
    async with Redis.from_url(url) as redis:
        await run(redis, "warm", SMALL)
        await redis.flushall()
        gc.freeze()  # as the command line does: the same heap for every size
        many = await by_jobs(redis, counts)
        await redis.flushall()
        long, kept = await by_steps(redis, disks)
    return page(many, long, kept, about) + "\n", max(costs.slope for costs in (*many, *long))


def main() -> None:
    parser = options(__doc__, "growth.md")
    parser.add_argument("--jobs", type=int, nargs="+", default=[10, 100, 1000, 5000])
    parser.add_argument("--disks", type=int, nargs="+", default=[13, 17, 20])
    given = parser.parse_args()
    with redis_server() as url:
        text, slope = asyncio.run(measure(url, given.jobs, given.disks, origin("growth", given.results)))
    print(text)
    write(given.results, "growth.md", text)
    sys.exit(0 if slope <= MOST else 1)


if __name__ == "__main__":
    main()

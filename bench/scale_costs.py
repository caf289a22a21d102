"""What this build costs a Redis and a worker, measured on a Valkey of the bench's own: a commit, a step, a segment, a job."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import linear_regression
from typing import NamedTuple

from redis.asyncio import Redis

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.journal.journal import Journal
from surefoot.orchestration.record import Record
from surefoot.orchestration.reporting import records
from surefoot.tools.towers.board import optimal_length

K = 3
LONG = 13
SHORT = 3
SIZES = (1, 10, 100, 500)
"""Steps a commit."""
COMMITS = 1_000
"""Of the smallest size; the larger ones take fewer."""
TIMES = 3
"""Each is measured, and the time of least CPU taken: other work on the machine makes it more."""
FIELDS = ("cpu_s", "calls", "received", "sent", "memory")


class Load(NamedTuple):
    """What something costs a Redis."""

    cpu_s: float = 0.0
    calls: float = 0.0
    """Commands as INFO commandstats counts them, those inside scripts included."""
    received: float = 0.0
    """Bytes."""
    sent: float = 0.0
    memory: float = 0.0
    """Bytes that stay."""

    def times(self, count: float) -> "Load":
        return Load(*(each * count for each in self))

    def plus(self, *others: "Load") -> "Load":
        return Load(*map(fsum, zip(self, *others, strict=True)))

    def minus(self, other: "Load") -> "Load":
        """Return what is left, nothing where noise would leave less."""
        return Load(*(max(0.0, mine - theirs) for mine, theirs in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Costs:
    """What each of these costs, and what was looked at."""

    job: Load
    """Its first segment included."""
    segment: Load
    """Every further one."""
    commit: Load
    step: Load
    """Beside its share of a commit."""
    cpu_s: float
    """Of a worker's process, a step, with a double in the process that answers at once."""
    bytes_a_step: Mapping[int, float]
    """Bytes of journal a step in the server's memory, by steps a commit."""

    def of(self, *, jobs: float, segments: float, commits: float, steps: float) -> Load:
        """Return what so many of them cost."""
        return self.job.times(jobs).plus(
            self.segment.times(max(0.0, segments - jobs)), self.commit.times(commits), self.step.times(steps)
        )

    def rows(self) -> Iterator[list[str]]:
        """Yield a row a unit, for a table under `COLUMNS`."""
        for name in ("job", "segment", "commit", "step"):
            load: Load = getattr(self, name)
            yield [
                f"a {name}",
                f"{load.cpu_s * 1e6:,.1f}",
                f"{load.calls:,.1f}",
                f"{load.received:,.0f}",
                f"{load.sent:,.0f}",
                f"{load.memory:,.1f}",
            ]


COLUMNS = ("", "CPU, µs", "commands", "bytes in", "bytes out", "bytes kept")


async def costs(redis: Redis) -> Costs:
    """Measure all of them; takes about half a minute."""
    decided = await _decided(redis)
    by_size = {
        size: min([await _a_commit(redis, decided, size, number) for number in range(TIMES)])
        for size in SIZES
    }
    lines = {
        name: linear_regression(SIZES, [getattr(load, name) for load in by_size.values()]) for name in FIELDS
    }
    # A line through four sizes may cross zero a little beside it.
    commit = Load(**{name: max(0.0, line.intercept) for name, line in lines.items()})
    step = Load(**{name: max(0.0, line.slope) for name, line in lines.items()})
    steps, few = optimal_length(LONG), optimal_length(SHORT)
    small, _ = await _jobs(redis, SHORT, 100)
    began = time.process_time()
    large, commits = await _jobs(redis, LONG, 1)
    cpu_s = (time.process_time() - began) / steps
    around = small.minus(commit.plus(step.times(few)))  # a job and its one segment
    segments = -(-steps // surefoot.Settings().segment)
    inside = large.minus(around.plus(commit.times(commits), step.times(steps)))
    segment = inside.times(1 / (segments - 1))
    return Costs(
        job=around,
        segment=segment,
        commit=commit,
        step=step,
        cpu_s=cpu_s,
        bytes_a_step={size: load.memory / size for size, load in by_size.items()},
    )


async def _decided(redis: Redis) -> Sequence[Record]:
    """Return the records of a job, to be written down again in other groups."""
    await _run(redis, "decided", LONG)
    return [record async for record in records(redis, await jobs.load(redis, "decided"))]


async def _a_commit(redis: Redis, decided: Sequence[Record], size: int, number: int) -> Load:
    """Return what a commit of so many steps costs, measured for the time of this number."""
    count = min(COMMITS, len(decided) // size)
    job, segment = f"by-{size}-{number}", len(decided) + 1  # all frames in one list
    fixed = Fixed(surefoot.Settings(k=K, segment=segment), "double")
    await jobs.create(redis, job, "towers", {"by": size}, 0, fixed)
    async with await Journal.acquire(redis, job) as journal:

        async def commit_all() -> None:
            for first in range(0, count * size, size):
                for record in decided[first : first + size]:
                    await journal.append(record)
                await journal.commit()

        spent = await spent_on(redis, commit_all)
    kept = await redis.memory_usage(Keys(job).log(0), samples=0) or 0
    return spent._replace(memory=kept).times(1 / count)


async def _jobs(redis: Redis, disks: int, count: int) -> tuple[Load, int]:
    """Return what a job of so many disks costs, run `count` times, and how many commits one made."""
    names = [f"towers-{disks}-{number}" for number in range(count)]

    async def run_all() -> None:
        for name in names:
            await _run(redis, name, disks)

    spent = await spent_on(redis, run_all)
    kept = sum([await kept_bytes(redis, name) for name in names])
    frames = 0
    async for key in redis.scan_iter(match=f"surefoot:{{{names[0]}}}:log:*"):
        frames += await redis.llen(key)
    return spent._replace(memory=kept).times(1 / count), frames


async def _run(redis: Redis, job: str, disks: int) -> None:
    task = surefoot.Towers(disks, "compact")
    assert (
        await surefoot.run(task, surefoot.Settings(k=K), model=towers_double(), redis=redis, job=job)
    ).solved


async def kept_bytes(redis: Redis, job: str) -> int:
    """Return the bytes that a job keeps in the server's memory, its checkpoints included."""
    keys = [key async for key in redis.scan_iter(match=f"surefoot*:{{{job}}}:*")]
    return sum([await redis.memory_usage(key, samples=0) or 0 for key in keys])


async def spent_on(redis: Redis, work: Callable[[], Awaitable[None]]) -> Load:
    """Return what a server spends while this is done; what stays in memory is not looked at."""
    before = await used(redis)
    await work()
    return (await used(redis)).minus(before)


async def used(redis: Redis) -> Load:
    """Return what a server has spent so far."""
    cpu, stats, commands = [await redis.info(part) for part in ("cpu", "stats", "commandstats")]
    calls: Counter[str] = Counter({name: each["calls"] for name, each in commands.items()})
    del calls["cmdstat_info"]
    return Load(
        cpu_s=float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"]),
        calls=calls.total(),
        received=float(stats["total_net_input_bytes"]),
        sent=float(stats["total_net_output_bytes"]),
    )

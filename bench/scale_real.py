"""Real worker processes on a small stitched job, and what the simulator foretells of them.

Two server doubles in processes of their own answer after 100 ms.  The workers are loaded and then begin together.  Looked at are,
while all of them work, the steps a second and Redis' commands; and the time from the first step to the last part's end, undisturbed
and with one worker killed (kill -9).
"""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from redis.asyncio import Redis
from scale_costs import Costs, used
from scale_fleet import FOREVER, Batching, Hazard, Scale, Simulation
from servers import flags, redis_server

import surefoot
from surefoot.orchestration.journal import stitched
from surefoot.orchestration.journal.fixed import Fixed
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.workers import work
from surefoot.tools.towers.board import optimal_length

LATENCY_S = 0.1
SERVERS = 2
AT_ONCE = 2
K = 3
JOB = "scale"
LONG = 12
"""Disks of the job of which a stretch is looked at."""
SHORT = 10
"""Disks of the job that is done to its end."""
KILLED_S = 3.0
"""After so long one worker of `WHOLE` is killed."""
WHOLE = 4
PATIENCE_S = 300.0
REAL_COLUMNS = ("workers", "", "foretold", "measured", "measured / foretold")


class Compared(NamedTuple):
    """A prediction and what became of it."""

    workers: str
    what: str
    foretold: float
    measured: float

    def within(self, share: float) -> bool:
        return abs(self.measured / self.foretold - 1) <= share

    def row(self) -> list[str]:
        said = f"{self.foretold:,.1f}", f"{self.measured:,.1f}"
        return [self.workers, self.what, *said, f"{self.measured / self.foretold:.2f}"]


async def compared(found: Costs, workers: Sequence[int], window_s: float) -> list[Compared]:
    """Run and foretell everything."""
    rows: list[Compared] = []
    own_s = await _own_s()
    for count in workers:
        with redis_server() as url, servers(LATENCY_S) as urls:
            rows += await _pace(found, own_s, url, urls, count, window_s)
    for dies in (None, KILLED_S):
        with redis_server() as url, servers(LATENCY_S) as urls:
            rows.append(await _whole(own_s, url, urls, dies))
    return rows


async def _own_s() -> float:
    """Return what a step takes beside its answers: its seconds with a server that answers at once."""
    task = surefoot.Towers(LONG - 3, "compact")
    with redis_server() as url, servers(0.0) as urls:
        report = await surefoot.run(task, surefoot.Settings(k=K), model=urls[0], redis=url, job="own")
    return report.wall_s / report.steps


async def _pace(
    found: Costs, own_s: float, url: str, urls: Sequence[str], count: int, window_s: float
) -> list[Compared]:
    """Look at a stretch of the long job while every worker has its parts in hand."""
    names = await _begun(url, LONG, count * AT_ONCE, urls[0])
    scale = _scale(own_s, LONG, count * AT_ONCE, count)
    async with Redis.from_url(url) as redis:
        with runners(url, urls, count):
            await _until(lambda: _all_reach(redis, names, 3))
            before, load, began = sum(await _nexts(redis, names)), await used(redis), time.monotonic()
            await asyncio.sleep(window_s)
            done, spent = sum(await _nexts(redis, names)) - before, (await used(redis)).minus(load)
            seconds = time.monotonic() - began
    rate = scale.workers * AT_ONCE / scale.step_s(AT_ONCE * count // SERVERS)
    commits = rate / scale.steps_a_commit(scale.step_s(AT_ONCE * count // SERVERS))
    load = found.of(jobs=0, segments=0, commits=commits, steps=rate)
    return [
        Compared(str(count), "steps a second", rate, done / seconds),
        Compared(str(count), "Redis commands a second", load.calls, spent.calls / seconds),
    ]


async def _whole(own_s: float, url: str, urls: Sequence[str], dies: float | None) -> Compared:
    """Do the short job to its end, with a worker that dies or without."""
    parts = 2 * WHOLE * AT_ONCE
    names = await _begun(url, SHORT, parts, urls[0])
    simulation = Simulation(_scale(own_s, SHORT, parts, WHOLE))
    if dies is not None:
        simulation.kill(dies, 0)
    async with Redis.from_url(url) as redis:
        with runners(url, urls, WHOLE) as processes:
            await _until(lambda: _one_reaches(redis, names, 1))
            began = time.monotonic()
            if dies is not None:
                await asyncio.sleep(dies)
                processes[0].send_signal(signal.SIGKILL)
            await _until(lambda: _is_done(redis, names))
            seconds = time.monotonic() - began
    what = "seconds of the whole job" + ("" if dies is None else ", one killed")
    return Compared(str(WHOLE), what, simulation.run().wall_s, seconds)


def _scale(own_s: float, disks: int, parts: int, workers: int) -> Scale:
    return Scale(
        steps=optimal_length(disks),
        parts=parts,
        workers=workers,
        at_once=AT_ONCE,
        replicas=SERVERS,
        answers=Batching(1, LATENCY_S),
        own_s=own_s,
        cpu_s=own_s,
        lease_s=0.0,  # a runner that died on this machine is known to be dead
        worker=Hazard(FOREVER, FOREVER),
    )


async def _begun(url: str, disks: int, parts: int, model: str) -> list[str]:
    """Write a stitched job down, and return the names of its parts."""
    task = surefoot.Towers(disks, "compact")
    job = stitched.StitchedJob(
        id=JOB,
        task=task.name,
        spec=task.spec(),
        steps=task.steps(),
        parts=parts,
        fixed=Fixed(surefoot.Settings(k=K, sampling=task.sampling), model),
        created=round(time.time(), 3),
    )
    async with Redis.from_url(url) as redis:
        await stitched.create(redis, job)
        return job.names


async def _nexts(redis: Redis, names: Sequence[str]) -> list[int]:
    async with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hget(Keys(name).meta, "next")
        return [int(found or 0) for found in await pipe.execute()]


async def _all_reach(redis: Redis, names: Sequence[str], step: int) -> bool:
    return min(await _nexts(redis, names)) >= step


async def _one_reaches(redis: Redis, names: Sequence[str], step: int) -> bool:
    return max(await _nexts(redis, names)) >= step


async def _is_done(redis: Redis, names: Sequence[str]) -> bool:
    async with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hget(Keys(name).meta, "status")
        return all(found == b"done" for found in await pipe.execute())


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        if time.monotonic() > deadline:
            raise SystemExit("the workers do not come on")
        await asyncio.sleep(0.02)


@contextmanager
def servers(latency_s: float) -> Iterator[list[str]]:
    """Serve doubles of the towers, each in a process of its own; yields their URLs."""
    command = [
        sys.executable,
        "-m",
        "surefoot.models.doubles.server",
        *flags({"latency": latency_s, "slots": 10_000}),
    ]
    with ExitStack() as stack:
        told = []
        for _ in range(SERVERS):
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            assert process.stdout is not None
            told.append(process.stdout)
        yield [json.loads(out.readline())["url"] for out in told]


@contextmanager
def runners(url: str, urls: Sequence[str], count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start so many workers, and let them begin together once all are loaded; they end with the block."""
    with ExitStack() as stack:
        started = []
        for number in range(count):
            command = [sys.executable, __file__, JOB, url, urls[number % len(urls)]]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(process)
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        yield started


def main() -> None:
    """Be a worker: say that everything is loaded, wait for a line, work."""
    job, redis, model = sys.argv[1:]
    print(flush=True)
    sys.stdin.readline()
    asyncio.run(work(job, redis=redis, model=model, at_once=AT_ONCE))


if __name__ == "__main__":
    main()

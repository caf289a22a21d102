"""Several servers of one model, of which one is slow and one dies: wall time beside the ideal, decisions beside those of one server.

python bench/replicas.py [--disks 12] [--slots 8] [--latency 0.1] [--slower 5] [--results bench/results]

Doubles in processes of their own, each with `--slots` samples at a time and `--latency` seconds an answer, wrong in 5 samples of a hundred.  The job is
the Towers of Hanoi with k = 3 and a draft that is always right, so that the servers and not the chain of steps are what holds it up.  Each
sample is a request of its own, with its seed.  The ways:

    one          one healthy server
    four         four healthy ones
    slow         four, one of them `--slower` times as slow
    slow, dying  the same, and kill -9 of one of the others when half of the steps are durable
    hedged       the same again, with up to 5 % of the asks hedged

The ideal is what the servers that are there can do: samples / (slots / latency, summed over them), where the one that dies counts until it does.
The samples are those that the job asked for, the speculative ones included.  Exits 1 if a way decides otherwise than one server.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from pages import options, origin, shown, table, write
from redis.asyncio import Redis
from rich.console import Console
from servers import flags, redis_server
from ways import K

import surefoot
from surefoot.models import Replicas
from surefoot.models.doubles import towers_double
from surefoot.models.openai import OpenAIModel
from surefoot.models.replicas import ReplicaCounts
from surefoot.orchestration.engine import Rollout
from surefoot.orchestration.events import Committed, Event, Noted

ERROR = 0.05
COLUMNS = (
    "way",
    "seconds",
    "ideal",
    "this / ideal",
    "samples",
    "answered by each",
    "failed",
    "hedged",
    "decisions",
)


class Way(NamedTuple):
    """How the servers are."""

    name: str
    slower: Sequence[float]
    """For each server how many times as slow as usual it is."""
    dies: int | None = None
    """Which one is killed in the middle."""
    hedge: float = 0.0


class Measured(NamedTuple):
    """One way, once."""

    way: Way
    seconds: float
    killed_s: float | None
    """When, if at all."""
    samples: int
    head: str
    solved: bool
    counts: tuple[ReplicaCounts, ...]
    notices: list[str]


class Server:
    """A double in a process of its own."""

    def __init__(self, latency_s: float, slots: int) -> None:
        given = {"slots": slots, "error": ERROR, "latency": latency_s}
        command = [sys.executable, "-m", "surefoot.models.doubles.server", *flags(given)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = ""

    def wait(self) -> None:
        """Return once it listens."""
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def replicas(
    servers: Sequence[Server], hedge: float, told: list[str]
) -> AsyncIterator[Replicas | OpenAIModel]:
    """Open the servers as one model, as `open_model` does, but hedged if that is wanted."""
    async with AsyncExitStack() as stack:
        alone = surefoot.Options(seeded=True, patience_s=600.0 if len(servers) == 1 else 0.0)
        models = [await stack.enter_async_context(OpenAIModel(each.url, options=alone)) for each in servers]
        if len(models) == 1:
            await models[0].ready()
            yield models[0]
        else:
            together = surefoot.Options(on_notice=told.append, hedge=hedge)
            model = await stack.enter_async_context(Replicas(models, options=together))
            await model.ready()
            yield model


async def measure(given: argparse.Namespace, way: Way, redis: Redis) -> Measured:
    task = surefoot.Towers(given.disks, "compact")
    half = (2**given.disks - 1) // 2
    servers: list[Server] = []
    notices: list[str] = []
    killed: list[float] = []
    try:
        servers.extend(Server(given.latency * slower, given.slots) for slower in way.slower)
        for server in servers:
            server.wait()
        async with replicas(servers, way.hedge, notices) as model:
            began = time.perf_counter()

            def listen(event: Event) -> None:
                if isinstance(event, Noted):
                    notices.append(event.sentence)
                if (
                    way.dies is not None
                    and isinstance(event, Committed)
                    and event.step >= half
                    and not killed
                ):
                    servers[way.dies].kill()
                    killed.append(time.perf_counter() - began)

            speculation = surefoot.Speculation(
                Rollout(task, towers_double(name="draft")),
                capacity=2 * given.slots * len(servers),
            )
            report = await surefoot.run(
                task,
                surefoot.Settings(k=K),
                model=model,
                redis=redis,
                job=way.name.replace(", ", "-"),
                speculate=speculation,
                on_event=listen,
            )
            seconds = time.perf_counter() - began
            counts = model.counts() if isinstance(model, Replicas) else ()
    finally:
        for server in servers:
            server.close()
    wasted = report.speculation.wasted_samples if report.speculation else 0
    return Measured(
        way=way,
        seconds=seconds,
        killed_s=killed[0] if killed else None,
        samples=report.samples + wasted,
        head=report.head,
        solved=report.solved,
        counts=counts,
        notices=notices,
    )


def ideal_s(given: argparse.Namespace, measured: Measured) -> float:
    """Return the seconds that these samples take if every slot that is there is busy all the time."""
    rates: list[float] = [given.slots / (given.latency * slower) for slower in measured.way.slower]
    if measured.way.dies is None or measured.killed_s is None:
        return measured.samples / sum(rates)
    lost = rates[measured.way.dies]
    before = min(measured.killed_s, measured.samples / sum(rates))
    return before + max(measured.samples - before * sum(rates), 0.0) / (sum(rates) - lost)


def row(given: argparse.Namespace, each: Measured, alone: Measured) -> list[str]:
    ideal = ideal_s(given, each)
    same = each.solved and each.head == alone.head
    return [
        each.way.name,
        f"{each.seconds:.1f}",
        f"{ideal:.1f}",
        f"{each.seconds / ideal:.2f}",
        f"{each.samples:,}",
        " ".join(f"{one.answered:,}" for one in each.counts),
        f"{sum(one.failed for one in each.counts):,}",
        f"{sum(one.hedged for one in each.counts):,}",
        "the same" if same else "OTHERS",
    ]


async def bench(given: argparse.Namespace) -> list[Measured]:
    slow = (1.0, 1.0, 1.0, given.slower)
    ways = [
        Way("one", (1.0,)),
        Way("four", (1.0,) * 4),
        Way("slow", slow),
        Way("slow, dying", slow, 0),
        Way("hedged", slow, 0, 0.05),
    ]
    found = []
    with redis_server() as url:
        async with aclosing(Redis.from_url(url)) as redis:
            for way in ways:
                found.append(await measure(given, way, redis))
    return found


def publish(given: argparse.Namespace, found: Sequence[Measured], results: Path | None) -> bool:
    """Print and write the page; return whether all ways decided as one server did."""
    rows = [row(given, each, found[0]) for each in found]
    title = (
        f"Replicas: {2**given.disks - 1:,} steps, {given.slots} slots, {given.latency * 1000:g} ms an answer"
    )
    Console(width=180).print(shown(title, COLUMNS, rows))
    told = [
        f"- {each.way.name}: {notice}" for each in found for notice in each.notices if "left alone" in notice
    ]
    about = (
        "The ideal is samples / (slots / latency, summed over the servers that are there; the one that dies counts until it does).  "
        "The samples are all that were asked for, the speculative ones included.\n"
    )
    where = "".join(f"{line}\n" for line in told).replace("http://127.0.0.1", "http://host")
    write(
        results,
        "replicas.md",
        f"# {title}\n\n{origin('replicas', results)}\n\n{table(COLUMNS, rows)}\n\n{about}\n{where}",
    )
    return all(each.solved and each.head == found[0].head for each in found)


def main() -> None:
    parser = options(__doc__, "replicas.md")
    parser.add_argument("--disks", type=int, default=12)
    parser.add_argument("--slots", type=int, default=8, help="samples that a server draws at a time")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds an answer")
    parser.add_argument("--slower", type=float, default=5.0, help="how many times as slow the slow one is")
    given = parser.parse_args()
    sys.exit(0 if publish(given, asyncio.run(bench(given)), given.results) else 1)


if __name__ == "__main__":
    main()

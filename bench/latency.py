"""Breaking the wall of latency: chained steps against a slow server, five ways, beside the physical bound.

python bench/latency.py [--steps 20000] [--serial 500] [--few 1000] [--rounds 1] [--results bench/results]

The server is a double in a process of its own: 256 slots, answers after 100 ms or long-tailed (p50 80 ms, p99 600 ms), wrong
with 0.2 % or 4 %.  The ways, all with k = 3 on the same prompts and through the same client:

    serial           the paper's algorithm: one vote after the other
    parallel votes   the votes of a step together, one step after the other
    leading ballot   the next step starts from the first ballot of this one
    draft            a model with 2 ms a step and 99 % right answers runs ahead, in a process of its own
    draft, 3 votes   the same, drawing three answers in one call and going on from the most frequent one

Samples travel gathered in few requests where all answers take the same time.  Under the long tail, where a gathered request
is as slow as its slowest sample, each travels alone, or with a draft `--batch` together: there requests cost more than tails.  The drafts run all steps, one run after the other.  The other ways
do little but wait: they run few steps, in stretches at the same time and against the servers of several settings at
the same time, and their seconds are extrapolated.

The bound: max(samples x mean latency / slots, steps x draft time).  Exits 1 if a step is wrong.
"""

import argparse
import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from functools import partial
from typing import NamedTuple

from pages import options
from redis.asyncio import Redis
from servers import flags, redis_server
from ways import Board, Measured, Stretch, draft_s, engine, serial, together

import surefoot
from surefoot.agents.tasks.towers import TowersState
from surefoot.models.base import Model
from surefoot.models.doubles import Latency, towers_double
from surefoot.orchestration.engine.drafts import Draft
from surefoot.orchestration.engine.rollout_process import RolloutProcess

SLOTS = 256
DRAFTS = {"draft": 1, "draft, 3 votes": 3}
"""The drafts, by the samples of the draft model for a step."""
DRAFT_ERROR = 0.01
STRETCHES = 5
"""Stretches that a way without a draft is measured on at the same time."""
TAILED = 4
"""Under the long tail the leading ballot runs so many times as many steps: its luck is more varied there."""


class Setting(NamedTuple):
    """How the server answers."""

    name: str
    error: float
    p50_s: float
    p99_s: float | None = None

    @property
    def mean_s(self) -> float:
        """Mean of the constant or lognormal answer time, see `Latency`."""
        if self.p99_s is None:
            return self.p50_s
        tail = Latency(self.p50_s, self.p99_s)
        sigma = math.log(tail.at(0.99) / tail.p50_s) / 2.3263478740408408
        return tail.p50_s * math.exp(sigma**2 / 2)


@contextmanager
def servers(settings: Sequence[Setting]) -> Iterator[list[str]]:
    """Serve a double for each setting, in a process of its own; yields their URLs."""
    with ExitStack() as stack:
        told = []
        for setting in settings:
            given = {"slots": SLOTS, "error": setting.error, "latency": setting.p50_s}
            if setting.p99_s is not None:
                given["latency-p99"] = setting.p99_s
            command = [sys.executable, "-m", "surefoot.models.doubles.server", *flags(given)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            assert process.stdout is not None
            told.append(process.stdout)
        yield [json.loads(out.readline())["url"] for out in told]


class Bench:
    """One setting: its server, and all ways."""

    def __init__(
        self, given: argparse.Namespace, setting: Setting, url: str, redis: Redis, board: Board
    ) -> None:
        self.setting = setting
        self._given = given
        self._redis = redis
        self._url = url
        self._board = board
        self._jobs = 0
        self._samples = 0.0
        # A place in the table: settings that are measured together are done in any order.
        board.found[setting.name, "serial"] = []

    async def serial(self) -> None:
        await self._few("serial", self._given.serial, self._serial)

    async def parallel(self) -> None:
        await self._few("parallel votes", self._given.few, self._engine)

    async def leading(self) -> None:
        steps = self._given.few * (1 if self.setting.p99_s is None else TAILED)
        await self._few("leading ballot", steps, lambda task: self._engine(task, self._speculation()))

    async def draft(self, way: str, alone_s: float) -> None:
        """Run all steps; `alone_s` are the seconds that the draft takes for a step when nothing else is done."""
        given = self._given
        async with rollout(given, DRAFTS[way], DRAFT_ERROR) as draft:
            measured = await self._engine(whole(given), self._speculation(draft))
        self._samples = measured.samples
        over = measured.seconds / max(self._samples_s, given.steps * alone_s)
        note = f"the draft really takes {alone_s * 1000:.2f} ms a step: {over:.2f} of the bound with that"
        self._board.add(self.setting.name, way, measured._replace(note=note))

    def bound(self) -> None:
        """Write down the bound for as many samples as the last run needed."""
        draft_s = self._given.steps * self._given.draft
        self._board.bounds[self.setting.name] = max(self._samples_s, draft_s)
        self._board.notes.append(
            f"{self.setting.name}: bound max({self._samples_s:.1f} s for the samples, {draft_s:.1f} s for the draft)"
        )

    @property
    def _samples_s(self) -> float:
        return float(self._samples * self._given.steps * self.setting.mean_s / SLOTS)

    def _speculation(self, draft: Draft[TowersState] | None = None) -> surefoot.Speculation:
        given = self._given
        return surefoot.Speculation(
            draft, depth=given.depth, max_waste=given.max_waste, capacity=given.capacity
        )

    async def _few(self, way: str, steps: int, run: Callable[[Stretch], Awaitable[Measured]]) -> None:
        """Measure a way on a few steps, in stretches that follow each other on the path and run at the same time."""
        given = self._given
        length = max(min(steps, given.steps) // STRETCHES, 1)
        tasks = [Stretch(given.disks, given.first + number * length, length) for number in range(STRETCHES)]
        measured = together(await asyncio.gather(*map(run, tasks)))
        note = f"extrapolated from {STRETCHES} stretches of {length:,}"
        self._board.add(self.setting.name, way, measured._replace(note=note))

    async def _serial(self, task: Stretch) -> Measured:
        async with surefoot.OpenAIModel(self._url) as model:
            await model.ready()
            return await serial(task, model, task.length, self._given.steps)

    def _travel(self, batch: int) -> surefoot.Options:
        """Say how samples travel: so many in a request at most if their times differ."""
        if self.setting.p99_s is None:
            return surefoot.Options()
        return surefoot.Options(max_n=batch, max_batch=batch)

    async def _engine(self, task: Stretch, speculate: surefoot.Speculation | None = None) -> Measured:
        self._jobs += 1
        job = f"{self.setting.name}-{self._jobs}"
        drafted = speculate is not None and speculate.draft is not None
        travel = self._travel(self._given.batch if drafted else 1)
        async with surefoot.OpenAIModel(self._url, options=travel) as model:
            await model.ready()
            return await engine(task, model, self._redis, job, speculate, self._given.steps)


@asynccontextmanager
async def drafter(error: float, latency: float) -> AsyncIterator[Model]:
    """Open the draft model, in the process that rolls it ahead."""
    yield towers_double(error=error, latency=latency, seed=1, name="draft")


def rollout(given: argparse.Namespace, votes: int, error: float) -> RolloutProcess[TowersState]:
    return RolloutProcess(whole(given).short(), partial(drafter, error, given.draft), votes)


def whole(given: argparse.Namespace) -> Stretch:
    return Stretch(given.disks, given.first, given.steps)


def settings(only: str | None) -> list[Setting]:
    every = [
        Setting(f"{tail}, {error:.1%} wrong", error, *latency)
        for tail, latency in {"100 ms": (0.1,), "long tail": (0.08, 0.6)}.items()
        for error in (0.002, 0.04)
    ]
    return [setting for setting in every if only is None or only in setting.name]


async def measure(given: argparse.Namespace) -> Board:
    board = Board(f"{given.steps:,} chained steps, {SLOTS} slots, k = 3")
    chosen = settings(given.only)
    with redis_server() as redis_url, servers(chosen) as urls:
        async with aclosing(Redis.from_url(redis_url)) as redis:
            benches = [Bench(given, *each, redis, board) for each in zip(chosen, urls, strict=True)]
            for _ in range(given.rounds):
                board.notes[:] = [
                    f"speculation: depth {given.depth}, capacity {given.capacity}, max_waste {given.max_waste}"
                ]
                await without_draft(benches, board)
                await with_draft(given, benches)
    return board


async def without_draft(benches: Sequence[Bench], board: Board) -> None:
    """Run the ways that mostly wait; notes how busy they keep this process, which could make them slower than alone."""
    await busy("serial, all settings together", [bench.serial() for bench in benches], board)
    await busy("parallel votes, all together", [bench.parallel() for bench in benches], board)
    for first in range(0, len(benches), 2):
        pair = benches[first : first + 2]
        await busy("leading ballot, two by two", [bench.leading() for bench in pair], board)


async def with_draft(given: argparse.Namespace, benches: Sequence[Bench]) -> None:
    for way, votes in DRAFTS.items():
        async with rollout(given, votes, 0.0) as right:
            alone_s = await draft_s(whole(given), right, given.serial)
        for bench in benches:
            await bench.draft(way, alone_s)
    for bench in benches:
        bench.bound()


async def busy(what: str, ways: Sequence[Awaitable[None]], board: Board) -> None:
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*ways)
    share = (time.process_time() - cpu) / (time.perf_counter() - began)
    board.notes.append(f"{what}: this process, client and engine, was busy {share:.0%} of the time")


def main() -> None:
    parser = options(__doc__, "latency.md")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--serial", type=int, default=500, help="steps of the serial way")
    parser.add_argument("--few", type=int, default=1000, help="steps of the other ways without a draft")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--disks", type=int, default=15)
    parser.add_argument("--first", type=int, default=0, help="where on the optimal path to start")
    parser.add_argument("--draft", type=float, default=0.002, help="seconds of the draft model for a step")
    parser.add_argument("--only", help="only settings with this in their name: `100 ms`, `tail`, `4.0%%`")
    parser.add_argument("--depth", type=int, default=2048)
    parser.add_argument("--max-waste", type=float, default=0.5)
    parser.add_argument(
        "--capacity",
        type=int,
        default=2 * SLOTS,
        help="samples in flight, those included that wait for others of their request",
    )
    parser.add_argument("--batch", type=int, default=3, help="samples in a request, drafts, long tail")
    given = parser.parse_args()
    asyncio.run(measure(given)).publish("latency", given.results)


if __name__ == "__main__":
    main()

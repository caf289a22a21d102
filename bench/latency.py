"""Breaking the wall of latency: chained steps against a slow server, four ways, beside the physical bound.

python bench/latency.py [--steps 20000] [--serial 500] [--rounds 1] [--results bench/results]

The server is a double in a process of its own: 256 slots, answers after 100 ms or long-tailed (p50 80 ms, p99 600 ms), wrong
with 0.2 % or 4 %.  The ways, all with k = 3 on the same prompts and through the same client:

    serial           the paper's algorithm: one vote after the other (extrapolated)
    parallel votes   the votes of a step together, one step after the other
    leading ballot   the next step starts from the first ballot of this one
    draft            a model with 2 ms a step and 99 % right answers runs ahead

The votes of a step travel gathered in one request, or each alone where that is faster: both are tried on a few steps first.
The bound: max(samples x mean latency / slots, steps x draft time).  What would run longer than `--patience` seconds is
extrapolated from `--few` steps.  Exits 1 if a step is wrong.
"""

import argparse
import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import NamedTuple

import surefoot
from redis.asyncio import Redis
from rich.console import Console
from servers import redis_server
from surefoot.agents.doubles import Latency, towers_double
from surefoot.orchestration.drafts import Rollout
from ways import Board, Measured, Stretch, draft_s, engine, serial

SLOTS = 256
GATHERED = surefoot.Options()
ALONE = surefoot.Options(max_n=1, max_batch=1)
DRAFT = "draft"
DRAFT_ERROR = 0.01
TRIED = 5
"""Ways without a draft are tried on one fifth of `--few` steps."""

Speculate = Callable[[Stretch], surefoot.Speculation | None]


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
def server(setting: Setting) -> Iterator[str]:
    """Serve the double in a process of its own; yields its URL."""
    tail = [] if setting.p99_s is None else ["--latency-p99", str(setting.p99_s)]
    options = ["--slots", str(SLOTS), "--error", str(setting.error), "--latency", str(setting.p50_s), *tail]
    command = [sys.executable, "-m", "surefoot.agents.doubles_server", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


class Bench:
    """One setting: its server, a Redis, and all ways."""

    def __init__(
        self, given: argparse.Namespace, setting: Setting, redis: Redis, url: str, board: Board
    ) -> None:
        self._given = given
        self._setting = setting
        self._redis = redis
        self._url = url
        self._board = board
        self._jobs = 0

    def task(self, steps: int) -> Stretch:
        return Stretch(self._given.disks, self._given.first, steps)

    async def run(self) -> None:
        given, setting = self._given, self._setting
        async with surefoot.OpenAIModel(self._url, options=GATHERED) as model:
            await model.ready()
            found = await serial(self.task(given.steps), model, min(given.serial, given.steps))
        self._board.add(setting.name, "serial", found._replace(note=f"extrapolated from {found.steps:,}"))
        for way, speculate in self._ways().items():
            # A draft is far from its pace at first, and is never extrapolated.
            tried = given.few if way == DRAFT else max(given.few // TRIED, 1)
            options, seconds = await self._faster(speculate, tried)
            whole = way == DRAFT or seconds <= given.patience
            measured = await self._once(speculate, options, given.steps if whole else given.few)
            travel = "votes gathered" if options is GATHERED else "votes travel alone"
            note = travel if measured.steps == given.steps else f"{travel}; extrapolated"
            self._board.add(setting.name, way, measured._replace(note=note))
            if way == DRAFT:
                await self._bound(measured)

    def _ways(self) -> dict[str, Speculate]:
        given = {
            name: getattr(self._given, name)
            for name in ("depth", "max_waste", "capacity")
            if getattr(self._given, name) is not None
        }

        def draft(task: Stretch) -> surefoot.Speculation:
            model = towers_double(error=DRAFT_ERROR, latency=self._given.draft, seed=1, name="draft")
            return surefoot.Speculation(draft=Rollout(task.short(), model), **given)

        return {
            "parallel votes": lambda _: None,
            "leading ballot": lambda _: surefoot.Speculation(**given),
            DRAFT: draft,
        }

    async def _faster(self, speculate: Speculate, steps: int) -> tuple[surefoot.Options, float]:
        """Try both ways of travelling on a few steps; returns the faster one and its seconds for all steps."""
        tries = [(options, await self._once(speculate, options, steps)) for options in (GATHERED, ALONE)]
        options, best = min(tries, key=lambda tried: tried[1].seconds)
        return options, best.seconds

    async def _once(self, speculate: Speculate, options: surefoot.Options, steps: int) -> Measured:
        task = self.task(min(steps, self._given.steps))
        self._jobs += 1
        job = f"{self._setting.name}-{self._jobs}"
        async with surefoot.OpenAIModel(self._url, options=options) as model:
            await model.ready()
            return await engine(task, model, self._redis, job, speculate(task), self._given.steps)

    async def _bound(self, measured: Measured) -> None:
        given, setting = self._given, self._setting
        exact = towers_double(latency=given.draft, name="draft")
        took = await draft_s(
            self.task(given.steps), Rollout(self.task(given.steps).short(), exact), given.serial
        )
        samples = measured.samples * given.steps * setting.mean_s / SLOTS
        self._board.bounds[setting.name] = max(samples, given.steps * given.draft)
        self._board.notes.append(
            f"{setting.name}: bound max({samples:.1f} s for the samples, {given.steps * given.draft:.1f} s for the draft); "
            f"alone, the draft really takes {took * 1000:.2f} ms a step, which makes {given.steps * took:.1f} s, "
            f"{measured.seconds / max(samples, given.steps * took):.2f} times of which this run took"
        )


def settings(only: str | None) -> list[Setting]:
    every = [
        Setting(f"{tail}, {error:.1%} wrong", error, *latency)
        for tail, latency in {"100 ms": (0.1,), "long tail": (0.08, 0.6)}.items()
        for error in (0.002, 0.04)
    ]
    return [setting for setting in every if only is None or only in setting.name]


async def measure(given: argparse.Namespace) -> Board:
    title = f"{given.steps:,} chained steps, {SLOTS} slots, k = 3"
    board = Board(title)
    for _ in range(given.rounds):
        board.notes.clear()
        for setting in settings(given.only):
            with redis_server() as redis_url, server(setting) as url:
                async with aclosing(Redis.from_url(redis_url)) as redis:
                    await Bench(given, setting, redis, url, board).run()
    return board


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--serial", type=int, default=500, help="steps of the serial way")
    parser.add_argument("--few", type=int, default=1000, help="steps to extrapolate from")
    parser.add_argument(
        "--patience", type=float, default=600.0, help="longest run that is not extrapolated, in s"
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--disks", type=int, default=15)
    parser.add_argument("--first", type=int, default=0, help="where on the optimal path to start")
    parser.add_argument("--draft", type=float, default=0.002, help="seconds of the draft model for a step")
    parser.add_argument("--only", help="only settings with this in their name: `100 ms`, `tail`, `4.0%%`")
    parser.add_argument("--depth", type=int, help="surefoot's own default if absent, as the next two")
    parser.add_argument("--max-waste", type=float)
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--results", type=Path, help="folder for latency.md")
    given = parser.parse_args()
    board = asyncio.run(measure(given))
    Console(width=200).print(board.shown())
    if given.results:
        board.write(given.results / "latency.md", "bench/latency.py")
    sys.exit(0 if board.right else 1)


if __name__ == "__main__":
    main()

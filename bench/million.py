"""The headline: 20 disks, 1,048,575 chained steps, voted one by one, killed three times on the way.

python bench/million.py [--disks 20] [--answers full|move] [--kills 3] [--results bench/results]

The runner is the command line as a user runs it, in a process of its own, on a Valkey that keeps its files in `--home`.
It is killed (kill -9) at as many random steps and resumed; the last kill comes at six sevenths of the way, step 900,000
of 1,048,575.  Once a minute a line says how far it is.  The bench may itself be ended and started again: it goes on
where the job stands.  A job that is done is only checked again; remove the folder to run anew.

At the end every line of the move list is compared with the optimal sequence and played on the board, and so is every
record of the journal, boards and votes included.  Exits 1 if anything is wrong.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from million_check import check, reminded, resumed
from million_diary import Diary, Life, Memory, memory
from million_page import publish
from pages import options
from redis import Redis
from rich.console import Console
from runners import command, decided, die_with_parent
from servers import flags

from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.journal.lease import JobDone
from surefoot.orchestration.redis import embedded as local_redis
from surefoot.tools.towers.board import optimal_length

LAST_KILL = 900_000 / 1_048_575
"""Where the last kill comes, as a share of the way."""
JITTER = 0.05
WARM = 500
"""Steps of a runner after which its memory is first looked at: by then everything is loaded."""
LOOK_S = 0.02
SAMPLE_S = 2.0
LINE_S = 60.0
GONE_S = 10.0
"""Longest time that worker processes may outlive their killed runner."""


class Bench(NamedTuple):
    """What is run, and where."""

    home: Path
    job: str
    disks: int
    form: str
    how: list[str]
    """Options of `surefoot run` and `surefoot resume` alike."""
    plan: list[str]
    """Options of `surefoot run` alone."""
    redis: Redis
    console: Console

    @property
    def steps(self) -> int:
        return optimal_length(self.disks)

    def durable(self) -> int:
        return decided(self.redis, self.job)

    def what(self) -> list[str]:
        """`run` for a job that the journal does not know yet, `resume` after that."""
        both = [*self.how, "--out", str(self.home / "moves.txt"), "--json"]
        if self.redis.exists(Keys(self.job).meta):
            return ["resume", self.job, *both]
        task = ["towers", "--disks", str(self.disks), "--style", "compact", "--answers", self.form]
        return ["run", *task, *self.plan, "--job", self.job, *both]


def targets(steps: int, kills: int, seed: int) -> list[int]:
    """Return the steps at which the runner is killed: spread over the way and drawn, but for the last."""
    draw = random.Random(seed)
    earlier = [number / (kills + 1) + draw.uniform(-JITTER, JITTER) for number in range(1, kills)]
    return [round(share * steps) for share in [*earlier, LAST_KILL][:kills]]


class Watch:
    """One runner, from its start to its end or to the step at which it is killed."""

    def __init__(self, bench: Bench, diary: Diary, target: int | None) -> None:
        self._bench = bench
        self._diary = diary
        self._target = target
        self._log = (bench.home / "runner.log").open("ab")
        first = bench.durable()
        now = time.time()
        self._life = Life(began=now, ended=now, first=first, last=first)
        self._lined = (time.monotonic(), first)
        self._sampled = 0.0

    def run(self) -> int | None:
        """Return the exit code, or None if the runner was killed."""
        bench, life = self._bench, self._life
        self._diary.lives.append(life)
        began = time.monotonic()
        with (bench.home / "report.json").open("wb") as out, self._log:
            process = subprocess.Popen(
                command(*bench.what()), stdout=out, stderr=self._log, preexec_fn=die_with_parent
            )
            while (code := process.poll()) is None:
                step = bench.durable()
                if step > life.first and life.recovery_s is None:
                    life.recovery_s = time.monotonic() - began
                if self._target is not None and step >= self._target:
                    self._kill(process)
                    break
                self._look(process.pid, step)
                time.sleep(LOOK_S)
        life.ended, life.last = time.time(), bench.durable()
        if code is not None:
            life.end = "done" if code == 0 else f"exit {code}"
        self._diary.save()
        return code

    def _look(self, pid: int, step: int) -> None:
        now = time.monotonic()
        if now - self._sampled >= SAMPLE_S:
            self._sampled = now
            self._life.ended, self._life.last = time.time(), step
            if step - self._life.first >= WARM:
                self._life.note(memory(pid))
            self._diary.save()
        since, before = self._lined
        if now - since >= LINE_S:
            self._lined = now, step
            self._say(step, (step - before) / (now - since), memory(pid))

    def _say(self, step: int, rate: float, seen: Memory) -> None:
        self._diary.curve.append((round(time.time(), 1), step, seen.runner_mb, seen.workers_mb))
        left = f"{(self._bench.steps - step) / rate / 60:.1f} min left" if rate else "standing"
        line = f"{step:>9,} of {self._bench.steps:,} steps, {rate:.1f} a second, {left}"
        self._bench.console.print(f"{line}, {seen.runner_mb:.0f} + {seen.workers_mb:.0f} MB", highlight=False)

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        seen = memory(process.pid)
        self._life.note(seen)
        process.kill()
        process.wait()
        deadline = time.monotonic() + GONE_S
        while (left := seen.still_there()) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        self._life.end, self._life.left_over = "killed", len(left)


def drive(bench: Bench, diary: Diary) -> bool:
    """Run the job through its kills to its end, if it is not there yet; returns whether it ended well."""
    if diary.lives and diary.lives[-1].end == "done":
        return True
    while True:
        waiting = diary.targets[sum(life.end == "killed" for life in diary.lives) :]
        code = Watch(bench, diary, waiting[0] if waiting else None).run()
        if code is not None:
            return code == 0
        which = bench.redis, bench.job, bench.disks, bench.form
        try:
            found = asyncio.run(resumed(*which))
        except JobDone:
            continue  # a short job may be done before the kill reaches its runner: only its report is missing
        if "recall" in bench.how:
            found = found._replace(remind_s=asyncio.run(reminded(*which)))
        diary.takes.append(found)
        diary.save()
        bench.console.print(
            f"killed; {found.step:,} steps are durable; taken up in {found.seconds * 1000:.0f} ms",
            highlight=False,
        )


def folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of the bench: 20 disks have the plain name."""
    usual = f"million-{arguments.answers}" + (f"-{arguments.disks}" if arguments.disks != 20 else "")
    home = Path(arguments.home or Path("out") / usual)
    home.mkdir(parents=True, exist_ok=True)
    return home


def arguments_of_the_bench() -> argparse.Namespace:
    parser = options(__doc__, "the page and the JSON; --home if absent")
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--answers", choices=("full", "move"), default="full")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--model", default="pebble-numpy")
    parser.add_argument("--speculate", default="recall")
    for name in ("--depth", "--max-waste", "--capacity", "--k", "--limit"):
        parser.add_argument(name, help="surefoot's own default if absent")
    parser.add_argument("--states", type=int, default=1500, help="different states to calibrate on")
    parser.add_argument("--rule", choices=("lead", "budget"), default="lead")
    parser.add_argument("--hardest", type=float, default=0.1, help="see docs/risk.md; 0: steps are alike")
    parser.add_argument("--reliability", type=float, default=0.99)
    parser.add_argument("--seed", type=int, default=0, help="of the job and of the kills")
    parser.add_argument("--job", help="its name")
    parser.add_argument(
        "--home", help="folder of the Valkey and of the bench's own notes; under out/ if absent"
    )
    return parser.parse_args()


def given(arguments: argparse.Namespace, *names: str) -> list[str]:
    """Return these options as the command line takes them, without those that are absent."""
    values = {name: getattr(arguments, name.replace("-", "_")) for name in names}
    return flags({name: value for name, value in values.items() if value is not None})


def main() -> None:
    arguments = arguments_of_the_bench()
    home = folder(arguments)
    os.environ["SUREFOOT_HOME"] = str(home.absolute())
    os.environ.pop("SUREFOOT_REDIS", None)
    about = {"disks": arguments.disks, "answers": arguments.answers, "seed": arguments.seed}
    diary = Diary.open(home / "diary.json", about)
    steps = optimal_length(arguments.disks)
    diary.targets = diary.targets or targets(steps, arguments.kills, arguments.seed)
    with Redis.from_url(asyncio.run(local_redis.start_server(home))) as redis:
        job = arguments.job or f"million-{arguments.answers}"
        how = given(arguments, "speculate", "depth", "max-waste", "capacity", "limit")
        plan = given(arguments, "model", "k", "rule", "hardest", "states", "reliability", "seed")
        bench = Bench(home, job, arguments.disks, arguments.answers, how, plan, redis, Console())
        if not drive(bench, diary):
            sys.exit(f"the runner ended with {diary.lives[-1].end}: see {home / 'runner.log'}")
        bench.console.print("done; checking every step", highlight=False)
        found = asyncio.run(check(redis, job, arguments.disks, arguments.answers, home))
    page = publish(arguments.results or home, diary, found, ["surefoot", "run", "towers", *shown(bench)])
    print(page)
    sys.exit(0 if found.right else 1)


def shown(bench: Bench) -> list[str]:
    """Return the runner's options as a reader would type them."""
    return [
        "--disks",
        str(bench.disks),
        "--style",
        "compact",
        "--answers",
        bench.form,
        *bench.plan,
        *bench.how,
    ]


if __name__ == "__main__":
    main()

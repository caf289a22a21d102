"""Many workers at the parts of one job: how they scale, what 64 jobs at once do to one Redis, and kill -9 of anybody.

python bench/workers.py [--only scaling jobs chaos] [--workers 1 2 4 8] [--rounds 50] [--results bench/results]

    scaling   worker processes against a server double that takes 0.1 s an answer: steps per second beside those of one worker.  Each worker has
              so many steps to do, in two parts, whatever their number is
    jobs      64 jobs at once on one Redis with a model that answers at once, in as many processes as there are cores, beside one job in one process;
              and where the CPU time goes
    chaos     eight workers, and kill -9 of workers and of Redis (append-only, fsync at each write) at random moments: the result hash has to be
              that of an undisturbed run, and each part to be decided once

Every worker is a process of its own, as `surefoot worker` is one.  Exits 1 if a result differs.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pages import options, origin, table, write
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from servers import answers, flags, redis_command, redis_server
from ways import Stretch

import surefoot
from surefoot.errors import SurefootError
from surefoot.models.doubles import Double, towers_double
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.redis.open import open_redis
from surefoot.orchestration.reporting import records
from surefoot.orchestration.workers import StitchedReport, begin, read_stitched, work

K3 = surefoot.Settings(k=3)
TALL = 20
"""Disks of the tower whose first steps are run."""
PARTS_A_WORKER = 2
CHAOS_LATENCY_S = 0.005
ROUND_S = 120.0
JOBS_S = 600.0
LOOK_EVERY_S = 0.01
LATEST_KILL_S = 0.8
"""A round takes a second or two; kills come so soon after its beginning, or after one another."""
MOST_OUTAGE_S = 0.4

forked = multiprocessing.get_context("forkserver")
forked.set_forkserver_preload(["surefoot.orchestration.workers.working", "surefoot.models.doubles"])


def chaos_double() -> Double:
    """A model that is often wrong, and says the same to the same ask in any process: the right journal has one hash, however often who is killed."""
    return towers_double(error=0.1, invalid=0.02, latency=CHAOS_LATENCY_S)


def work_at(job: str, redis: str, model: str | None, barrier: Any) -> None:
    """Be a worker: at a server's address, or with the chaos double."""
    known = model or chaos_double()
    if barrier is not None:
        barrier.wait()
    try:
        asyncio.run(work(job, redis=redis, model=known, task=Stretch if model else None))
    except (
        SurefootError
    ) as error:  # Redis was away when it began, or in the middle of a list: started again, it goes on
        sys.exit(f"a worker ended: {error}")


class Scaled(NamedTuple):
    """What so many workers did."""

    workers: int
    steps: int
    seconds: float
    """From the moment in which all were ready to the last commit."""
    head: str

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.seconds


@contextmanager
def slow_server(latency_s: float) -> Iterator[str]:
    """Serve a double that takes so long for each answer, in a process of its own."""
    given = {"slots": 1024, "latency": latency_s}
    command = [sys.executable, "-m", "surefoot.models.doubles.server", *flags(given)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def scaling(counts: Sequence[int], steps: int, latency_s: float, rounds: int) -> list[list[Scaled]]:
    """Run the same number of steps a worker with each number of workers, in turn."""
    found: list[list[Scaled]] = []
    with redis_server() as redis, slow_server(latency_s) as model:
        for number in range(rounds):
            found.append(
                [asyncio.run(scaled(f"r{number}-w{count}", count, steps, redis, model)) for count in counts]
            )
    return found


async def scaled(job: str, count: int, steps: int, redis: str, model: str) -> Scaled:
    task = Stretch(TALL, 0, steps * count)
    await begin(task, K3, parts=PARTS_A_WORKER * count, model=model, redis=redis, job=job)
    barrier = forked.Barrier(count + 1)
    processes = [forked.Process(target=work_at, args=(job, redis, model, barrier)) for _ in range(count)]
    for process in processes:
        process.start()
    await asyncio.to_thread(barrier.wait)
    began = time.time()
    for process in processes:
        await asyncio.to_thread(process.join)
    async with aclosing(Redis.from_url(redis)) as store:
        report = await read_stitched(store, job, Stretch)
        assert report.solved, report.faults
        ended = max([(await jobs.load(store, part.job)).updated for part in report.parts])
    return Scaled(count, report.steps, ended - began, report.head)


class Rate(NamedTuple):
    """What some jobs did at the same time."""

    steps: int
    seconds: float
    redis_cpu_s: float
    python_cpu_s: float

    @property
    def rate(self) -> float:
        """Durable steps a second, in sum."""
        return self.steps / self.seconds


def run_jobs(names: Sequence[str], redis: str, disks: int, barrier: Any, told: Any) -> None:
    """Run jobs at once in this process; tell when they were done, and what CPU time they took."""
    double = towers_double()

    async def all_of_them() -> None:
        async with open_redis(redis) as store:
            task = surefoot.Towers(disks, "compact")
            await asyncio.gather(
                *(surefoot.run(task, K3, model=double, redis=store, job=name) for name in names)
            )

    asyncio.run(surefoot.run(surefoot.Towers(3, "compact"), K3, model=double, redis=redis))  # all is loaded
    barrier.wait()
    cpu = time.process_time()
    asyncio.run(all_of_them())
    told.put((time.time(), time.process_time() - cpu))


def together(label: str, count: int, processes: int, disks: int, redis: str) -> Rate:
    """Run so many jobs at once, spread over so many processes."""
    barrier, told = forked.Barrier(processes + 1), forked.Queue()
    names = [f"{label}-{number}" for number in range(count)]
    made = [
        forked.Process(target=run_jobs, args=(names[each::processes], redis, disks, barrier, told))
        for each in range(processes)
    ]
    for process in made:
        process.start()
    barrier.wait()
    began, before = time.time(), redis_cpu_s(redis)
    heard = [told.get(timeout=JOBS_S) for _ in made]
    after = redis_cpu_s(redis)
    for process in made:
        process.join()
    ended = max(when for when, _ in heard)
    return Rate(count * (2**disks - 1), ended - began, after - before, sum(cpu for _, cpu in heard))


def redis_cpu_s(redis: str) -> float:
    with contextlib.closing(SyncRedis.from_url(redis)) as client:
        found: Any = client.info("cpu")
        return float(found["used_cpu_user"] + found["used_cpu_sys"])


def many_jobs(count: int, disks: int, rounds: int) -> dict[str, list[Rate]]:
    """Run one job, and many at once in one process and in one a core, in turn."""
    cores = len(os.sched_getaffinity(0))
    ways = {
        "1 job, 1 process": (1, 1),
        f"{count} jobs, 1 process": (count, 1),
        f"{count} jobs, {cores} processes": (count, cores),
    }
    found: dict[str, list[Rate]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, (jobs_at_once, processes) in ways.items():
            # One job has the steps of all of them, as near as towers come to that.
            tall = disks + (0 if jobs_at_once > 1 else max(0, count.bit_length() - 4))
            with redis_server() as redis:
                found[way].append(together(f"round-{number}", jobs_at_once, processes, tall, redis))
    return found


class Chaos:
    """A Redis that may be killed, and workers that may be."""

    def __init__(self, directory: Path, workers: int, disks: int, parts: int) -> None:
        self._directory, self._socket = directory, directory / "s"
        self._count, self._disks, self._parts = workers, disks, parts
        self.url = f"unix://{self._socket}"
        self._redis: subprocess.Popen[bytes] | None = None
        self._client = SyncRedis(
            unix_socket_path=str(self._socket), socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )
        self._workers: list[Any] = []
        self.started = 0

    def start_redis(self) -> None:
        command = [*redis_command(self._directory, self._socket), "--appendfsync", "always"]
        self._redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not answers(self._socket) and self._redis.poll() is None:
            time.sleep(0.01)

    def kill_redis(self) -> None:
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait()

    def play(self, job: str, kills: Sequence[tuple[str, float, float]], rng: random.Random) -> StitchedReport:
        """Let all workers do a job through these kills, who, seconds after the one before, seconds away, and return its report."""
        asyncio.run(
            begin(
                surefoot.Towers(self._disks, "compact"),
                surefoot.Settings(k=3, segment=10),
                parts=self._parts,
                model=chaos_double(),
                redis=self.url,
                job=job,
            )
        )
        self.started = 0
        self._workers = [self._worker(job) for _ in range(self._count)]
        began = last = time.monotonic()
        waiting, back = list(kills), list[tuple[float, Callable[[], None]]]()
        while waiting or back or any(process.exitcode != 0 for process in self._workers):
            now = time.monotonic()
            if now - began > ROUND_S:
                raise SystemExit(f"{job} is not done after {ROUND_S:.0f} s; see {self._directory}")
            for due in [each for each in back if each[0] <= now]:
                back.remove(due)
                due[1]()
            if waiting and now >= last + waiting[0][1]:
                victim, _, away_s = waiting.pop(0)
                last = now
                if victim == "redis":
                    self.kill_redis()
                    back.append((now + away_s, self.start_redis))
                else:
                    place = rng.randrange(self._count)
                    self._workers[place].kill()
                    self._workers[place].join()
            for place, process in enumerate(self._workers):
                if process.exitcode not in (None, 0):
                    self._workers[place] = self._worker(job)
            time.sleep(LOOK_EVERY_S)
        return asyncio.run(self._looked_at(job))

    def _worker(self, job: str) -> Any:
        self.started += 1
        process = forked.Process(target=work_at, args=(job, self.url, None, None))
        process.start()
        return process

    async def _looked_at(self, job: str) -> StitchedReport:
        """Return the report, after reading every record of every part: each step there once, and counted once."""
        async with aclosing(Redis.from_url(self.url)) as store:
            report = await read_stitched(store, job)
            for part in report.parts:
                found = [record.step async for record in records(store, await jobs.load(store, part.job))]
                assert found == list(range(part.steps_expected)), part
        assert sum(report.workers.values()) == report.steps
        return report

    def close(self) -> None:
        for process in self._workers:
            process.kill()
            process.join()
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait()
        self._client.close()


class Outcome(NamedTuple):
    """What came of the rounds."""

    rounds: int
    differing: int
    kills: Counter[str]
    workers: int
    """Worker processes that it took, the killed ones included."""
    seconds: list[float]
    calm_s: float
    steps: int
    parts: int


def chaos(rounds: int, workers: int, disks: int, parts: int, seed: int) -> Outcome:
    rng = random.Random(seed)
    kills, differing, seconds, started = Counter[str](), 0, list[float](), 0
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as directory:
        house = Chaos(Path(directory), workers, disks, parts)
        try:
            house.start_redis()
            began = time.monotonic()
            calm = house.play("calm", [], rng)
            calm_s = time.monotonic() - began
            assert calm.solved, calm.faults
            for number in range(rounds):
                victims = [rng.choice(["worker", "worker", "redis"]) for _ in range(rng.randint(1, 4))]
                drawn = [
                    (victim, rng.uniform(0, LATEST_KILL_S), rng.uniform(0, MOST_OUTAGE_S))
                    for victim in victims
                ]
                began = time.monotonic()
                report = house.play(f"round-{number}", drawn, rng)
                seconds.append(time.monotonic() - began)
                same = report.solved and [part.head for part in report.parts] == [
                    part.head for part in calm.parts
                ]
                differing += not (same and report.head == calm.head)
                kills.update(victims)
                started += house.started
                print(
                    f"round {number + 1}/{rounds}: {', '.join(victims)}: {'identical' if same else 'DIFFERENT'}, {seconds[-1]:.1f} s"
                )
        finally:
            house.close()
    return Outcome(rounds, differing, kills, started, seconds, calm_s, calm.steps, len(calm.parts))


def scaling_page(found: list[list[Scaled]], latency_s: float) -> str:
    one = statistics.median(each[0].rate / each[0].workers for each in found)
    rows = []
    for place, first in enumerate(found[0]):
        rates = [each[place].rate for each in found]
        shares = [each[place].rate / each[place].workers / (each[0].rate / each[0].workers) for each in found]
        bound = first.workers / latency_s
        rows.append(
            [
                *(str(first.workers), f"{first.steps:,}", f"{statistics.median(rates):,.1f}"),
                f"{statistics.median(shares):.3f} ({min(shares):.3f} to {max(shares):.3f})",
                f"{statistics.median(rates) / bound:.3f}",
            ]
        )
    columns = (
        "workers",
        "steps",
        "steps/s",
        f"per worker, beside {found[0][0].workers}",
        "of the physical bound",
    )
    return (
        f"## How workers scale\n\nA server double with {latency_s:g} s an answer, k = 3, the votes of a step together, {PARTS_A_WORKER} parts a worker; "
        f"{one:,.2f} steps a second and worker in the first line. The bound is one step an answer time and worker. "
        f"Median of {len(found)}, lowest and highest.\n\n{table(columns, rows)}\n"
    )


def jobs_page(found: dict[str, list[Rate]]) -> str:
    alone, cores = next(iter(found.values())), len(os.sched_getaffinity(0))
    rows = []
    for way, rates in found.items():
        ratios = [each.rate / one.rate for each, one in zip(rates, alone, strict=True)]
        rows.append(
            [
                *(way, f"{rates[0].steps:,}", f"{statistics.median(each.rate for each in rates):,.0f}"),
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{statistics.median(each.python_cpu_s / each.seconds for each in rates):.2f}",
                f"{statistics.median(each.redis_cpu_s / each.seconds for each in rates):.2f}",
                f"{statistics.median(each.python_cpu_s / each.steps * 1e6 for each in rates):.0f}",
                f"{statistics.median(each.redis_cpu_s / each.steps * 1e6 for each in rates):.2f}",
            ]
        )
    columns = (
        *("", "steps", "steps/s in sum", "times one job", "cores, Python", "cores, Redis"),
        *("µs Python a step", "µs Redis a step"),
    )
    last = [*found.values()][-1]
    share = statistics.median((each.python_cpu_s + each.redis_cpu_s) / each.seconds for each in last)
    redis_us = statistics.median(each.redis_cpu_s / each.steps * 1e6 for each in last)
    return (
        f"## Many jobs on one Redis\n\n{table(columns, rows)}\n\n"
        f"In the last line Python and Redis together keep {share:.2f} of {cores} cores busy. A Redis whose one core does nothing else would take "
        f"{1e6 / redis_us:,.0f} steps a second at this price.\n"
    )


def chaos_page(found: Outcome, workers: int) -> str:
    killed = ", ".join(f"{victim} {count} times" for victim, count in sorted(found.kills.items()))
    mean, longest = (statistics.fmean(found.seconds), max(found.seconds)) if found.seconds else (0.0, 0.0)
    return (
        f"## kill -9\n\n{found.rounds} rounds of {workers} workers at {found.parts} parts of {found.steps:,} steps; killed: {killed}. "
        f"**{found.rounds - found.differing} identical, {found.differing} differing**: the same result hash and the same head of each part as "
        f"undisturbed, each step in the journals once and counted once. {found.workers:,} worker processes in all. "
        f"A round took {mean:.1f} s, {longest:.1f} s at most; undisturbed {found.calm_s:.1f} s.\n"
    )


def main() -> None:
    parser = options(__doc__, "workers.md")
    parser.add_argument(
        "--only", nargs="+", choices=("scaling", "jobs", "chaos"), default=("scaling", "jobs", "chaos")
    )
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--steps", type=int, default=200, help="steps for each worker")
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--repeat", type=int, default=3, help="how often scaling and jobs are measured")
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--job-disks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=50, help="of chaos")
    parser.add_argument("--chaos-workers", type=int, default=8)
    parser.add_argument("--chaos-disks", type=int, default=9)
    parser.add_argument("--chaos-parts", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    text, wrong = f"# Many workers, many jobs\n\n{origin('workers', given.results)}\n\n", 0
    if "scaling" in given.only:
        text += (
            scaling_page(scaling(given.workers, given.steps, given.latency, given.repeat), given.latency)
            + "\n"
        )
    if "jobs" in given.only:
        text += jobs_page(many_jobs(given.jobs, given.job_disks, given.repeat)) + "\n"
    if "chaos" in given.only:
        found = chaos(given.rounds, given.chaos_workers, given.chaos_disks, given.chaos_parts, given.seed)
        text, wrong = text + chaos_page(found, given.chaos_workers), found.differing
    print(text)
    write(given.results, "workers.md", text.rstrip() + "\n")
    sys.exit(min(wrong, 1))


if __name__ == "__main__":
    main()

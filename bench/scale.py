"""10^9 steps over 1,000 workers and 100 model replicas, simulated with what this build is measured to cost.

python bench/scale.py [--steps 1000000000] [--workers 1000] [--replicas 100] [--seeds 3] [--no-real] [--results bench/results]

1. What a commit, a step, a segment and a job cost a Valkey is measured, and what a step costs a worker's process.
2. Real worker processes do small jobs against two server doubles (100 ms an answer), one is killed; the simulator has to foretell
   their steps a second and Redis' commands (within 15 %).
3. The same simulator lets the large job happen, with failures of workers, replicas and Redis, and with slow replicas.

Speed and prices of a GPU are assumed: they are options, and the page says so.  Exits 1 if a real run is not within 15 %.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pages import options, origin, table, write
from redis.asyncio import Redis
from scale_costs import COLUMNS, SIZES, Costs, Load, costs
from scale_fleet import NEVER, Batching, Course, Hazard, Kind, Scale, Simulation
from scale_real import REAL_COLUMNS, Compared, compared
from servers import redis_server

from surefoot.agents.tasks.part_of import MOST_PARTS

DAY_S = 86_400.0
SEGMENT = 1_000
WITHIN = 0.15
"""Of what was measured, a prediction has to be."""


class Walls(NamedTuple):
    """What a machine for Redis has."""

    memory: float
    """Bytes."""
    network: float
    """Bytes a second, each way."""


class Run(NamedTuple):
    """One way to do the job, and what it costs Redis."""

    name: str
    scale: Scale
    course: Course
    load: Load

    @property
    def shares(self) -> Mapping[str, float]:
        """Say how much of one Redis it takes, over the whole job."""
        wall_s = self.course.wall_s
        return {
            "CPU": self.load.cpu_s / wall_s,
            "network": max(self.load.received, self.load.sent) / wall_s,
            "memory": self.load.memory,
        }


def ran(name: str, scale: Scale, found: Costs, seeds: int) -> Run:
    """Simulate; of several courses the median by wall time."""
    courses = [Simulation(replace(scale, seed=seed)).run() for seed in range(seeds)]
    course = sorted(courses, key=lambda each: each.wall_s)[len(courses) // 2]
    load = found.of(
        jobs=scale.parts, segments=scale.steps / SEGMENT, commits=course.commits, steps=scale.steps
    )
    return Run(name, scale, course, load)


def scale_of(given: argparse.Namespace, found: Costs) -> Scale:
    """Return the job that was asked for."""
    return Scale(
        steps=given.steps,
        parts=given.parts,
        workers=given.workers,
        at_once=given.at_once,
        replicas=given.replicas,
        answers=Batching(given.tokens, given.token_ms / 1e3, given.more_ms / 1e3, given.prefill_ms / 1e3),
        samples=given.samples,
        rounds=given.rounds,
        own_s=found.cpu_s,
        cpu_s=found.cpu_s,
        worker=Hazard(given.worker_days * DAY_S, 120.0),
        replica=Hazard(given.replica_days * DAY_S, 300.0),
        redis=Hazard(given.redis_days * DAY_S, 30.0),
        slow=given.slow,
    )


def ways(scale: Scale) -> Iterator[tuple[str, Scale]]:
    """Yield the job as it is asked for, and others beside it."""
    answers = scale.answers
    yield "as given", scale
    yield "a tenth of the parts", replace(scale, parts=max(scale.parts // 10, 1))
    yield (
        "answers of a tenth of the tokens",
        replace(scale, answers=answers._replace(tokens=answers.tokens / 10)),
    )


def lost(scale: Scale, found: Costs, seeds: int) -> Iterator[list[str]]:
    """Yield what each kind of failure costs by itself: the job with it alone beside the job without any."""
    calm = replace(scale, slow=0.0, worker=NEVER, replica=NEVER, redis=NEVER)
    base = ran("none", calm, found, seeds)
    alone: Mapping[str, Scale] = {
        "workers": replace(calm, worker=scale.worker),
        "replicas": replace(calm, replica=scale.replica),
        "Redis": replace(calm, redis=scale.redis),
        "slow replicas": replace(calm, slow=scale.slow),
        "all together": scale,
    }
    kinds: Mapping[str, Kind] = {"workers": "worker", "replicas": "replica", "Redis": "Redis"}
    yield ["none", "", "", f"{base.course.wall_s / DAY_S:.3f}", ""]
    for name, each in alone.items():
        course = ran(name, each, found, seeds).course
        kind = kinds.get(name)
        failures = course.failures[kind] if kind else course.failures.total() or ""
        again = course.again[kind] if kind else sum(course.again.values())
        more_s = course.wall_s - base.course.wall_s
        yield [
            name,
            f"{failures:,}" if failures else "",
            f"{again:,.0f}",
            f"{course.wall_s / DAY_S:.3f}",
            f"{more_s / 3600:+.2f} h, {more_s / base.course.wall_s:+.2%}",
        ]


def quantities(runs: Sequence[Run], given: argparse.Namespace, walls: Walls) -> Iterator[list[str]]:
    """Yield the table of the large job."""

    def row(what: str, *said: str) -> list[str]:
        return [what, *said]

    yield row("wall time, days", *(f"{run.course.wall_s / DAY_S:.2f}" for run in runs))
    yield row("steps a second", *(f"{run.scale.steps / run.course.wall_s:,.0f}" for run in runs))
    yield row("seconds a step, of one part", *(f"{_step_s(run):.2f}" for run in runs))
    yield row("slots idle at the end", *(f"{_idle(run):.1%}" for run in runs))
    yield row("commits a second", *(f"{run.course.commits / run.course.wall_s:,.0f}" for run in runs))
    yield row("Redis commands a second", *(f"{run.load.calls / run.course.wall_s:,.0f}" for run in runs))
    yield row("Redis CPU, of one core", *(f"{run.shares['CPU']:.1%}" for run in runs))
    yield row(
        "Redis network in, MB/s", *(f"{run.load.received / run.course.wall_s / 1e6:.2f}" for run in runs)
    )
    yield row("Redis network out, MB/s", *(f"{run.load.sent / run.course.wall_s / 1e6:.2f}" for run in runs))
    yield row("Redis memory at the end, GB", *(f"{run.load.memory / 1e9:.1f}" for run in runs))
    yield row("bytes a step", *(f"{run.load.memory / run.scale.steps:.1f}" for run in runs))
    yield row("worker CPU, of one core", *(f"{_worker_share(run):.1%}" for run in runs))
    yield row("GPU-hours", *(f"{_gpu_hours(run):,.0f}" for run in runs))
    yield row(
        f"at {given.gpu_price} a GPU-hour", *(f"{_gpu_hours(run) * given.gpu_price:,.0f}" for run in runs)
    )
    priced = f"at {given.input_price} and {given.output_price} a million tokens, in and out"
    yield row(priced, *(f"{_by_token(run, given):,.0f}" for run in runs))
    yield row("first wall", *(_first_wall(run.shares, walls) for run in runs))


def moves(run: Run, found: Costs, walls: Walls) -> Iterator[list[str]]:
    """Yield what moves the wall of one Redis: what it would hold and do then, at the pace of the run."""
    steps, wall_s = run.scale.steps, run.course.wall_s
    kept = min(found.bytes_a_step.values())
    parts_kept = found.job.times(run.scale.parts).memory + found.segment.times(steps / SEGMENT).memory
    open_steps = run.scale.workers * run.scale.at_once * SEGMENT / 2
    fewer = found.of(
        jobs=run.scale.parts, segments=steps / SEGMENT, commits=run.course.commits / 10, steps=steps
    )
    a_step = (run.load.memory - parts_kept) / steps
    variants: Mapping[str, Load] = {
        "as it is": run.load,
        "ten steps a commit": fewer,
        "sealed segments written anew in frames of 500 steps": run.load._replace(
            memory=parts_kept + kept * steps + a_step * open_steps
        ),
        "finished parts in object storage": run.load._replace(
            memory=(parts_kept + steps * a_step) / run.scale.parts * run.scale.workers * run.scale.at_once
        ),
        "eight shards by the job's slot": run.load.times(1 / 8),
    }
    for name, load in variants.items():
        shares = Run(name, run.scale, run.course, load).shares
        most = walls.memory / load.memory * steps
        fastest = min(1 / shares["CPU"], walls.network / shares["network"]) * steps / wall_s
        yield [
            name,
            f"{load.memory / 1e9:.1f}",
            f"{shares['CPU']:.1%}",
            f"{most:.1e}",
            f"{fastest:,.0f}",
            _first_wall(shares, walls),
        ]


MOVES = ("", "memory, GB", "CPU", "steps that fit", "steps a second that one does", "first wall")
LOST = ("failures of", "how many", "steps decided again", "wall time, days", "more than without")


def _step_s(run: Run) -> float:
    parts = min(run.scale.parts, run.scale.workers * run.scale.at_once) / run.scale.replicas
    return run.scale.step_s(round(parts))


def _idle(run: Run) -> float:
    slots_s = run.scale.workers * run.scale.at_once * run.course.wall_s
    return max(0.0, 1 - (run.course.busy_s + run.course.down_s) / slots_s)


def _worker_share(run: Run) -> float:
    return run.scale.cpu_s * run.scale.steps / run.course.wall_s / run.scale.workers


def _gpu_hours(run: Run) -> float:
    return run.scale.replicas * run.course.wall_s / 3600


def _by_token(run: Run, given: argparse.Namespace) -> float:
    samples = run.scale.steps * run.scale.samples
    return float(
        samples
        * (given.prompt_tokens * given.input_price + run.scale.answers.tokens * given.output_price)
        / 1e6
    )


def _first_wall(shares: Mapping[str, float], walls: Walls) -> str:
    """Name what is nearest to its end, and how near."""
    used = {
        "CPU": shares["CPU"],
        "network": shares["network"] / walls.network,
        "memory": shares["memory"] / walls.memory,
    }
    name, share = max(used.items(), key=lambda entry: entry[1])
    return f"Redis {name}, {share:.0%}"


def page(
    given: argparse.Namespace, found: Costs, real: Sequence[Compared], runs: Sequence[Run], picture: bool
) -> str:
    walls = Walls(given.memory_gb * 1e9, given.network_gbit / 8 * 1e9)
    first = runs[0]
    lines = [
        f"# {first.scale.steps:,} steps over {first.scale.workers:,} workers and {first.scale.replicas:,} replicas, simulated",
        origin("scale", given.results),
        "## Measured",
        "What each costs a Valkey (append-only, everysec), and a worker's process. A step's own cost comes on top of its share of a commit; "
        "a commit's and a step's are the line through commits of "
        f"{', '.join(map(str, SIZES))} steps, those of a segment (checkpoints of the graph, audit) and of a job what whole jobs cost beyond.",
        table(COLUMNS, found.rows()),
        f"A worker's process: {found.cpu_s * 1e6:.0f} µs of CPU a step, with a double in the process that answers at once. "
        "The journal in the server's memory: "
        + ", ".join(
            f"{each:.1f} bytes a step at {size} steps a commit" for size, each in found.bytes_a_step.items()
        )
        + ".",
    ]
    if real:
        lines += ["## Foretold and measured", table(REAL_COLUMNS, (each.row() for each in real))]
    lines += [
        "## Assumed",
        *assumed(given),
        "## The job",
        "The pace is that of the replicas. A share above 100 % says that one Redis, or a worker's core, could not keep it.",
        table(["", *(run.name for run in runs)], quantities(runs, given, walls)),
    ]
    if picture:
        lines += ["![Steps a second over the job, and the memory of Redis](scale.png)"]
    lines += [
        "## Time lost to failures",
        f"Each kind alone, beside the job without any; of {given.seeds} courses by seed the one of median length. A slow replica costs more "
        "than all that dies, since a part stays with its replica to its end: more parts, of fewer steps, make that less.",
        table(LOST, lost(first.scale, found, given.seeds)),
        "## The first wall, and what moves it",
        f"One Redis of {given.memory_gb:g} GB, one core and {given.network_gbit:g} Gbit/s. Of the lines below the first is built; the others are "
        "computed from the costs above.",
        table(MOVES, moves(first, found, walls)),
    ]
    return "\n\n".join(lines) + "\n"


def assumed(given: argparse.Namespace) -> Iterator[str]:
    """Yield what no measurement of ours stands behind, each with its option."""
    yield (
        f"- A replica takes {given.prefill_ms:g} ms for a prompt and {given.token_ms:g} ms a token, {given.more_ms:g} ms more for every further "
        f"sample in flight; {given.tokens:g} tokens an answer, {given.prompt_tokens:,} a prompt (`--prefill-ms`, `--token-ms`, `--more-ms`, "
        "`--tokens`, `--prompt-tokens`).\n"
        f"- A step takes {given.samples:g} samples in {given.rounds:g} calls (`--samples`, `--rounds`), {given.at_once} parts a worker at once, "
        f"{given.parts:,} parts, which are {-(-given.parts // MOST_PARTS)} jobs of at most {MOST_PARTS:,} (`--at-once`, `--parts`).\n"
        f"- A worker fails every {given.worker_days:g} days and is gone for 120 s, a replica every {given.replica_days:g} days for 300 s, Redis fails "
        f"over every {given.redis_days:g} days in 30 s and loses its last second; times between failures are exponential. {given.slow:.0%} of the "
        "replicas are three times as slow (`--worker-days`, `--replica-days`, `--redis-days`, `--slow`).\n"
        "- A part stays with its replica; a new one goes to the replica with the fewest. What a dead worker held is taken up when its lease has run out."
    )


def plot(runs: Sequence[Run], found: Costs, path: Path) -> None:
    """Draw the pace and the memory of Redis over the job."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained", dpi=110)
    pace, memory = figure.subplots(1, 2)
    for run in runs:
        days = [at / DAY_S for at, _ in run.course.rates]
        rates = [rate for _, rate in run.course.rates]
        done = [0.0]
        for (before, rate), (after, _) in zip(run.course.rates, run.course.rates[1:], strict=False):
            done.append(done[-1] + rate * (after - before))
        pace.plot(days, rates, label=run.name, linewidth=1)
        memory.plot(days, [each / run.scale.steps * run.load.memory / 1e9 for each in done], linewidth=1)
    pace.set_ylabel("steps a second")
    memory.set_ylabel("memory of Redis, GB")
    pace.legend(fontsize="small")
    pace.set_yscale("log")
    pace.set_ylim(bottom=10)
    memory.set_ylim(bottom=0)
    for axes in (pace, memory):
        axes.set_xlabel("days")
        axes.grid(alpha=0.3)
    figure.savefig(path)


async def measured(given: argparse.Namespace) -> tuple[Costs, Sequence[Compared]]:
    with redis_server() as url:
        async with Redis.from_url(url) as redis:
            found = await costs(redis)
    return found, [] if given.no_real else await compared(found, given.real, given.window)


def main() -> None:
    parser = options(__doc__, "scale.md")
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--parts", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=8, help="parts of a worker")
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--tokens", type=float, default=200, help="of an answer")
    parser.add_argument("--prompt-tokens", type=int, default=1_000)
    parser.add_argument("--token-ms", type=float, default=8.0, help="of a replica with one sample")
    parser.add_argument("--more-ms", type=float, default=0.03, help="a token, for each further sample")
    parser.add_argument("--prefill-ms", type=float, default=50.0)
    parser.add_argument("--samples", type=float, default=3.01, help="of a step, as bench/latency.py found")
    parser.add_argument("--rounds", type=float, default=1.006, help="calls of a step, one after the other")
    parser.add_argument("--worker-days", type=float, default=7.0)
    parser.add_argument("--replica-days", type=float, default=7.0)
    parser.add_argument("--redis-days", type=float, default=1.0)
    parser.add_argument("--slow", type=float, default=0.02, help="share of replicas that are slow")
    parser.add_argument("--gpu-price", type=float, default=2.5)
    parser.add_argument("--input-price", type=float, default=0.1)
    parser.add_argument("--output-price", type=float, default=0.4)
    parser.add_argument("--memory-gb", type=float, default=64.0, help="of the machine of Redis")
    parser.add_argument("--network-gbit", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3, help="courses of which the median is taken")
    parser.add_argument("--real", type=int, nargs="*", default=[1, 2, 4, 8], help="workers of the real runs")
    parser.add_argument("--window", type=float, default=15.0, help="seconds of a real run that are looked at")
    parser.add_argument("--no-real", action="store_true", help="leave the real runs out")
    given = parser.parse_args()
    found, real = asyncio.run(measured(given))
    runs = [ran(name, scale, found, given.seeds) for name, scale in ways(scale_of(given, found))]
    text = page(given, found, real, runs, picture=bool(given.results))
    print(text)
    write(given.results, "scale.md", text)
    if given.results:
        plot(runs, found, given.results / "scale.png")
    sys.exit(0 if all(each.within(WITHIN) for each in real) else 1)


if __name__ == "__main__":
    main()

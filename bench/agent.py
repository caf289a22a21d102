"""What a turn of an agent costs, beside mini-swe-agent: a model that answers at once, and `true` as the command of every turn.

python bench/agent.py [--pairs 9] [--whole-pairs 3] [--flat] [--results bench/results]

Both work on this machine without a sandbox, in a process each, in turn, in an order that alternates:

    surefoot          `surefoot.Agent` with a model that always says the same, its tool `shell`, the environment `local`; every turn is durable
                      in a Valkey of the bench's own (append-only) before its command runs, and its observation before the next turn
    mini-swe-agent    `DefaultAgent` with its `DeterministicModel` and `LocalEnvironment`; it writes its trajectory after every turn

`--pairs` go on to turn 120 and are measured from turn 80 to 120; `--whole-pairs` go on to turn 2,050 and are measured there from turn
1,950, too.  A turn lasts from one question to the model to the next one.  The ratio is taken pair by pair.

With `--flat` then one run of ours of 10,000 turns: the resident memory of its process every 1,000 turns.  Exits 1 if it grows by
10 MB or more after the first of these looks.  `make agent-speed` has mini-swe-agent installed; without it ours is measured alone.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, SupportsIndex

from pages import options, origin, table, write
from redis import Redis
from runners import die_with_parent, resident_mb
from servers import redis_server

import surefoot
from surefoot.models.base import Ask
from surefoot.models.offers import Call, write_calls
from surefoot.tools.workspace import shell
from surefoot.voting.samples import Sample, Usage

WINDOWS = {100: (80, 120), 2000: (1950, 2050)}
"""Around these turns, from one turn to another."""
FLAT_TURNS, LOOK_TURNS = 10_000, 1_000
GROWTH_MB = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
GOAL = "Run true."
OURS, MINI = "surefoot", "mini-swe-agent"
BOTH = [OURS, MINI] if find_spec("minisweagent") else [OURS]


@dataclass
class Mark:
    """Where a process stands at the beginning of a turn."""

    wall_s: float
    cpu_s: float
    """Of the agent's own process."""
    all_s: float
    """CPU time of all processes: the agent's, the commands, what starts them, and the journal's server."""
    resident_mb: float


class Clock:
    """Takes a mark at some of the turns; `server` is the process of the journal."""

    def __init__(self, turns: list[int], server: int) -> None:
        self.marks: dict[int, Mark] = {}
        self._turn, self._wanted, self._server = 0, frozenset(turns), server

    def turn(self) -> None:
        """Note that a turn begins."""
        self._turn += 1
        if self._turn in self._wanted:
            own, ended = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
            others = sum(map(cpu_s, filter(None, (*children(), self._server))))
            total = own + ended.ru_utime + ended.ru_stime + others
            self.marks[self._turn] = Mark(time.perf_counter(), own, total, resident_mb(os.getpid()))


def children() -> list[int]:
    return [
        int(child)
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of those that it has waited for."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS
    return 0.0


class Same:
    """Answers without end, and without a look at what was asked, as mini-swe-agent's `DeterministicModel` does."""

    name = "same"

    def __init__(self, clock: Clock) -> None:
        call = write_calls("", [Call("shell", '{"command":"true"}')])
        self._turn, self._summary = (
            Sample(call, usage=Usage(1, 0, 1)),
            Sample("I ran true.", usage=Usage(1, 0, 1)),
        )
        self._clock = clock

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        for place, ask in enumerate(asks):
            if ask.offer is None:
                yield place, self._summary
            else:
                self._clock.turn()
                yield place, self._turn


async def ours(clock: Clock, turns: int, url: str, folder: Path) -> None:
    agent = surefoot.Agent(Same(clock), [shell], budget=surefoot.Budget(turns=turns))
    report = await agent.run(GOAL, str(folder), environment="local", redis=url)
    assert (report.status, report.calls) == ("turn_limit", turns), report


def mini(clock: Clock, turns: int, folder: Path) -> None:
    from minisweagent.agents.default import DefaultAgent
    from minisweagent.environments.local import LocalEnvironment
    from minisweagent.models.test_models import DeterministicModel, make_output

    class Endless(list[Any]):
        """Answers without end: the model writes its list into the trajectory at every turn, and renders it; this one is empty."""

        def __getitem__(self, number: SupportsIndex | slice) -> Any:
            clock.turn()
            return make_output("```mswea_bash_command\ntrue\n```", [{"command": "true"}], cost=0.0)

    model = DeterministicModel(outputs=[])
    model.config.outputs = Endless()
    agent = DefaultAgent(
        model,
        LocalEnvironment(cwd=str(folder)),
        system_template="You work on a task step by step.",
        instance_template="{{task}}",
        step_limit=turns,
        cost_limit=0,
        output_path=folder / "run.traj.json",
    )
    assert agent.run(GOAL)["exit_status"] == "LimitsExceeded"


def be(who: str, turns: int, marked: list[int], url: str, server: int) -> None:
    """Be one of the two, and print the marks."""
    clock = Clock(marked, server if who == OURS else 0)
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as folder:
        if who == OURS:
            asyncio.run(ours(clock, turns, url, Path(folder)))
        else:
            mini(clock, turns, Path(folder))
    print(json.dumps({turn: asdict(mark) for turn, mark in clock.marks.items()}))


def run(who: str, turns: int, marked: list[int]) -> dict[int, Mark]:
    """Run one of the two in a process of its own, on a fresh server."""
    os.sync()  # mini-swe-agent leaves much to be written to the disk: the next run is not to wait for that
    with redis_server() as url, Redis.from_url(url) as redis:
        server = redis.info("server")["process_id"]
        command = [sys.executable, __file__, "--be", who, "--turns", turns, "--marked", *marked, "--server"]
        done = subprocess.run(
            [str(part) for part in (*command, url, server)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            preexec_fn=die_with_parent,
            env={**os.environ, "MSWEA_SILENT_STARTUP": "1"},
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return {int(turn): Mark(**mark) for turn, mark in found.items()}


@dataclass
class Turn:
    """A turn of the mean of a window."""

    wall_ms: float
    cpu_ms: float
    all_ms: float


def measured(pairs: int, windows: dict[int, tuple[int, int]]) -> dict[int, dict[str, list[Turn]]]:
    """Return the mean turn of each window, of each of the two, pair by pair."""
    found: dict[int, dict[str, list[Turn]]] = {turn: {who: [] for who in BOTH} for turn in windows}
    marked = [turn for window in windows.values() for turn in window]
    for number in range(pairs):
        for who in BOTH if number % 2 else reversed(BOTH):
            marks = run(who, max(marked), marked)
            for turn, (first, last) in windows.items():
                begin, end = asdict(marks[first]), asdict(marks[last])
                mean = Counter({name: 1000 * (end[name] - begin[name]) / (last - first) for name in begin})
                found[turn][who].append(Turn(mean["wall_s"], mean["cpu_s"], mean["all_s"]))
    return found


def spread(values: list[float], form: str = ",.1f") -> str:
    low, middle, high = (format(one, form) for one in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low} to {high})"


def rows(found: dict[int, dict[str, list[Turn]]]) -> Iterator[list[str]]:
    for turn, both in found.items():
        for who, turns in both.items():
            ratios = [one.wall_ms / ours.wall_ms for one, ours in zip(turns, both[OURS], strict=True)]
            by_cpu = min(one.all_ms for one in turns) / min(ours.all_ms for ours in both[OURS])
            least = [min(getattr(one, name) for one in turns) for name in ("wall_ms", "cpu_ms", "all_ms")]
            yield [
                f"{turn:,}",
                who,
                f"{len(turns)}",
                spread([1000 / one.wall_ms for one in turns], ",.0f"),
                *(f"{number:,.2f}" for number in least),
                *(("", "") if who == OURS else (spread(ratios), f"{by_cpu:.1f}")),
            ]


COLUMNS = (
    "around turn",
    "agent",
    "runs",
    "turns/s",
    "least ms a turn",
    "least CPU ms, agent's process",
    "least CPU ms, all processes",
    "times as long as ours (pair by pair)",
    "by least CPU",
)


def flat() -> tuple[str, bool]:
    """Run 10,000 turns, and return a table of the memory, and whether it stayed flat."""
    looks = [LOOK_TURNS // 10, *range(LOOK_TURNS, FLAT_TURNS + 1, LOOK_TURNS)]
    marks = run(OURS, FLAT_TURNS, looks)
    first = marks[looks[0]].wall_s
    lines = [
        [f"{turn:,}", f"{mark.resident_mb:.1f}", f"{mark.wall_s - first:,.0f}"]
        for turn, mark in marks.items()
    ]
    grown = max(marks[turn].resident_mb for turn in looks[1:]) - marks[looks[1]].resident_mb
    text = table(("turn", "resident memory of the agent's process, MB", "s since the first look"), lines)
    said = f"After turn {looks[1]:,}, when its window has been full once, it grows by {grown:.1f} MB at most (limit {GROWTH_MB:.0f} MB)."
    return f"## One run of {FLAT_TURNS:,} turns\n\n{text}\n\n{said}\n", grown < GROWTH_MB


def page(given: argparse.Namespace) -> tuple[str, bool]:
    found = measured(given.pairs, {100: WINDOWS[100]}) if given.pairs else {}
    if given.whole_pairs:
        found |= {2000: measured(given.whole_pairs, WINDOWS)[2000]}
    note = (
        "The middle one, and from the lowest to the highest; the least of each as what the machine's other work disturbed least. "
        f"Load of the machine, this bench included: {os.getloadavg()[0]:.1f}."
    )
    head = f"# What a turn of an agent costs\n\n{origin('agent', given.results)}\n"
    parts = [head, note + "\n", table(COLUMNS, rows(found)) + "\n"] if found else [head]
    memory, is_flat = flat() if given.flat else ("", True)
    return "\n".join([*parts, memory] if memory else parts), is_flat


def main() -> None:
    parser = options(__doc__, "agent.md")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--whole-pairs", type=int, default=3)
    parser.add_argument("--flat", action="store_true", help="one run of 10,000 turns, too")
    parser.add_argument("--be", choices=(OURS, MINI), help="be one of the two")
    parser.add_argument("--turns", type=int, help="of the one to be")
    parser.add_argument("--marked", type=int, nargs="*", help="turns at which it takes marks")
    parser.add_argument("--server", nargs=2, metavar=("REDIS", "PID"), help="where its journal is")
    given = parser.parse_args()
    if given.be:
        be(given.be, given.turns, given.marked, given.server[0], int(given.server[1]))
        return
    text, right = page(given)
    print(text)
    write(given.results, "agent.md", text)
    sys.exit(not right)


if __name__ == "__main__":
    main()

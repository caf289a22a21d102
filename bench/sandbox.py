"""What a sandbox costs: a command that does nothing, in each environment of this machine, beside a bare one.

python bench/sandbox.py [--commands 200] [--files 2000] [--results bench/results]

In turn, command by command, in one process:

    bare         subprocess.run(["bash", "-c", "true"]) with its output taken
    local        Local.execute("true"): a supervisor, limits, the end of all descendants
    bubblewrap   Bubblewrap.execute("true"): the same in new namespaces, each time

Once one after the other, and once with a pause before each, as an agent's model makes one: the shell of a next command, and the sandbox
around it, are started as soon as the one before has ended.

The difference is taken command by command from the bare one beside it, so that what else the machine does weighs on both.
Then a workspace of so many files: how long `start` takes, which records it, and `diff` after one change.

Exits 1 if the middle difference of bubblewrap is above 10 ms where there are pauses.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from pages import options, origin, table, write

from surefoot.tools.environments import Bubblewrap, Environment, Local

PROMISED_S = 0.010
TENTHS = 10
PAUSES = {"one after the other": 0.0, "0.1 s in between": 0.1}


def bare() -> None:
    subprocess.run(["bash", "-c", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=True)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def nothing(world: Environment) -> None:
    ran = await world.execute("true")
    assert ran.code == 0


async def commands(worlds: list[Environment], count: int, pause_s: float) -> dict[str, list[float]]:
    """Seconds of each command, way by way."""
    found: dict[str, list[float]] = {"bare": [], **{world.name: [] for world in worlds}}
    for _ in range(count):
        await asyncio.sleep(pause_s)
        began = time.perf_counter()
        bare()
        found["bare"].append(time.perf_counter() - began)
        for world in worlds:
            await asyncio.sleep(pause_s)
            found[world.name].append(await timed(lambda world=world: nothing(world)))  # type: ignore[misc]
    return found


Found = dict[str, dict[str, list[float]]]
"""Seconds of each command, by the pause and the way."""


async def measure(count: int, files: int) -> tuple[Found, list[list[str]]]:
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as folder:
        workspace = Path(folder, "workspace")
        for number in range(files):
            place = workspace / str(number // 100)
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.py").write_text(f"# {number}\n" * 200)
        worlds: list[Environment] = [Local(workspace, trusted=True), Bubblewrap(workspace)]
        starts = [await timed(world.start) for world in worlds]
        try:
            found = {name: await commands(worlds, count, pause_s) for name, pause_s in PAUSES.items()}
            (workspace / "0" / "0.py").write_text("changed\n")
            rows = []
            for world, start_s in zip(worlds, starts, strict=True):
                diff_s = await timed(world.diff)
                rows.append([world.name, f"{files:,}", f"{start_s:.2f} s", f"{diff_s:.2f} s"])
        finally:
            for world in worlds:
                await world.stop()
    return found, rows


def spread(seconds: list[float]) -> str:
    tenths = statistics.quantiles(seconds, n=TENTHS)
    return f"{statistics.median(seconds) * 1000:.1f} ({tenths[0] * 1000:.1f} to {tenths[-1] * 1000:.1f})"


def lines(pauses: str, found: dict[str, list[float]]) -> list[list[str]]:
    made = []
    for way, seconds in found.items():
        times = [one / beside for one, beside in zip(seconds, found["bare"], strict=True)]
        beside = ["", ""] if way == "bare" else [spread(over(found, way)), f"{statistics.median(times):.1f}"]
        made.append([pauses, way, spread(seconds), f"{min(seconds) * 1000:.1f}", *beside])
    return made


def over(found: dict[str, list[float]], way: str) -> list[float]:
    return [one - beside for one, beside in zip(found[way], found["bare"], strict=True)]


def page(found: Found, rows: list[list[str]], count: int, results: Path | None) -> str:
    columns = ("commands", "a command", "ms", "least ms", "ms beside the bare one", "times the bare one")
    head = f"# What a sandbox costs\n\n{origin('sandbox', results)}\n"
    load = os.getloadavg()[0]
    note = (
        f"{count} commands each, in turn; the middle one, and from the lowest to the highest tenth.  "
        f"Load of the machine, this bench included: {load:.1f}."
    )
    return "\n".join(
        (
            head,
            note,
            "",
            table(columns, [line for pauses, ways in found.items() for line in lines(pauses, ways)]),
            "",
            table(("a workspace", "files", "`start`", "`diff`"), rows),
            "",
        )
    )


def main() -> None:
    parser = options(__doc__, "sandbox.md")
    parser.add_argument("--commands", type=int, default=200)
    parser.add_argument("--files", type=int, default=2000)
    given = parser.parse_args()
    found, rows = asyncio.run(measure(given.commands, given.files))
    text = page(found, rows, given.commands, given.results)
    print(text)
    write(given.results, "sandbox.md", text)
    sys.exit(statistics.median(over(found["0.1 s in between"], "bubblewrap")) > PROMISED_S)


if __name__ == "__main__":
    main()

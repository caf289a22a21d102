"""What a sandbox costs: a command that does nothing, in each environment of this machine, beside a bare one.

python bench/sandbox.py [--commands 200] [--files 2000] [--results bench/results]

In turn, command by command, in one process:

    bare         subprocess.run(["bash", "-c", "true"]) with its output taken
    local        Local.execute("true"): a supervisor, limits, the end of all descendants
    bubblewrap   Bubblewrap.execute("true"): the same in new namespaces, each time

The difference is taken command by command from the bare one beside it, so that what else the machine does weighs on both.
Then a workspace of so many files: how long `start` takes, which records it, and `diff` after one change.

Exits 1 if the middle difference of bubblewrap is above 10 ms.
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


def bare() -> None:
    subprocess.run(["bash", "-c", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=True)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def nothing(world: Environment) -> None:
    ran = await world.execute("true")
    assert ran.code == 0


async def commands(worlds: list[Environment], count: int) -> dict[str, list[float]]:
    """Seconds of each command, way by way."""
    found: dict[str, list[float]] = {"bare": [], **{world.name: [] for world in worlds}}
    for _ in range(count):
        began = time.perf_counter()
        bare()
        found["bare"].append(time.perf_counter() - began)
        for world in worlds:
            found[world.name].append(await timed(lambda world=world: nothing(world)))  # type: ignore[misc]
    return found


async def measure(count: int, files: int) -> tuple[dict[str, list[float]], list[list[str]]]:
    with tempfile.TemporaryDirectory(prefix="sf-bench-") as folder:
        workspace = Path(folder, "workspace")
        for number in range(files):
            place = workspace / str(number // 100)
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.py").write_text(f"# {number}\n" * 200)
        worlds: list[Environment] = [Local(workspace, trusted=True), Bubblewrap(workspace)]
        starts = [await timed(world.start) for world in worlds]
        try:
            found = await commands(worlds, count)
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


def page(found: dict[str, list[float]], rows: list[list[str]], results: Path | None) -> str:
    lines = []
    for way, seconds in found.items():
        over = [one - beside for one, beside in zip(seconds, found["bare"], strict=True)]
        times = [one / beside for one, beside in zip(seconds, found["bare"], strict=True)]
        beside = ["", ""] if way == "bare" else [spread(over), f"{statistics.median(times):.1f}"]
        lines.append([way, spread(seconds), f"{min(seconds) * 1000:.1f}", *beside])
    columns = ("a command", "ms", "least ms", "ms beside the bare one", "times the bare one")
    head = f"# What a sandbox costs\n\n{origin('sandbox', results)}\n"
    load = os.getloadavg()[0]
    note = (
        f"{len(found['bare'])} commands each, in turn; the middle one, and from the lowest to the highest tenth.  "
        f"Load of the machine, this bench included: {load:.1f}."
    )
    return "\n".join(
        (
            head,
            note,
            "",
            table(columns, lines),
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
    text = page(found, rows, given.results)
    print(text)
    write(given.results, "sandbox.md", text)
    over = (one - beside for one, beside in zip(found["bubblewrap"], found["bare"], strict=True))
    sys.exit(statistics.median(over) > PROMISED_S)


if __name__ == "__main__":
    main()

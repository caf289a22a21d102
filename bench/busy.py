"""`make towers` beside a browser: the README's first command alone on the machine, and beside busy processes.

python bench/busy.py [--pairs 3] [--busy 4] [--disks 10] [--k K]

Quiet and busy runs take turns.  Each is the command line as a user runs it, in a state folder of its own, with calibration and
start.  The ratio of a pair is the busy run's wall time over the quiet one's; on two cores four endless loops leave each thread of
ours about a third of its time.  Exits 1 if a run is not solved.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pages import options, shown
from rich.console import Console
from runners import command


@contextmanager
def busy(processes: int) -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def towers(disks: int, k: int | None, processes: int = 0) -> float:
    """Run it once, beside so many busy processes, and return its wall time in seconds."""
    given = [] if k is None else ["--k", k]
    with tempfile.TemporaryDirectory(prefix="sf-") as home:
        with busy(processes):
            began = time.perf_counter()
            done = subprocess.run(
                command("run", "towers", "--disks", disks, *given, "--speculate", "recall", "--json"),
                env={**os.environ, "SUREFOOT_HOME": home},
                stdout=subprocess.PIPE,
                check=True,
            )
            seconds = time.perf_counter() - began
        assert json.loads(done.stdout)["solved"]
        time.sleep(6)  # the embedded Redis ends when it was not used for 5 s
    return seconds


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--busy", type=int, default=4, help="busy processes")
    parser.add_argument("--disks", type=int, default=10)
    parser.add_argument("--k", type=int, help="found by calibration if absent")
    given = parser.parse_args()
    rows, ratios = [], []
    for pair in range(given.pairs):
        quiet = towers(given.disks, given.k)
        beside = towers(given.disks, given.k, given.busy)
        ratios.append(beside / quiet)
        rows.append((str(pair + 1), f"{quiet:.1f} s", f"{beside:.1f} s", f"{ratios[-1]:.2f}"))
    console = Console()
    columns = ("pair", "quiet", f"beside {given.busy} busy processes", "ratio")
    console.print(shown("surefoot run towers", columns, rows, box=None))
    console.print(
        f"ratio: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"{os.cpu_count()} cores, load before {os.getloadavg()[2]:.1f}"
    )


if __name__ == "__main__":
    main()

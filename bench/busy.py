"""`make towers` beside a browser: the README's first command alone on the machine, and beside busy processes.

python bench/busy.py [--pairs 3] [--busy 4] [--disks 10]

Quiet and busy runs take turns.  Each is the command line as a user runs it, in a state folder of its own, with calibration and
start.  The ratio of a pair is the busy run's wall time over the quiet one's; on two cores four endless loops leave each thread of
ours about a third of its time.  Exits 1 if a run is not solved.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table


@contextmanager
def busy(processes: int) -> Iterator[None]:
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def towers(disks: int) -> float:
    """Run it once and return its wall time in seconds."""
    command = [sys.executable, "-m", "surefoot.cli", "run", "towers", "--disks", str(disks)]
    with tempfile.TemporaryDirectory(prefix="sf-") as home:
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--speculate", "recall", "--json"],
            env={**os.environ, "SUREFOOT_HOME": home},
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - began
        assert json.loads(done.stdout)["solved"]
        time.sleep(6)  # the embedded Redis leaves when nobody has used it for 5 s
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--busy", type=int, default=4, help="busy processes")
    parser.add_argument("--disks", type=int, default=10)
    given = parser.parse_args()
    table = Table("pair", "quiet", f"beside {given.busy} busy processes", "ratio", box=None)
    ratios = []
    for pair in range(given.pairs):
        quiet = towers(given.disks)
        with busy(given.busy):
            beside = towers(given.disks)
        ratios.append(beside / quiet)
        table.add_row(str(pair + 1), f"{quiet:.1f} s", f"{beside:.1f} s", f"{ratios[-1]:.2f}")
    console = Console()
    console.print(table)
    console.print(
        f"ratio: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"{os.cpu_count()} cores, load before {os.getloadavg()[2]:.1f}"
    )


if __name__ == "__main__":
    main()

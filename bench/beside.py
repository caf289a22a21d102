"""Durable steps per second beside an older build: the same steps, double and server, in turn, each in a process of its own.

python bench/beside.py COMMIT [--disks 13] [--rounds 9]

Each round runs the older build, this one, and this one with a listener attached (`on_event=`), in an order that turns.  Every
process first does a small job, so that what it loads is not counted.  The older build is checked out into a temporary folder
and runs on the packages that this one has.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pages import options, shown
from rich.console import Console
from servers import redis_server

JOB = Path(__file__).resolve().with_name("beside_job.py")


def checked_out(commit: str, folder: Path) -> None:
    """Write the files of that commit into a new folder."""
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "archive", commit], cwd=JOB.parent.parent, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)


def measure(commit: str, disks: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return steps per second and CPU a step of every way, round by round."""
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="sf-beside-") as temporary, redis_server() as url:
        old, this = Path(temporary) / "old", Path(temporary) / "this"
        checked_out(commit, old / "surefoot")
        this.mkdir()
        (this / "surefoot").symlink_to(JOB.parent.parent)
        ways = {commit: (old, 0), "this build": (this, 0), "with a listener": (this, 1)}
        for number in range(rounds):
            names = list(ways)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                path, listened = ways[name]
                arguments = [url, f"job-{number}-{names.index(name)}", disks, listened]
                command = [sys.executable, str(JOB), *map(str, arguments)]
                environment = {**os.environ, "PYTHONPATH": str(path)}
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                rate, cpu = done.stdout.split()
                found.setdefault(name, []).append((float(rate), float(cpu)))
    return found


def figures(found: dict[str, list[tuple[float, float]]], commit: str) -> Iterator[list[str]]:
    """Yield a row a way; the ratio is taken round by round."""
    for name, runs in found.items():
        rates, cpu = zip(*runs, strict=True)
        ratios = [ours / theirs for (ours, _), (theirs, _) in zip(runs, found[commit], strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        yield [
            name,
            f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})",
            f"{min(cpu):.1f}",
            f"{min(them for _, them in found[commit]) / min(cpu):.2f}",
            "" if name == commit else ratio,
        ]


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("commit")
    parser.add_argument("--disks", type=int, default=13)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    found = measure(arguments.commit, arguments.disks, arguments.rounds)
    columns = (
        "",
        "durable steps/s",
        "least CPU a step, µs",
        "by CPU",
        f"this / {arguments.commit} (by round)",
    )
    title = f"{2**arguments.disks - 1:,} steps, zero-latency double, k = 3"
    Console().print(shown(title, columns, figures(found, arguments.commit)))


if __name__ == "__main__":
    main()

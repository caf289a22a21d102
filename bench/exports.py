"""What an export takes, and whether it grows: every step of jobs of so many disks, as lines of JSON and as Parquet.

python bench/exports.py [--disks 13 17 20] [--results bench/results]

A Valkey of the bench's own is filled by a double that answers at once and errs now and then (k = 3).  Each export is a process of its own,
`surefoot export`; of each the CPU seconds and the peak of its resident memory are taken, and the file's size.  Both files of a job are read
back: they have to have its steps, in order.

Exits 1 if the peak grows by 100 MB or more from the shortest job to the longest, or if a file does not have every step.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet
from pages import options, origin, table, write
from pydantic_core import from_json
from redis.asyncio import Redis
from servers import redis_server

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.tools.towers.board import optimal_length

K = 3
ERROR = 0.0005
"""Of a sample: some 1,500 contested steps in a million."""
FORMS = (".jsonl", ".parquet")
GROWTH_MB = 100.0
CHILD = """
import atexit, pathlib, sys, time
# Not getrusage's peak, which a process inherits from the one that started it.
peak = lambda: pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
atexit.register(lambda: sys.stderr.write(f"{time.process_time()} {peak()}"))
from surefoot.cli import main
main()
"""


class Exported(NamedTuple):
    """One export."""

    steps: int
    form: str
    cpu_s: float
    peak_mb: float
    file_mb: float

    @property
    def cells(self) -> list[str]:
        each_us = self.cpu_s / self.steps * 1e6
        return [
            *(f"{self.steps:,}", self.form, f"{self.cpu_s:.2f}", f"{each_us:.1f}"),
            *(f"{self.peak_mb:.0f}", f"{self.file_mb:.1f}", f"{self.file_mb * 1e6 / self.steps:.1f}"),
        ]


async def fill(url: str, disks: int) -> None:
    task, model = surefoot.Towers(disks, "compact"), towers_double(error=ERROR)
    async with Redis.from_url(url) as redis:
        settings = surefoot.Settings(k=K)
        assert (await surefoot.run(task, settings, model=model, redis=redis, job=f"towers-{disks}")).solved


def export(url: str, disks: int, to: Path) -> Exported:
    """Export a job in a process of its own."""
    arguments = ["export", f"towers-{disks}", "--to", str(to), "--redis", url]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    cpu_s, peak_kb = map(float, done.stderr.split()[-2:])
    return Exported(optimal_length(disks), to.suffix, cpu_s, peak_kb / 1e3, to.stat().st_size / 1e6)


def whole(file: Path, steps: int) -> bool:
    """Whether a file has every step, in order."""
    if file.suffix == ".parquet":
        read = pyarrow.parquet.ParquetFile(file)
        found = (
            step for batch in read.iter_batches(columns=["step"]) for step in batch.column(0).to_pylist()
        )
        return all(step == place for place, step in enumerate(found)) and read.metadata.num_rows == steps
    count = 0
    with file.open("rb") as lines:
        for line in lines:
            if from_json(line)["step"] != count:
                return False
            count += 1
    return count == steps


def measure(url: str, sizes: Sequence[int], folder: Path) -> tuple[list[Exported], bool]:
    found, right = [], True
    for disks in sizes:
        asyncio.run(fill(url, disks))
        for form in FORMS:
            file = folder / f"steps{form}"
            found.append(export(url, disks, file))
            right = whole(file, optimal_length(disks)) and right
    return found, right


def main() -> None:
    parser = options(__doc__, "exports.md")
    parser.add_argument("--disks", type=int, nargs="+", default=[13, 17, 20])
    given = parser.parse_args()
    with redis_server() as url, tempfile.TemporaryDirectory() as folder:
        found, right = measure(url, given.disks, Path(folder))
    peaks = [[each.peak_mb for each in found if each.form == form] for form in FORMS]
    growth = max(longest - shortest for shortest, *_, longest in peaks)
    columns = ("steps", "form", "CPU s", "µs a step", "peak MB", "file MB", "bytes a step")
    said = f"Every file has every step: {'yes' if right else 'NO'}. The peak grows by {growth:.0f} MB from the shortest job to the longest."
    about = origin("exports", given.results)
    page = (
        "\n\n".join(["# What an export takes", about, table(columns, [each.cells for each in found]), said])
        + "\n"
    )
    print(page)
    write(given.results, "exports.md", page)
    if not right or growth >= GROWTH_MB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

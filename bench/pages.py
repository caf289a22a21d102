"""What every bench has: options, tables for the terminal and for a page, and a page that says where it comes from."""

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table


def options(doc: str | None, page: str = "") -> argparse.ArgumentParser:
    """Return a parser whose help is the docstring of a bench; `--results` is the folder of its `page`, if it writes one."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if page:
        parser.add_argument("--results", type=Path, help=f"folder for {page}")
    return parser


def origin(bench: str, results: Path | None, more: str = "") -> str:
    """Return what stands under the title of a page: the day, the machine, what `more` there is to say, the command."""
    command = shlex.join(["python", f"bench/{bench}.py", *sys.argv[1:]])
    if results:
        command = command.replace(str(results), "bench/results")
    return f"{time.strftime('%Y-%m-%d', time.gmtime())}, {machine()}.{more}\n\n    {command}"


def machine() -> str:
    """Say in general words what this was measured on."""
    cores = len(os.sched_getaffinity(0))
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    about = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{cores} cores, {gib:.0f} GiB of memory, {about}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of a page."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], **look: Any) -> Table:
    """Return a table for the terminal; `look` is what else rich's `Table` takes."""
    made = Table(*columns, title=title, **look)
    for row in rows:
        made.add_row(*row)
    return made


def write(results: Path | None, name: str, text: str) -> None:
    """Write a page into the folder `results`, if there is one."""
    if results:
        results.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(text)

"""Draw docs/towers.svg: the live display in the middle of a real run, and the report at its end.

python bench/picture.py [--disks 10]
"""

import argparse
import asyncio
import io
from pathlib import Path

from rich.console import Console

import surefoot
from surefoot import display
from surefoot.orchestration.progress import Progress

TARGET = Path(__file__).parents[1] / "docs" / "towers.svg"


async def main(disks: int) -> None:
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    progress = Progress()
    run = asyncio.create_task(surefoot.run(surefoot.Towers(disks, "compact"), progress=progress))
    while not run.done() and (progress.doing != "running" or progress.step < (2**disks - 1) // 2):
        await asyncio.sleep(0.001)
    console.print("$ surefoot run towers --disks", disks, style="bold", highlight=False)
    console.print(display.live(progress))
    console.print()
    console.print(display.page(await run))
    TARGET.write_text(console.export_svg(title="surefoot"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--disks", type=int, default=10)
    asyncio.run(main(parser.parse_args().disks))

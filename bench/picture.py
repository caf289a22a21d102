"""Draw docs/towers.svg: the live display in the middle of a real run, and the report at its end.

python bench/picture.py [--disks 10] [--states 500] [--out docs/towers.svg]
"""

import asyncio
import io
from pathlib import Path

from pages import options
from rich.console import Console

import surefoot
from surefoot.cli import display
from surefoot.orchestration.progress import Progress
from surefoot.tools.towers.board import optimal_length

TARGET = Path(__file__).parents[1] / "docs" / "towers.svg"


async def drawn(disks: int, states: int) -> str:
    """Run the job and return the picture as SVG."""
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True)
    progress, task = Progress(), surefoot.Towers(disks, "compact")
    run = asyncio.create_task(surefoot.run(task, surefoot.Settings(states=states), on_event=progress.listen))
    while not run.done() and (progress.doing != "running" or progress.step < optimal_length(disks) // 2):
        await asyncio.sleep(0.001)
    console.print("$ surefoot run towers --disks", disks, style="bold", highlight=False)
    console.print(display.progress_table(progress))
    console.print()
    console.print(display.page(await run, then=""))
    return console.export_svg(title="surefoot")


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--disks", type=int, default=10)
    parser.add_argument("--states", type=int, default=500, help="different states to calibrate on")
    parser.add_argument("--out", type=Path, default=TARGET)
    given = parser.parse_args()
    given.out.write_text(asyncio.run(drawn(given.disks, given.states)))

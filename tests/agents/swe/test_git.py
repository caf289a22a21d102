"""Git as it is started: whatever is cancelled while it starts, nothing waits for ever."""

import subprocess
import sys
from pathlib import Path

LONGEST_S = 120.0
CANCELLED = """
import asyncio
from pathlib import Path

from surefoot.agents.swe.git import git


async def fails(turns: int) -> None:
    tasks = [asyncio.ensure_future(git("--version", cwd=Path.cwd())) for _ in range(3)]
    for _ in range(turns):
        await asyncio.sleep(0)
    raise ValueError(f"while {len(tasks)} start")


for turns in range(12):
    try:
        asyncio.run(fails(turns))
    except ValueError as error:
        print(error)
"""


def test_an_error_elsewhere_ends_the_loop_while_git_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CANCELLED], cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST_S
    )
    assert done.returncode == 0 and done.stdout == "while 3 start\n" * 12, done.stderr

"""One run for `beside.py`, by whichever build `import surefoot` finds: python bench/beside_job.py REDIS JOB DISKS LISTENED."""

import asyncio
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any

# An editable install would lend its rooms to a build that has none of that name.
sys.meta_path = [
    finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")
]

import surefoot  # noqa: E402

K = 3
ROOM = "models" if find_spec("surefoot.models") else "agents"
"""Where the doubles are: before there was a room for models they were among the agents."""


async def run(url: str, job: str, disks: int, listened: bool) -> Any:
    """Return the report of a job."""
    task = surefoot.Towers(disks, "compact")
    task.views = 1
    more: dict[str, Any] = {"on_event": lambda event: None} if listened else {}
    if hasattr(surefoot, "Settings"):
        more["settings"] = surefoot.Settings(k=K)
    else:
        more["k"] = K
    return await surefoot.run(
        task, model=import_module(f"surefoot.{ROOM}.doubles").towers_double(), redis=url, job=job, **more
    )


def main() -> None:
    """Print steps per second of wall time, and microseconds of CPU a step."""
    url, job, disks, listened = sys.argv[1:]
    asyncio.run(run(url, f"{job}-warm", 6, False))
    began = time.process_time()
    report = asyncio.run(run(url, job, int(disks), listened == "1"))
    assert report.solved
    print(report.steps / report.wall_s, (time.process_time() - began) / report.steps * 1e6)


if __name__ == "__main__":
    main()

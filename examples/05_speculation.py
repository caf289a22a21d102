"""Speculation: one job on a slow model, step after step and asking ahead; the same decisions, in less time.

python examples/05_speculation.py

The model is a double that takes 30 ms for an answer and errs one time in twenty.  Ahead of it runs `recall`, which expects what
followed the same moves earlier in this run, or a small model: a double that takes 1 ms and errs one time in fifty.  Neither has
a vote.  What they expect is asked about early, and thrown away where it does not come true.
"""

import asyncio

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.orchestration.engine import Rollout


async def main() -> None:
    task = surefoot.Towers(disks=6, style="compact")
    slow, small = towers_double(error=0.05, latency=0.03), towers_double(error=0.02, latency=0.001, seed=1)
    ways = {
        "step after step": None,
        "recall": surefoot.Speculation("recall"),
        "a small model": surefoot.Speculation(Rollout(task.short(), small)),
    }
    heads = set()
    for name, speculate in ways.items():
        report = await surefoot.run(task, surefoot.Settings(k=3), model=slow, speculate=speculate)
        heads.add(report.head)
        ahead = report.speculation
        found = (
            ""
            if ahead is None
            else f", {ahead.acceptance:.0%} came true, {ahead.waste:.0%} of the samples wasted"
        )
        print(f"{name}: {report.wall_s:.1f} s, {report.contested} steps contested{found}")
    print(f"the same decisions and tallies each time: {len(heads) == 1}")


if __name__ == "__main__":
    asyncio.run(main())

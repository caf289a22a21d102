"""Towers of Hanoi on the embedded model: 8 disks, 255 voted steps, each durable before the report is written.

python examples/01_towers.py [MODEL]      MODEL: the URL of an OpenAI-compatible server instead of the embedded model
"""

import asyncio
import sys

import surefoot


async def main() -> None:
    model = sys.argv[1] if len(sys.argv) > 1 else "pebble"
    # pebble reads one style and no other; a chat model does better with whole sentences.
    task = surefoot.Towers(disks=8, style="compact" if model == "pebble" else "verbose")
    report = await surefoot.run(task, surefoot.Settings(reliability=0.99), model=model)
    print(f"solved: {report.solved}, checked by the board")
    print(
        f"{report.steps} steps, {report.votes} votes with k = {report.k}, {report.contested} steps contested"
    )
    print(f"predicted risk of any wrong step: {report.risk:.2g}; red flags: {report.red_flags or 'none'}")
    print(f"look at it again with: surefoot show {report.job}")


if __name__ == "__main__":
    asyncio.run(main())

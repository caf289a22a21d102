"""Does a cancellation reach a run, wherever it is?  Every run is stopped at another moment; it has to end at once and give its lease back.

    python bench/cancel.py [--times 200]

Half of them are stopped by `task.cancel()`, half by `asyncio.timeout`.  The model never suspends, so that all waiting is for Redis.
"""

import asyncio
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from pages import options
from redis.asyncio import Redis
from servers import redis_server

import surefoot
from surefoot.models.doubles import towers_double
from surefoot.orchestration.journal.jobs import Keys

TASK = surefoot.Towers(14, "compact", "move")
MODEL = towers_double(error=0.01)
WITHIN_S = 1.0
"""A run that takes longer to end has lost its cancellation."""
LATEST_S = 0.4
"""The last moment at which one is stopped; the run takes longer."""
WAYS = ("cancel", "timeout")


async def stopped(running: asyncio.Task[Any], after_s: float, by: str) -> float | None:
    """Stop a run after some seconds, and return how long its end took; None if the cancellation was lost."""
    due = time.monotonic() + after_s
    await asyncio.wait([running], timeout=after_s)
    if by == "cancel":
        running.cancel()
    await asyncio.wait([running], timeout=WITHIN_S)
    took = time.monotonic() - due
    lost = not running.done()
    while not running.done():
        running.cancel()
        await asyncio.wait([running], timeout=0.1)
    ended_by_itself = not running.cancelled() and not isinstance(running.exception(), TimeoutError)
    if ended_by_itself and not lost:
        raise SystemExit(f"a run that was to be stopped ended by itself: {running}")
    return None if lost else took


async def limited(work: Coroutine[Any, Any, Any], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await work


async def measure(times: int, seed: int) -> int:
    """Stop `times` runs, and return how many lost their cancellation or left their lease behind."""
    rng = random.Random(seed)
    lost: Counter[str] = Counter()
    slowest, leases = 0.0, 0
    with redis_server() as url:
        async with Redis.from_url(url) as client:
            for number in range(times):
                by, job = WAYS[number % 2], f"job-{number}"
                after_s = rng.uniform(0, LATEST_S)
                # Every other pair brings a client of its own, as redis-py makes it.
                redis = client if number % 4 < 2 else url
                speculate = surefoot.Speculation() if number % 8 < 4 else None
                work = surefoot.run(
                    TASK,
                    surefoot.Settings(k=3, segment=100),
                    model=MODEL,
                    redis=redis,
                    job=job,
                    speculate=speculate,
                )
                running = asyncio.create_task(work if by == "cancel" else limited(work, after_s))
                took = await stopped(running, after_s, by)
                slowest = max(slowest, took or 0)
                lost[by] += took is None
                leases += await client.exists(Keys(job).lease)
    print(
        f"Python {platform.python_version()}: {times - lost.total()} of {times} ended within {WITHIN_S:.0f} s, the slowest of "
        f"them after {slowest * 1000:.0f} ms; lost: {dict(lost)}; leases left behind: {leases}"
    )
    return lost.total() + leases


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sys.exit(bool(asyncio.run(measure(arguments.times, arguments.seed))))


if __name__ == "__main__":
    main()

"""How full a run's Redis is: asked of it when metrics are read, not by the run."""

import asyncio
import threading
import time
from collections.abc import Mapping

from redis.exceptions import RedisError

from surefoot.errors import SurefootError
from surefoot.orchestration.redis.client import connect

READ_EVERY_S = 5.0
"""However often metrics are read, Redis is asked no more often."""
ANSWER_S = 2.0
"""Longest wait for its answer: Prometheus gives a whole scrape ten seconds."""


class RedisMemory:
    """Knows the memory of the Redis at a URL, of any kind that a run takes.  Called in the threads of scrapes, each with a loop of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._found: Mapping[str, int] = {}

    def figures(self) -> Mapping[str, int]:
        """Return `used` and `limit` in bytes, the one beside the other where both are told; nothing of a Redis that does not answer."""
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at >= READ_EVERY_S:
                self._found = asyncio.run(self._asked())
                self._read_at = time.monotonic()
            return self._found

    async def _asked(self) -> Mapping[str, int]:
        try:
            async with asyncio.timeout(ANSWER_S):
                client = await connect(self._url, patience_s=ANSWER_S)
                try:
                    told = await client.info("memory")
                finally:
                    await client.aclose()
        except (SurefootError, RedisError, OSError):  # the run itself says what is wrong with its Redis
            return {}
        # Without a limit of its own it grows until the machine is full; not every offering says how large that is.
        found = {
            "used": told.get("used_memory"),
            "limit": told.get("maxmemory") or told.get("total_system_memory"),
        }
        return {name: number for name, number in found.items() if isinstance(number, int) and number > 0}

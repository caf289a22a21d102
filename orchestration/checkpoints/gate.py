"""Commands to Redis through a narrow gate: few at a time, and patient when the pool has no connection left."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import MaxConnectionsError

from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.redis.retrying import heeding
from surefoot.orchestration.redis.script import Script

RedisClient: TypeAlias = Redis | RedisCluster
T = TypeVar("T")

PATIENCE_S = 30.0
"""How long a command waits for a connection of a pool whose connections others keep."""

_POLL_S = 0.005


class NoConnection(SurefootError):
    """The client's pool had no free connection for a long time."""


class Gate:
    """At most `connections` commands at once, never more than the pool's own maximum.

    LangGraph with `durability="async"` starts writes faster than any server answers; redis-py's pool
    raises at its maximum instead of queueing. Here they queue, in the order in which they came.
    """

    def __init__(self, client: RedisClient, connections: int) -> None:
        if connections < 1:
            raise BadInput(f"The saver cannot work with {connections!r} connections: give at least 1.")
        if client.get_encoder().decode_responses:
            raise BadInput("The saver stores bytes: make its Redis client without decode_responses=True.")
        if isinstance(client, Redis):
            connections = min(connections, client.connection_pool.max_connections)
        self._client = client
        self._slots = asyncio.Semaphore(connections)

    async def run(self, script: Script, keys: Sequence[str], *args: str | bytes | int) -> Any:
        """Run a script and return its reply."""
        return await script.run(self.execute, keys, args)

    async def execute(self, *command: str | bytes | int) -> Any:
        """Send one command and return its reply."""
        return await self._through(lambda: self._client.execute_command(*command))

    async def scan(self, pattern: str) -> set[str]:
        """Every key that matches, on every node of a cluster. Walks the whole key space."""

        async def collect() -> set[str]:
            return {key.decode() async for key in self._client.scan_iter(match=pattern, count=1000)}

        return await self._through(collect)

    async def _through(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self._slots:
            deadline = asyncio.get_running_loop().time() + PATIENCE_S
            while True:
                try:
                    return await heeding(call())
                except MaxConnectionsError as error:
                    # Raised before anything is sent: others hold the pool's connections just now.
                    if asyncio.get_running_loop().time() > deadline:
                        raise NoConnection(
                            f"No Redis connection came free within {PATIENCE_S:.0f} s: "
                            "raise max_connections of the client's pool, or give the saver a client of its own."
                        ) from error
                    await asyncio.sleep(_POLL_S)

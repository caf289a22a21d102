"""The saver against LangGraph's official conformance suite, on every server found: one table.

python bench/conformance.py      exits 1 if anything failed, or if a capability was not detected
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncGenerator

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.checkpoint.conformance.report import CapabilityReport
from pages import options, shown
from redis.asyncio import Redis
from rich.console import Console
from servers import redis_server

from surefoot.orchestration.checkpoints.saver import RedisSaver
from surefoot.orchestration.redis.embedded import server_binary


async def report(url: str) -> CapabilityReport:
    """Run the whole suite on one server."""

    @checkpointer_test(name="RedisSaver")
    async def saver() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        async with Redis.from_url(url) as client:
            await client.flushall()
            yield RedisSaver(client)

    return await validate(saver)


async def version(url: str) -> str:
    """What the server calls itself."""
    async with Redis.from_url(url) as client:
        info = await client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def main() -> int:
    """Print the table; 0 if every capability of the suite was detected and passed everywhere."""
    options(__doc__).parse_args()
    redis = shutil.which("redis-server")
    reports: dict[str, CapabilityReport] = {}
    for binary in [str(server_binary()), *([redis] if redis else [])]:
        with redis_server(binary) as url:
            reports[asyncio.run(version(url))] = asyncio.run(report(url))
    if not redis:
        print("redis-server is not on PATH: only Valkey was asked.")

    rows = []
    for capability in Capability:
        results = [one.results[capability.value] for one in reports.values()]
        rows.append((capability.value, *(f"{r.tests_passed}/{r.tests_failed}" for r in results)))
    rows.append(("level", *(one.conformance_level() for one in reports.values())))
    title = "RedisSaver, langgraph-checkpoint-conformance: passed/failed"
    Console().print(shown(title, ("capability", *reports), rows))

    all_results = [(name, result) for one in reports.values() for name, result in one.results.items()]
    for name, result in all_results:
        for failure in result.failures:
            print(f"{name}: {failure}")
    return 0 if all(result.passed for _, result in all_results) else 1


if __name__ == "__main__":
    sys.exit(main())

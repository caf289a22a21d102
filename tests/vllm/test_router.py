"""A real vllm-router in front of two doubles: what the client's session header does there (`make test-router`)."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from surefoot.models import Ask, in_order
from surefoot.models.doubles import DoubleServer, towers_double
from surefoot.models.openai import OpenAIModel, Options

ROUTER = os.environ.get("SUREFOOT_ROUTER", "")
START_S = 60.0
PROMPTS = ("---;AabcBC>", "aAB;AbcBaC>", "bAC;AcBaCb>", "cBC;BabCcA>", "---;AabBC>", "---;AabcdBC>")

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not ROUTER, reason="$SUREFOOT_ROUTER is no vllm-router: make test-router"),
]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def router(policy: str, workers: list[DoubleServer]) -> AsyncIterator[str]:
    """Start a router in front of these workers, and yield its address once one is ready."""
    port = free_port()
    command = [ROUTER, "--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port())]
    command += ["--policy", policy, "--worker-urls", *(each.url.removesuffix("/v1") for each in workers)]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    try:
        async with asyncio.timeout(START_S), httpx.AsyncClient() as client:
            while not await is_ready(client, f"http://127.0.0.1:{port}/readiness"):
                assert process.returncode is None, "the router ended at once"
                await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        await process.wait()


async def is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx.RequestError:
        return False


@pytest.mark.parametrize("policy", ["consistent_hash", "sticky_least_loaded"])
async def test_a_session_keeps_all_requests_on_one_worker(policy: str) -> None:
    async with (
        DoubleServer(towers_double()) as one,
        DoubleServer(towers_double()) as other,
        router(policy, [one, other]) as url,
    ):
        used = []
        for number in range(8):
            before = one.stats.requests, other.stats.requests
            async with OpenAIModel(url, options=Options(session=f"job-{number}")) as model:
                await in_order(model, [Ask(prompt, 0.1, 50, 0) for prompt in PROMPTS])
            added = one.stats.requests - before[0], other.stats.requests - before[1]
            assert min(added) == 0 < max(added)
            used.append(added[0] > 0)
        assert len(set(used)) == 2  # jobs are spread


async def test_asks_are_answered_when_a_worker_behind_the_router_dies() -> None:
    async with (
        DoubleServer(towers_double(latency=0.01)) as one,
        DoubleServer(towers_double(latency=0.01)) as other,
        router("round_robin", [one, other]) as url,
        OpenAIModel(url) as model,
    ):
        await model.ready()
        ended: list[asyncio.Task[None]] = []
        for number in range(40):
            if number == 10:
                ended.append(asyncio.create_task(one.__aexit__(None, None, None)))
            (sample,) = await in_order(model, [Ask(PROMPTS[number % 6], 0.1, 50, number)])
            assert sample.text
        await ended[0]

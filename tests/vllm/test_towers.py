"""The main job in small, on a real vLLM."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from surefoot import Settings
from surefoot.agents.tasks.towers import Towers
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.redis import embedded as local_redis
from surefoot.orchestration.reporting import records
from surefoot.orchestration.run import run
from surefoot.tools.towers.board import optimal_length, optimal_move, optimal_state

pytestmark = pytest.mark.vllm

DISKS = 6


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    client = Redis.from_url(await local_redis.start_server(tmp_path))
    # The embedded server ends when no client is connected for a while, such as during the calibration.
    await client.ping()
    yield client
    await client.aclose()


async def test_six_disks_are_solved_without_a_wrong_step(url: str, redis: Redis, figures: list[str]) -> None:
    begun = time.monotonic()
    report = await run(Towers(DISKS, "compact"), Settings(reliability=0.99), model=url, redis=redis)
    figures.append(
        f"{DISKS} disks: {report.steps} steps, k = {report.k}, {report.votes} votes in {report.wall_s:.2f} s; "
        f"{time.monotonic() - begun:.1f} s with calibration"
    )
    assert report.solved
    assert report.steps == optimal_length(DISKS)
    answers = [record.answer async for record in records(redis, await jobs.load(redis, report.job))]
    assert answers == [
        (optimal_move(DISKS, step), optimal_state(DISKS, step + 1)) for step in range(report.steps)
    ]

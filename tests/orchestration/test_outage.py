import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

import surefoot
from surefoot import Report, Settings, Towers
from surefoot.models.doubles import Double, towers_double
from surefoot.orchestration.events import Listen
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.jobs import NoSuchJob
from surefoot.orchestration.progress import Progress
from surefoot.orchestration.redis.client import RedisUnavailable, connect

PATIENCE_S = 60.0
TASK = Towers(7, "compact")
JOB = "job"


def double(latency: float = 0.003) -> Double:
    return towers_double(error=0.03, seed=11, latency=latency)


async def run(redis: str, model: Any, job: str = JOB, on_event: Listen | None = None) -> Report:
    return await surefoot.run(
        TASK, Settings(k=3, segment=40), model=model, redis=redis, job=job, on_event=on_event
    )


class Running:
    """A run under way, its counters, and bounded waits for what becomes of it."""

    def __init__(self, redis: str, model: Any) -> None:
        self.progress = Progress()
        self._run = asyncio.create_task(run(redis, model, on_event=self.progress.listen))

    async def until(self, true: Callable[[Progress], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true(self.progress):
                assert not self._run.done(), "the run ended first"
                await asyncio.sleep(0.002)

    async def report(self) -> Report:
        async with asyncio.timeout(PATIENCE_S):
            return await self._run


class ModelServer:
    """The double's server as a process of its own, which keeps its port over a restart."""

    def __init__(self) -> None:
        self._port = "0"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "surefoot.models.doubles.server", "--latency", "0.002"]
        self._process = subprocess.Popen([*command, "--port", self._port], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]
        self._port = self.url.removesuffix("/v1").rpartition(":")[2]

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.kill()


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url) as client:
        yield client


async def test_a_run_waits_for_a_killed_redis_and_decides_the_same(start_server: Callable[..., Any]) -> None:
    server = start_server()
    calm = await run(server.url, double(0), "calm")
    running = Running(server.url, double())
    await running.until(lambda progress: progress.durable > 20)
    server.kill()
    await running.until(lambda progress: "Redis is gone" in progress.waiting)
    await asyncio.to_thread(server.start)
    report = await running.report()
    assert report.solved
    assert running.progress.waiting == ""
    assert (report.head, report.votes, report.contested) == (calm.head, calm.votes, calm.contested)


async def test_a_run_goes_back_with_a_redis_that_lost_its_last_moments(
    start_server: Callable[..., Any], tmp_path: Path
) -> None:
    """As after a power cut: the server comes back with an older state than it had acknowledged."""
    server = start_server()
    calm = await run(server.url, double(0), "calm")
    running = Running(server.url, double())
    await running.until(lambda progress: progress.durable > 20)
    async with client_of(server.url) as client:
        directory = Path((await client.config_get("dir"))["dir"])
    shutil.copytree(directory, tmp_path, ignore=shutil.ignore_patterns("s"), dirs_exist_ok=True)
    old = running.progress.durable
    await running.until(lambda progress: progress.durable > old + 45)  # a segment has been sealed since
    server.kill()
    shutil.rmtree(directory / "appendonlydir")
    shutil.copytree(tmp_path / "appendonlydir", directory / "appendonlydir")
    await asyncio.to_thread(server.start)
    report = await running.report()
    assert (report.solved, report.head) == (True, calm.head)
    assert (report.votes, report.contested) == (calm.votes, calm.contested)


async def test_a_redis_that_kept_nothing_over_a_restart_is_explained(
    start_server: Callable[..., Any],
) -> None:
    server = start_server("--appendonly", "no")
    running = Running(server.url, double())
    await running.until(lambda progress: progress.durable > 20)
    server.kill()
    await asyncio.to_thread(server.start)
    with pytest.raises(NoSuchJob, match=r"'job' has vanished: .*switch its persistence on"):
        await running.report()


async def test_a_full_redis_ends_the_run_in_words_and_loses_nothing(start_server: Callable[..., Any]) -> None:
    server = start_server()
    calm = await run(server.url, double(0), "calm")
    running = Running(server.url, double())
    await running.until(lambda progress: progress.durable > 20)
    async with client_of(server.url) as client:
        await client.config_set("maxmemory", 1)
        with pytest.raises(RedisUnavailable, match=r"does not work \(.*maxmemory.*resume the job"):
            await running.report()
        await client.config_set("maxmemory", 0)
        assert 20 < (await jobs.load(client, JOB)).step < calm.steps
    report = await surefoot.resume(JOB, model=double(0), redis=server.url)
    assert (report.solved, report.head, report.votes) == (True, calm.head, calm.votes)


async def test_patience_with_a_redis_that_stays_away_has_an_end(start_server: Callable[..., Any]) -> None:
    server = start_server()
    said: list[str] = []
    client = await connect(server.url, patience_s=2, on_wait=said.append)
    server.kill()
    with pytest.raises(RedisError):
        async with asyncio.timeout(PATIENCE_S):
            await client.ping()
    assert said
    await asyncio.to_thread(server.start)
    assert await client.ping()
    await client.aclose()


async def test_listing_jobs_waits_for_a_redis_that_comes_back(start_server: Callable[..., Any]) -> None:
    server = start_server()
    await run(server.url, double(0))
    gone = asyncio.Event()
    client = await connect(server.url, patience_s=PATIENCE_S, on_wait=lambda _: gone.set())
    server.kill()
    listing = asyncio.create_task(jobs.listed(client, [JOB, "no such job"]))
    async with asyncio.timeout(PATIENCE_S):
        await gone.wait()
    await asyncio.to_thread(server.start)
    job, nothing = await listing
    assert (isinstance(job, jobs.Job), nothing) == (True, None)
    await client.aclose()


async def test_a_closed_client_leaves_no_connection_behind(redis_url: str) -> None:
    async with client_of(redis_url) as watcher:
        before = len(await watcher.client_list())
        client = await connect(redis_url)
        assert len(await watcher.client_list()) == before + 1
        await client.aclose()
        async with asyncio.timeout(PATIENCE_S):
            while len(await watcher.client_list()) != before:
                await asyncio.sleep(0.01)


async def test_a_run_waits_for_a_killed_model_server_and_decides_the_same(
    redis_url: str, model_server: ModelServer
) -> None:
    calm = await run(redis_url, double(0), "calm")
    running = Running(redis_url, model_server.url)
    await running.until(lambda progress: progress.step > 20)
    model_server.kill()
    await running.until(lambda progress: "next try in" in progress.waiting)
    await asyncio.to_thread(model_server.start)
    report = await running.report()
    assert (report.solved, report.head) == (True, calm.head)
    assert running.progress.waiting == ""


async def test_a_run_waits_for_both_at_once(
    start_server: Callable[..., Any], model_server: ModelServer
) -> None:
    server = start_server()
    calm = await run(server.url, double(0), "calm")
    running = Running(server.url, model_server.url)
    await running.until(lambda progress: progress.durable > 20)
    model_server.kill()
    server.kill()
    await running.until(lambda progress: progress.waiting)
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(model_server.start)
    report = await running.report()
    assert (report.solved, report.head) == (True, calm.head)

"""A job's counters have what its runner asked of the model's server."""

import pytest

import surefoot
from surefoot import Settings, Speculation, Towers
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer, Fault
from surefoot.orchestration.events import Began, Event
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.redis import open_redis


@pytest.mark.parametrize("speculate", [None, Speculation("leading", capacity=16)], ids=str)
async def test_a_job_counts_what_its_runner_asked(redis_url: str, speculate: Speculation | None) -> None:
    async with (
        DoubleServer(towers_double(error=0.1, latency=0.002, seed=1)) as server,
        open_redis(redis_url) as redis,
    ):

        def fail_once(event: Event) -> None:
            if isinstance(event, Began):
                server.fail(Fault("status"))

        report = await surefoot.run(
            Towers(5, "compact"),
            Settings(k=2),
            model=server.url,
            redis=redis,
            job="far",
            speculate=speculate,
            on_event=fail_once,
        )
        far = (await jobs.load(redis, "far")).counters
        await surefoot.run(
            Towers(3, "compact"), Settings(k=2), model=towers_double(), redis=redis, job="near"
        )
        near = (await jobs.load(redis, "near")).counters
    assert report.solved and far["server:retries"] == 1
    assert 31 <= far["server:requests"] <= server.stats.requests
    assert 0 < far["server:busy_ms"] < far["server:allowed_ms"]
    # Nothing is in flight for longer than there was work, and no more at a time than was let in.
    assert far["server:busy_ms"] <= 16 * far["wall_ms"] + 1000
    assert not any(name.startswith("server:") for name in near)

"""What alarms go by: how runs end, drift, a Redis that fills, and that the last figures are read after the end."""

import asyncio
from typing import Any

import pytest
from redis import Redis

import surefoot
from surefoot import Budget, Settings, Stalled, Towers
from surefoot.models.doubles import DoubleServer, Fault, Garbage, towers_double
from surefoot.orchestration import Event, StepDecided, Waiting
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.journal.journal import Fenced
from surefoot.orchestration.progress import ProgressOfSeveral
from surefoot.orchestration.workers import stitch, work
from surefoot.serving.telemetry import Telemetry, TelemetrySettings, open_telemetry
from surefoot.tests.serving.telemetry.scraping import TIMEOUT_S, samples_at

SEVEN = Towers(7, "compact")
SERVED = TelemetrySettings(metrics_port=0)


def read(url: str | None) -> dict[tuple[str, str], float]:
    """Return the value of each metric by its name and its label other than that of the run."""
    return {
        (
            sample.name,
            next((value for name, value in sample.labels.items() if name != "run"), ""),
        ): sample.value
        for sample in samples_at(url)
    }


def ended(telemetry: Telemetry) -> dict[str, float]:
    """Return how many runs have ended how, those that none did left out."""
    found = read(telemetry.metrics_url)
    return {
        how: count for (name, how), count in found.items() if name == "surefoot_ended_runs_total" and count
    }


async def test_each_way_to_end_is_counted_and_every_word_is_there_from_the_beginning(redis: str) -> None:
    model = towers_double()
    with open_telemetry(SERVED) as telemetry:
        words = [how for name, how in read(telemetry.metrics_url) if name == "surefoot_ended_runs_total"]
        k, listen = Settings(k=2, limit=4), telemetry.listen
        with pytest.raises(Stalled):
            await surefoot.run(SEVEN, k, model=Garbage(), redis=redis, job="ends", on_event=listen)
        for steps in (1, None):
            budget = None if steps is None else Budget(steps=steps)
            await surefoot.resume("ends", model=model, redis=redis, budget=budget, on_event=listen)
        assert ended(telemetry) == {"stalled": 1, "stopped": 1, "done": 1}
        running = asyncio.create_task(
            surefoot.run(SEVEN, k, model=towers_double(latency=500), redis=redis, job="cut", on_event=listen)
        )
        while telemetry.progress.job != "cut":
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ended(telemetry) == {
            "interrupted": 1
        }  # another job: what was counted of the one before is not its own
    assert {"stalled", "lease_lost", "failed", "error", "asking", "unavailable", "held", "cancelled"} < {
        *words
    }


async def test_a_lease_that_is_lost_is_counted(redis: str) -> None:
    begun = asyncio.Event()
    with open_telemetry(SERVED) as telemetry:

        def listen(event: Event) -> None:
            telemetry.listen(event)
            if isinstance(event, StepDecided):
                begun.set()

        slow, settings = towers_double(latency=0.02), Settings(k=1)
        first = asyncio.create_task(
            surefoot.run(SEVEN, settings, model=slow, redis=redis, job="lost", on_event=listen)
        )
        await begun.wait()
        with Redis.from_url(redis) as client:
            client.delete(Keys("lost").lease)  # as when it has run out
        await surefoot.resume("lost", model=towers_double(), redis=redis)
        with pytest.raises(Fenced):
            await first
        assert ended(telemetry) == {"lease_lost": 1}


async def test_what_is_waited_for_is_told_while_it_is_and_the_steps_after_it_are_kept(
    redis: str, receiver: Any
) -> None:
    waited: list[float] = []
    async with DoubleServer(towers_double(latency=0.003)) as server:
        settings = TelemetrySettings(metrics_port=0, otlp=receiver.url, span_share=0.0)
        with open_telemetry(settings, ProgressOfSeveral()) as telemetry:

            def listen(event: Event) -> None:
                telemetry.listen(event)
                if isinstance(event, StepDecided) and telemetry.progress.step == 40:
                    server.fail(Fault("status", status=503), times=2)
                elif isinstance(event, Waiting):
                    waited.append(read(telemetry.metrics_url)["surefoot_waiting", "model"])

            what = {"model": server.url, "redis": redis, "job": "away", "on_event": listen}
            report = await stitch(SEVEN, Settings(k=1), parts=2, at_once=2, **what)
            after = read(telemetry.metrics_url)["surefoot_waiting", "model"]
    assert report.solved and waited and min(waited) >= 1 and after == 0
    assert "retried" in {step["surefoot.kept"] for step in receiver.said("step")}


async def test_drift_is_told_when_the_report_tells_it(redis: str) -> None:
    calibrated, some = Settings(reliability=0.9, states=200), Budget(steps=3)
    good, bad = towers_double(error=0.002), towers_double(error=0.3)
    with open_telemetry(SERVED) as telemetry:
        first = await surefoot.run(
            SEVEN, calibrated, model=good, redis=redis, budget=some, on_event=telemetry.listen
        )
        before = read(telemetry.metrics_url)["surefoot_drift_evidence", ""]
        report = await surefoot.resume(first.job, model=bad, redis=redis, on_event=telemetry.listen)
        after = read(telemetry.metrics_url)["surefoot_drift_evidence", ""]
    assert (first.drift, before < 100) == (None, True)
    assert report.drift is not None and after >= 100


async def test_the_memory_of_redis_is_told_beside_its_limit_and_a_redis_that_is_gone_is_left_out(
    redis: str, closed_port: int
) -> None:
    with Redis.from_url(redis) as client:
        client.config_set("maxmemory", 1 << 30)
        with open_telemetry(TelemetrySettings(metrics_port=0, redis=redis)) as telemetry:
            found = read(telemetry.metrics_url)
        client.config_set("maxmemory", 0)
        used = client.info("memory")["used_memory"]
        with open_telemetry(TelemetrySettings(metrics_port=0, redis=redis)) as telemetry:
            without_limit = read(telemetry.metrics_url)["surefoot_redis_limit_bytes", ""]
        assert without_limit == client.info("memory")["total_system_memory"]
    assert found["surefoot_redis_limit_bytes", ""] == 1 << 30
    assert used / 2 < found["surefoot_redis_used_bytes", ""] < used * 2
    gone = f"redis://user:swordfish@127.0.0.1:{closed_port}"
    with open_telemetry(TelemetrySettings(metrics_port=0, redis=gone)) as telemetry:
        names = {name for name, _ in read(telemetry.metrics_url)}
    assert "surefoot_steps" in names and "surefoot_redis_used_bytes" not in names


async def test_parts_are_shown_and_what_other_workers_do_counts_as_progress(redis: str) -> None:
    model, k = towers_double(), Settings(k=1)
    with open_telemetry(SERVED, ProgressOfSeveral()) as telemetry:
        await stitch(SEVEN, k, parts=4, model=model, redis=redis, job="apart", on_event=telemetry.listen)
        progress = telemetry.progress
        await work("apart", model=model, redis=redis, on_event=telemetry.listen)  # all is done: it only looks
        found = read(telemetry.metrics_url)
        assert (found["surefoot_parts", ""], found["surefoot_done_parts", ""]) == (4, 4)
        assert ended(telemetry) == {"done": 4}
        seen_at = progress.durable_at
        progress.durable = 100  # as this worker had seen it before another one's commit
        await work("apart", model=model, redis=redis, on_event=telemetry.listen)
        assert progress.durable == 127 and progress.durable_at > seen_at


async def test_the_end_is_waited_for_until_it_was_read_and_no_longer(redis: str) -> None:
    with open_telemetry(SERVED) as telemetry:
        await asyncio.to_thread(read, telemetry.metrics_url)  # before the end, which is none of it
        assert not await telemetry.read_again(0.2)
        waiting = asyncio.create_task(telemetry.read_again(TIMEOUT_S))
        await asyncio.sleep(0)  # it has begun
        await asyncio.to_thread(read, telemetry.metrics_url)
        assert await waiting
    with open_telemetry(TelemetrySettings()) as silent:
        assert not await silent.read_again(TIMEOUT_S)  # nothing is served, so nothing is waited for

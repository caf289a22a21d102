"""The load of model servers: what the runner has asked, and what a vLLM says itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

import surefoot
from surefoot import BadInput, Settings, Towers
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.server import DoubleServer
from surefoot.orchestration.events import Began, Event
from surefoot.orchestration.redis import open_redis
from surefoot.serving.dashboard.server_pace import COUNTED, ServerPace
from surefoot.serving.dashboard.vllm_metrics import MOST_BYTES, VllmServer, VllmServers, read_metrics

from .conftest import Dashboard
from .test_dashboard import first_event

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a } b"} 7.0
vllm:num_requests_running{engine="1",model_name="a } b"} 5.0
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0 1764547200000
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:num_preemptions_total{engine="0",model_name="m"} 2.0
vllm:generation_tokens_total{engine="0",model_name="m"} 1e+03
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 100.0
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 40.0
vllm:time_to_first_token_seconds_bucket{le="0.001",model_name="m"} 0.0
vllm:num_requests_waiting{engine="1",model_name="m"} NaN
process_open_fds 20.0
"""


@asynccontextmanager
async def serving(answer: Callable[[], web.Response]) -> AsyncIterator[str]:
    """A server whose `/metrics` answers so; yields its address, as --model has it."""

    async def answered(_: web.Request) -> web.Response:
        return answer()

    app = web.Application()
    app.router.add_get("/metrics", answered)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def looked_at(address: str, times: int = 1) -> dict[str, Any]:
    server = VllmServer(address)
    async with httpx.AsyncClient() as client:
        for _ in range(times):
            await server.look(client)
    return server.view()


def test_figures_of_all_engines_are_put_together() -> None:
    assert read_metrics(METRICS) == {
        "running": 12,
        "waiting": 3,
        "kv_cache": 0.75,
        "preempted": 2,
        "generated_tokens": 1000,
        "prefix_tokens": 100,
        "prefix_hits": 40,
    }


@given(
    st.text() | st.text(alphabet='vllm:num_requests_running{}" 1\n.').map("vllm:num_requests_running".__add__)
)
def test_any_text_is_read(text: str) -> None:
    assert all(value == value for value in read_metrics(text).values())


def test_reading_takes_time_in_proportion(slope: Callable[..., float]) -> None:
    assert slope(read_metrics, lambda size: "vllm:num_requests_running{" * (size // 26)) <= 1.1


async def test_rates_are_those_between_two_looks() -> None:
    generated = iter((1_000, 1_500, 20))

    def answer() -> web.Response:
        hits = f"vllm:generation_tokens_total {next(generated)}\nvllm:num_requests_running 4\n"
        return web.Response(text=hits)

    async with serving(answer) as address, httpx.AsyncClient() as client:
        server = VllmServer(address)
        began = time.monotonic()
        await server.look(client)
        once = server.view()
        await server.look(client)
        took_s = time.monotonic() - began
        twice = server.view()
        await server.look(client)
        anew = server.view()
    assert (once["running"], once["generated_s"], once["waiting"]) == (4, None, None)
    assert twice["generated_s"] >= 500 / took_s
    assert anew["generated_s"] is None  # it was started anew


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: web.Response(status=404), "404 Not Found"),
        (lambda: web.Response(text="# nothing of a vLLM\nup 1\n"), "it has no figures of a vLLM at /metrics"),
        (lambda: web.Response(body=b"x" * (MOST_BYTES + 1)), f"more than {MOST_BYTES:,} bytes"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "302 Found"),
    ],
    ids=["missing", "another server", "too much", "redirected"],
)
async def test_what_is_wrong_is_said(answer: Callable[[], web.Response], said: str) -> None:
    async with serving(answer) as address:
        view = await looked_at(address)
    assert view["trouble"] == said and "running" not in view


async def test_a_server_that_is_gone_shows_no_old_figures() -> None:
    async with serving(lambda: web.Response(text=METRICS)) as address, httpx.AsyncClient() as client:
        server = VllmServer(address)
        await server.look(client)
        there = server.view()
    async with httpx.AsyncClient() as client:
        await server.look(client)
    assert (there["running"], there["trouble"]) == (12, "")
    assert "running" not in server.view() and server.view()["trouble"]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://gpu:8000", "http://gpu:8000/metrics"),
        ("http://gpu:8000/v1/", "http://gpu:8000/metrics"),
        ("http://gpu:8000/metrics", "http://gpu:8000/metrics"),
        ("https://gpu/behind/v1", "https://gpu/behind/metrics"),
    ],
)
def test_an_address_is_taken_as_a_model_has_it(address: str, url: str) -> None:
    assert str(VllmServer(address).url) == url


@pytest.mark.parametrize(
    "address", ["gpu:8000", "", "file:///etc/passwd", "http://", "http://[::1", "pebble"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match="is no address"):
        VllmServer(address)


def test_a_password_is_not_shown() -> None:
    server = VllmServer("http://user:secret@gpu:8000/v1?key=hidden")
    assert server.view()["address"] == "http://***@gpu:8000/v1?key=***"
    assert server.host == "gpu:8000"


def test_a_job_has_the_servers_that_its_models_address_names() -> None:
    servers = VllmServers(["http://gpu:80/v1", "http://gpu:8000", "http://other:8000/v1"])
    for model, hosts in (
        ("http://gpu:8000/v1#qwen", ["gpu:8000"]),
        ("http://gpu:80", ["gpu"]),
        ("http://gpu:8000/v1, http://other:8000/v1", ["gpu:8000", "other:8000"]),
        ("pebble", []),
    ):
        assert [view["host"] for view in servers.of(model)] == hosts


def counters(*counts: int) -> dict[str, int]:
    return dict(zip(COUNTED, counts, strict=True))


def test_what_was_asked_lately_is_by_the_work_that_the_commits_count() -> None:
    pace = ServerPace()
    assert pace.lately() is None
    for at_s in range(200):  # a commit every two seconds, of two seconds of work each
        work = at_s // 2 * 2_000
        pace.look(float(at_s), counters(work, at_s // 2 * 8, at_s // 100, 5 * work, 16 * work))
    found = pace.lately()
    assert found is not None
    assert (found.in_flight, found.allowed, found.requests_s) == (5, 16, 4)
    assert found.latency_s == pytest.approx(10 / 8) and found.retries == 0
    assert 58 <= found.over_s <= 64


def test_counters_that_went_back_are_forgotten() -> None:
    pace = ServerPace()
    for at_s, work in ((0.0, 1_000), (1.0, 2_000), (2.0, 500)):
        pace.look(at_s, counters(work, work, 0, work, work))
    assert pace.lately() is None
    pace.look(3.0, counters(1_500, 1_500, 0, 1_500, 3_500))
    found = pace.lately()
    assert found is not None and (found.in_flight, found.allowed) == (1, 3)


def test_without_a_server_nothing_is_told() -> None:
    pace = ServerPace()
    for at_s in range(5):
        pace.look(float(at_s), {"wall_ms": 1_000 * at_s})
    assert pace.lately() is None


async def test_the_page_of_a_running_job_has_what_its_runner_asks(empty: str, dashboard: Dashboard) -> None:
    began = asyncio.Event()

    def heard(event: Event) -> None:
        if isinstance(event, Began):
            began.set()

    async with (
        DoubleServer(towers_double(latency=0.02), slots=8) as server,
        serving(lambda: web.Response(text=METRICS)) as vllm,
        open_redis(empty) as redis,
        dashboard(empty, servers=[vllm]) as client,
    ):
        running = asyncio.create_task(
            surefoot.run(
                Towers(12, "compact"), Settings(k=2), model=server.url, redis=redis, job="far", on_event=heard
            )
        )
        await began.wait()
        view: dict[str, Any] = {}
        while not (view.get("asked") or {}).get("lately"):
            view = (await client.get("/api/job", params={"job": "far"})).json()
            await first_event(client)  # while somebody looks, there are looks
        listed = await first_event(client)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    lately = view["asked"]["lately"]
    assert 0 < lately["in_flight"] <= lately["allowed"] and lately["latency_s"] > 0.02
    assert view["asked"]["requests"] > 0 and view["servers"] == []
    assert [each["address"] for each in listed["servers"]] == [vllm]

"""A real Prometheus and its promtool (`make test-prometheus`): they read our metrics while a job runs, and check the rules and the panels."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import surefoot
from surefoot import Settings, Stalled, Towers
from surefoot.models.doubles import Garbage, towers_double
from surefoot.serving.telemetry import TelemetrySettings, open_telemetry
from surefoot.tests.serving.telemetry.scraping import TIMEOUT_S, text_at

pytestmark = pytest.mark.prometheus
BINARIES = Path(os.environ.get("SUREFOOT_PROMETHEUS", "/usr/bin"))
HERE = Path(__file__).parent
DOCS = HERE.parents[2] / "docs"
PANELS = json.loads((DOCS / "grafana.json").read_text())["panels"]
EVERY = "250ms"
"""Between two scrapes, and between two looks at the rules."""
Asked = Callable[[str], list[dict[str, Any]]]
"""Returns the series that an expression has now."""


def promtool(*arguments: str | Path, told: str | None = None) -> str:
    """Run promtool; a fault that it finds fails the test."""
    command = [BINARIES / "promtool", *arguments]
    done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> list[str]:
    """Return what the panels ask for, of every run."""
    return [each["expr"].replace("$run", ".*") for panel in PANELS for each in panel["targets"]]


def test_promtool_takes_the_rules_and_their_tests_pass() -> None:
    said = promtool("check", "rules", DOCS / "alerts.yml")
    assert (
        f"{len(yaml.safe_load((DOCS / 'alerts.yml').read_text())['groups'][0]['rules'])} rules found" in said
    )
    assert "FAILED" not in promtool("test", "rules", HERE / "alerts.test.yml")


def test_a_rule_that_fires_too_late_does_not_pass_its_test(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(
        (DOCS / "alerts.yml").read_text().replace("seconds > 300", "seconds > 400")
    )
    tests = (HERE / "alerts.test.yml").read_text().replace("../../../docs/alerts.yml", "rules.yml")
    (tmp_path / "tests.yml").write_text(tests)
    command = [BINARIES / "promtool", "test", "rules", tmp_path / "tests.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode != 0 and "RunStandsStill" in done.stdout + done.stderr


def test_promtool_takes_what_the_panels_ask_for(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions())]
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", tmp_path / "panels.yml")


async def test_promtool_finds_nothing_wrong_with_the_metrics(redis: str) -> None:
    with open_telemetry(TelemetrySettings(metrics_port=0, redis=redis)) as telemetry:
        task, settings = Towers(4, "compact"), Settings(reliability=0.9, states=60)
        await surefoot.run(
            task, settings, model=towers_double(error=0.02), redis=redis, on_event=telemetry.listen
        )
        assert promtool("check", "metrics", told=text_at(telemetry.metrics_url)) == ""


@pytest.fixture
def prometheus(tmp_path: Path) -> Callable[[str], AbstractAsyncContextManager[Asked]]:
    """Reads the metrics at a URL, with the rules of the documentation, for as long as a block lasts."""

    @asynccontextmanager
    async def reading(url: str) -> AsyncIterator[Asked]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        target = {
            "job_name": "surefoot",
            "static_configs": [{"targets": [urllib.parse.urlsplit(url).netloc]}],
        }
        config = {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
            "rule_files": [str(DOCS / "alerts.yml")],
            "scrape_configs": [target],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps(config))
        promtool("check", "config", tmp_path / "prometheus.yml")
        options = {
            "config.file": tmp_path / "prometheus.yml",
            "storage.tsdb.path": tmp_path / "data",
            "web.listen-address": f"127.0.0.1:{port}",
            "log.level": "error",
        }
        command = [BINARIES / "prometheus", *(f"--{name}={value}" for name, value in options.items())]

        def asked(expression: str) -> list[dict[str, Any]]:
            query = urllib.parse.urlencode({"query": expression})
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=TIMEOUT_S
            ) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
                return found

        with subprocess.Popen(command) as process:
            try:
                await until(lambda: ready(port), process)
                yield asked
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=TIMEOUT_S)

    return reading


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


async def until(holds: Callable[[], Any], process: "subprocess.Popen[bytes] | None" = None) -> Any:
    """Look again and again, in a thread, until something holds, and return it."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := await asyncio.to_thread(holds)):
            assert process is None or process.poll() is None
            await asyncio.sleep(0.05)
    return found


def value(found: list[dict[str, Any]]) -> float:
    return float(found[0]["value"][1])


async def test_prometheus_follows_a_job_to_the_figures_of_its_report(
    redis: str, prometheus: Callable[[str], AbstractAsyncContextManager[Asked]]
) -> None:
    going_on = towers_double(error=0.05, invalid=0.02, latency=0.01)
    with open_telemetry(TelemetrySettings(metrics_port=0, redis=redis)) as telemetry:
        assert telemetry.metrics_url is not None
        async with prometheus(telemetry.metrics_url) as asked:
            running = asyncio.create_task(
                surefoot.run(
                    Towers(9, "compact"),
                    Settings(reliability=0.9, states=100, segment=100),
                    model=going_on,
                    redis=redis,
                    job="watched",
                    on_event=telemetry.listen,
                )
            )
            # While it runs: a rate needs two scrapes.
            rates = await until(lambda: asked('rate(surefoot_votes_total{run="watched"}[5s]) > 0'))
            assert rates[0]["metric"]["job"] == "surefoot" and not running.done()
            report = await running
            assert await telemetry.read_again(TIMEOUT_S)
            last = 'surefoot_votes_total{run="watched"}'
            await until(lambda: value(asked(last)) == report.votes)
            assert value(asked("surefoot_durable_steps")) == report.steps == 511
            assert value(asked("sum(surefoot_red_flags_total)")) == sum(report.red_flags.values())
            assert [each for each in expressions() if not asked(each)] == []
            assert asked("ALERTS") == []


async def test_an_alarm_is_raised_of_a_run_that_stalls_though_its_process_ends(
    redis: str, prometheus: Callable[[str], AbstractAsyncContextManager[Asked]]
) -> None:
    with open_telemetry(TelemetrySettings(metrics_port=0)) as telemetry:
        assert telemetry.metrics_url is not None
        async with prometheus(telemetry.metrics_url) as asked:
            with pytest.raises(Stalled):
                few = Settings(k=2, limit=4)
                await surefoot.run(
                    Towers(3, "compact"),
                    few,
                    model=Garbage(),
                    redis=redis,
                    job="stuck",
                    on_event=telemetry.listen,
                )
            assert await telemetry.read_again(TIMEOUT_S)
            found = await until(lambda: asked('ALERTS{alertname="RunStalled", alertstate="firing"}'))
            assert found[0]["metric"]["run"] == "stuck"

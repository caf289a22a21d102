"""Metrics: Prometheus' own parser reads the report's figures, whatever the run is doing; and the command line's options."""

import select
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

import surefoot
from surefoot import BadInput, Budget, Settings, Towers
from surefoot.models.doubles import towers_double
from surefoot.orchestration import Event, StepDecided
from surefoot.serving.telemetry import TelemetrySettings, open_telemetry
from surefoot.serving.telemetry.scrapes import SCRAPES, SILENT_S
from surefoot.tests.serving.telemetry.scraping import samples_at, text_at

UNSURE = towers_double(error=0.15, invalid=0.05)
KS = Settings(k=3, segment=50)
SEVEN = Towers(7, "compact")
SERVED = TelemetrySettings(metrics_port=0)

Figures = dict[str, dict[tuple[str, ...], float]]
"""Of each name the values, by the labels other than that of the run."""


def scraped(url: str | None) -> Figures:
    found: Figures = {}
    for sample in samples_at(url):
        labels = tuple(value for name, value in sample.labels.items() if name != "run")
        found.setdefault(sample.name, {})[labels] = sample.value
    return found


def check(found: Figures, report: surefoot.Report) -> None:
    """Compare what was scraped with a report."""
    assert found["surefoot_steps"] == found["surefoot_durable_steps"] == {(): report.steps}
    assert found["surefoot_expected_steps"] == {(): report.steps_expected}
    assert found["surefoot_votes_total"] == {(): report.votes}
    assert found["surefoot_contested_steps_total"] == {(): report.contested}
    assert found["surefoot_dissenting_votes_total"][()] / report.votes == pytest.approx(report.dissent_rate)
    flags = {(reason,): count for reason, count in report.red_flags.items()}
    assert found["surefoot_red_flags_total"] == flags
    assert found["surefoot_tokens_total"][("completion",)] == report.tokens.completion
    assert found["surefoot_uncounted_samples_total"] == {(): report.tokens.uncounted}
    assert found["surefoot_measured_risk"][()] == pytest.approx(report.risk_measured)


async def test_prometheus_reads_the_figures_of_the_report(redis: str) -> None:
    with open_telemetry(SERVED) as telemetry:
        report = await surefoot.run(SEVEN, KS, model=UNSURE, redis=redis, on_event=telemetry.listen)
        found = scraped(telemetry.metrics_url)
        assert f'run="{report.job}"' in text_at(telemetry.metrics_url)
    check(found, report)
    margins = found["surefoot_margin_votes_bucket"]
    assert margins[("+Inf",)] == margins[("3.0",)] == report.steps
    assert margins[("2.0",)] == 0
    with pytest.raises(urllib.error.URLError):
        scraped(telemetry.metrics_url)


async def test_metrics_go_on_with_a_job_where_its_report_does(redis: str) -> None:
    first = await surefoot.run(SEVEN, KS, model=UNSURE, redis=redis, budget=Budget(steps=60))
    assert first.status == "stopped"
    with open_telemetry(SERVED) as telemetry:
        report = await surefoot.resume(first.job, model=UNSURE, redis=redis, on_event=telemetry.listen)
        check(scraped(telemetry.metrics_url), report)


async def test_a_scrape_is_answered_while_the_run_holds_the_event_loop(redis: str) -> None:
    found = []
    with open_telemetry(SERVED) as telemetry:

        def listen(event: Event) -> None:
            telemetry.listen(event)
            if isinstance(event, StepDecided) and event.step == 60:
                found.append(scraped(telemetry.metrics_url))  # the loop stands still until it is answered

        await surefoot.run(SEVEN, KS, model=UNSURE, redis=redis, on_event=listen)
    assert found[0]["surefoot_steps"] == {(): 61}


def status(url: str, **headers: str) -> int:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_metrics_are_for_those_who_are_meant_and_connections_are_bounded() -> None:
    with open_telemetry(SERVED) as telemetry:
        url = telemetry.metrics_url
        assert url is not None
        assert status(url) == 200
        assert status(url, Host="attacker.example:80") == 403
        assert status(url.replace("/metrics", "/other")) == 404
        host, _, port = url.removeprefix("http://").removesuffix("/metrics").partition(":")
        silent = [socket.create_connection((host, int(port)), timeout=20) for _ in range(SCRAPES + 1)]
        closed, _, _ = select.select(
            silent, [], [], SILENT_S / 2
        )  # at once, those for which there was no place
        assert 0 < len(closed) < SCRAPES
        for each in silent:
            each.close()


@pytest.mark.parametrize(
    "wrong",
    [{"metrics_port": 70_000}, {"span_share": 1.5}, {"queue": 0}, {"slow_s": 0.0}, {"otlp": "collector"}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        TelemetrySettings(**wrong)


def test_an_address_that_cannot_be_had_is_named_and_secrets_are_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = pytest.raises(BadInput, match=f"metrics cannot listen on '127.0.0.1', port {port}")
        with refused, open_telemetry(TelemetrySettings(metrics_port=port)):
            pass
    with pytest.raises(BadInput) as caught:
        TelemetrySettings(otlp="//user:secret@host")
    assert "secret" not in str(caught.value)

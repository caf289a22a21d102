"""The rules and the dashboard that come along: they ask for metrics that there are, and each rule has a test that promtool runs."""

import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from surefoot import Settings, Towers
from surefoot.models.doubles import towers_double
from surefoot.orchestration.progress import ProgressOfSeveral
from surefoot.orchestration.workers import stitch
from surefoot.serving.telemetry import TelemetrySettings, open_telemetry
from surefoot.tests.serving.telemetry.scraping import samples_at, text_at

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "telemetry.md").read_text()
RULES = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text())["groups"][0]["rules"]
TESTS = yaml.safe_load((Path(__file__).parent / "alerts.test.yml").read_text())["tests"]
PANELS = json.loads((ROOT / "docs" / "grafana.json").read_text())["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    each["expr"] for panel in PANELS for each in panel["targets"]
]
LABELS = re.compile(r"""(\w+)\s*(?:=~?|!=)\s*\\?["']""")
"""Those that an expression chooses by."""


async def test_every_metric_is_on_its_page_and_rules_and_panels_ask_for_no_other(redis: str) -> None:
    settings = TelemetrySettings(metrics_port=0, redis=redis)
    with open_telemetry(settings, ProgressOfSeveral()) as telemetry:  # of a job that has them all
        task, model = Towers(4, "compact"), towers_double(error=0.02)
        wanted = Settings(reliability=0.9, states=60)
        await stitch(task, wanted, parts=2, model=model, redis=redis, on_event=telemetry.listen)
        text, samples = text_at(telemetry.metrics_url), samples_at(telemetry.metrics_url)
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert names == {*re.findall(r"`(surefoot_\w+)`", PAGE)}
    used = {name for each in EXPRESSIONS for name in re.findall(r"surefoot_\w+", each)}
    assert len(used) > 15 and {name.removesuffix("_bucket") for name in used} <= names
    labels = {label for sample in samples for label in sample.labels}
    assert (
        {label for each in EXPRESSIONS for label in LABELS.findall(each)} == {"how", "run", "what"} < labels
    )


def test_each_rule_is_tested_firing_and_silent_and_says_how_bad_it_is() -> None:
    names = [rule["alert"] for rule in RULES]
    assert Counter(names).most_common(1)[0][1] == 1
    fires: dict[str, set[bool]] = defaultdict(set)
    for case in (case for test in TESTS for case in test["alert_rule_test"]):
        fires[case["alertname"]].add(bool(case["exp_alerts"]))
    assert fires == {name: {True, False} for name in names}
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "warning"}
    assert all(rule["annotations"]["summary"] for rule in RULES)
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(
        one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh")
    )


def test_panels_have_places_of_their_own_and_the_source_that_is_chosen() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert not any(overlap(*pair) for pair in combinations(places, 2))
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert all(panel["datasource"] == {"type": "prometheus", "uid": "${source}"} for panel in PANELS)
    assert all(each["legendFormat"] for panel in PANELS for each in panel["targets"])
    assert all('run=~"$run"' in each["expr"] for panel in PANELS for each in panel["targets"])

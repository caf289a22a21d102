"""A real receiver (`make test-phoenix`): Arize Phoenix takes our spans, all of them, and knows them for what they are."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import surefoot
from surefoot import Agent, Settings, Towers
from surefoot.models import Call, write_calls
from surefoot.models.doubles import Scripted, towers_double
from surefoot.serving.telemetry import TelemetrySettings, open_telemetry
from surefoot.tests.serving.telemetry.scraping import text_at

pytestmark = [pytest.mark.phoenix, pytest.mark.timeout(1200)]
BINARY = os.environ.get("SUREFOOT_PHOENIX", "phoenix")
READY_S = 900.0
"""It takes a minute on two quiet cores, many on busy ones."""
SHOWN_S = 60.0


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Phoenix of these tests' own, on loopback."""
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    folder = tmp_path_factory.mktemp("phoenix")
    own = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(ports[0]),
        "PHOENIX_GRPC_PORT": str(ports[1]),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    url, log = f"http://127.0.0.1:{ports[0]}", folder / "log.txt"
    with (
        log.open("wb") as said,
        subprocess.Popen([BINARY, "serve"], env={**os.environ, **own}, stdout=said, stderr=said) as process,
    ):
        try:
            deadline = time.monotonic() + READY_S
            while not answers(url):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return bool(text_at(f"{url}/healthz")) or True
    except (urllib.error.URLError, ConnectionError):
        return False


def shown(url: str, count: int) -> list[dict[str, Any]]:
    """Return the spans that Phoenix has, once there are so many: it writes them down in its own time."""
    deadline = time.monotonic() + SHOWN_S
    found: list[dict[str, Any]] = []
    while len(found) < count and time.monotonic() < deadline:
        try:
            found = json.loads(text_at(f"{url}/v1/projects/default/spans?limit=1000"))["data"]
        except urllib.error.HTTPError as error:
            assert error.code == 404  # its project begins with the first span
        time.sleep(0.2)
    return found


@surefoot.tool(effect="reads")
def in_stock(what: str) -> str:
    """Say how many of something are in stock."""
    return "three"


async def test_phoenix_has_every_span_that_was_sent(redis: str, phoenix: str) -> None:
    settings = TelemetrySettings(otlp=phoenix, span_share=1.0)
    script = Scripted([write_calls("", [Call("in_stock", '{"what": "tea"}')]), "There are three."])
    with open_telemetry(settings) as telemetry:
        model, task = towers_double(error=0.1), Towers(6, "compact")
        kept = Settings(k=3, segment=30)
        await surefoot.run(task, kept, model=model, redis=redis, job="towers", on_event=telemetry.listen)
        await Agent(script, [in_stock]).run(
            "How much tea is there?", redis=redis, job="agent", on_event=telemetry.listen
        )
    sent = telemetry.spans
    found = shown(phoenix, sent.exported)
    assert (len(found), sent.lost) == (sent.ended, 0)
    names = Counter(span["name"] for span in found)
    assert names == {"segment": 4, "audit": 4, "step": 63 + 2, "act": 1}
    kinds = {(span["name"], span["span_kind"]) for span in found}
    assert {("step", "LLM"), ("act", "TOOL"), ("segment", "AGENT")} <= kinds
    ids = {span["context"]["span_id"] for span in found}
    assert all(span["parent_id"] in ids for span in found if span["name"] != "segment")

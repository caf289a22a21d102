"""When a server wants to be asked again, wherever it says so."""

import json
import time
from collections.abc import Mapping

import pytest

from surefoot.models.openai.retry_after import LONGEST_S, wanted_pause


def error(message: str = "busy", **more: object) -> str:
    return json.dumps({"message": message, **more})


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        pytest.param({"retry-after": "7"}, "", 7, id="the header"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "2"}, "", 1.5, id="milliseconds (Azure)"),
        pytest.param({}, error("Please try again in 5.289s. Visit"), 5.289, id="in words (Groq)"),
        pytest.param({}, error("Please try again in 120ms."), 0.12, id="milliseconds in words"),
        pytest.param({}, error("Please retry after 20 seconds."), 20, id="seconds in words"),
        pytest.param({}, error("Try again in 0m31.5s"), 31.5, id="a duration"),
        pytest.param({}, error("Please try again in 1h2m"), LONGEST_S, id="an hour"),
        pytest.param({}, error(details=[{"retryDelay": "42s"}]), 42, id="a field of its details (Gemini)"),
        pytest.param({"retry-after": "soon"}, error("try again in 3s"), 3, id="a header that says nothing"),
        pytest.param({"retry-after": "0"}, error("try again in 3s"), 3, id="a header that says now"),
        pytest.param({}, error("Limit 15000, Used 11972. Please wait before trying again."), 0, id="no time"),
        pytest.param({}, error("try again in a moment"), 0, id="no number"),
        pytest.param({"retry-after": "nan"}, "", 0, id="no number at all"),
        pytest.param({"retry-after": "-5", "retry-after-ms": "-5"}, "", 0, id="the past"),
        pytest.param({"retry-after": "1e308"}, "", LONGEST_S, id="never"),
    ],
)
def test_a_pause_is_found_wherever_it_is_said(headers: Mapping[str, str], words: str, seconds: float) -> None:
    assert wanted_pause(headers, words) == pytest.approx(seconds)


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_time_of_day_is_a_pause_until_then(unit: int) -> None:
    reset = str(int((time.time() + 30) * unit))
    words = error(metadata={"headers": {"X-RateLimit-Reset": reset}})
    assert 28 < wanted_pause({}, words) <= 31


def test_a_time_of_day_that_is_over_is_none() -> None:
    assert wanted_pause({}, error(metadata={"headers": {"X-RateLimit-Reset": "1700000000000"}})) == 0

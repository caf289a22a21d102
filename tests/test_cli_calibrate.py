"""`surefoot calibrate exits` against a server that thinks: what it writes, says and refuses."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from surefoot.agents.reasoning.exit_calibration import ExitCalibration
from surefoot.agents.reasoning.exit_labels import AT_ONCE, read_forced
from surefoot.cli.calibrate import app
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import overthinker
from surefoot.models.streaming import Draw, Token

PROBLEMS = 14


class Falters(ThinkingDouble):
    """Sends no log-probabilities for one of the problems, as if another server had taken over."""

    def written(self, draw: Draw) -> tuple[list[Token], str]:
        tokens, finish = super().written(draw)
        if "the last one" in str(draw.prompt):
            tokens = [token._replace(logprob=None) for token in tokens]
        return tokens, finish


@contextmanager
def served() -> Iterator[str]:
    """Serve an overthinker from a thread of its own."""
    double = Falters(overthinker(lambda _: "42", lambda _, dice: str(dice % 40), error=0.6, rechecks=3))
    ready, loop = threading.Event(), asyncio.new_event_loop()
    server = DoubleServer(double)

    async def run() -> None:
        async with server:
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield server.url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text(
        "".join(json.dumps({"prompt": f"problem {i}", "answer": 42, "id": i}) + "\n" for i in range(PROBLEMS))
    )
    return path


def calibrate(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["exits", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_a_calibration_is_written_and_told(problems: Path, tmp_path: Path) -> None:
    out, events = tmp_path / "exits.json", tmp_path / "events.jsonl"
    with served() as url:
        code, told, _ = calibrate(
            problems, "--model", url, "--delta", 0.2, "--out", out, "--events", events, "--json"
        )
    assert code == 0
    record, made = json.loads(told), ExitCalibration.read(out)
    assert record["model"] == made.model == "thinking-double"
    assert (record["rule"]["delta"], record["rule"]["per"]) == (0.2, "trace")
    assert record["rule"]["unsafe"] == made.rule.unsafe >= 4
    assert record["problems"] == PROBLEMS and record["usage"]["completion"] > 0
    forced = read_forced(events)
    assert len(forced) == record["forced"] == 3 * PROBLEMS
    assert sum(event.safe for event in forced) == record["safe"]


def test_a_person_is_told_what_is_promised(problems: Path, tmp_path: Path) -> None:
    with served() as url:
        code, told, _ = calibrate(problems, "--model", url, "--delta", 0.25, "--out", tmp_path / "exits.json")
    told = " ".join(told.split())
    assert code == 0
    assert (
        "at most a share 0.25 ever exits at one" in told
        and "95% confidence" in told
        and "Exit(Conformal(" in told
    )


def test_data_that_cannot_support_delta_are_refused_with_how_many_more(
    problems: Path, tmp_path: Path
) -> None:
    out, events = tmp_path / "exits.json", tmp_path / "events.jsonl"
    with served() as url:
        code, told, error = calibrate(
            problems, "--model", url, "--delta", 0.07, "--out", out, "--events", events, "--json"
        )
    assert code == 1
    assert "needs at least 14 traces" in error and "more are needed" in json.loads(told)["error"]
    assert not out.exists()
    assert len(read_forced(events)) == 3 * PROBLEMS


def test_a_model_that_is_gone_is_one_sentence_and_what_was_collected_is_kept(
    problems: Path, tmp_path: Path
) -> None:
    with problems.open("a") as file:
        file.writelines(json.dumps({"prompt": f"more {i}", "answer": 42}) + "\n" for i in range(AT_ONCE))
        file.write(json.dumps({"prompt": "the last one", "answer": 42}) + "\n")
    out, events = tmp_path / "exits.json", tmp_path / "events.jsonl"
    arguments = (problems, "--delta", 0.2, "--out", out)
    with served() as url:
        code, _, error = calibrate(*arguments, "--model", url, "--events", events)
        lost, _, why = calibrate(*arguments, "--model", url)
    assert (code, lost) == (1, 1)
    forced = read_forced(events)
    # The last one is begun only when all but so many are done.
    assert len(forced) >= 3 * (PROBLEMS + 1)
    assert "Traceback" not in error and error.count("\n") == 1
    assert "no log-probabilities" in error and f"the {len(forced)} forced exits until then are in" in error
    assert "are lost, as no --events were asked for" in why
    assert not out.exists()


def test_the_events_of_an_earlier_run_are_left_until_there_are_others(problems: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    arguments = (problems, "--delta", 0.2, "--out", tmp_path / "exits.json", "--events", events)
    with served() as url:
        assert calibrate(*arguments, "--model", url)[0] == 0
        before = events.read_bytes()
        problems.write_text((json.dumps({"prompt": "the last one", "answer": 42}) + "\n") * PROBLEMS)
        code, _, error = calibrate(*arguments, "--model", url)
    assert (code, events.read_bytes() == before) == (1, True)
    assert "no forced exit was complete" in error


def test_events_that_cannot_be_written_are_refused_before_anybody_is_asked(
    problems: Path, tmp_path: Path
) -> None:
    code, _, error = calibrate(
        problems,
        "--model",
        "http://127.0.0.1:9",
        "--out",
        tmp_path / "exits.json",
        "--events",
        tmp_path,
        "--delta",
        0.2,
    )
    assert code == 2 and "forced exits cannot be written" in error


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--delta", "0.01"], 1, f"only {PROBLEMS} problems"),
        (["--delta", "1.5"], 2, "between 0 and 1"),
        (["--per", "token"], 2, "'token'"),
        (["--out", "/nowhere/exits.json"], 2, "no such folder"),
    ],
)
def test_what_cannot_come_to_an_end_is_refused_before_anybody_is_asked(
    problems: Path, arguments: list[str], code: int, why: str
) -> None:
    found, _, error = calibrate(problems, "--model", "http://127.0.0.1:9", *arguments)
    assert (found, why in error) == (code, True)


def test_problems_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"question": "2 + 2?"}\n')
    code, _, error = calibrate(path, "--model", "http://127.0.0.1:9")
    assert code == 2 and "line 1" in error


def test_a_model_that_cannot_be_interrupted_is_refused(problems: Path, tmp_path: Path) -> None:
    code, _, error = calibrate(problems, "--model", "pebble-numpy", "--out", tmp_path / "exits.json")
    assert code == 2 and "URL of a server" in error

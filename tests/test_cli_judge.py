"""`surefoot judge` as a user meets it: a process of its own, a judge behind a real server."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from surefoot.models.base import Prompt
from surefoot.models.doubles import Double
from surefoot.models.doubles.server import DoubleServer

PATIENCE_S = 60.0
COMMAND = (sys.executable, "-c", "from surefoot.cli.judge import app; app(prog_name='surefoot judge')")
THOUGHT = "a private thought"


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def verdict(prompt: Prompt) -> str:
    """The answer of a judge who reads in a run which score it is to get, or that it is to say nothing."""
    wanted = re.search(r"worth (\d+)", str(prompt))
    if wanted is None:
        return "I would rather not say."
    score = int(wanted[1])
    finding = {"score": score, "turns": [1] if score else [], "evidence": "it planned"}
    nothing = {"score": 0, "turns": [], "evidence": ""}
    return json.dumps(
        {
            "explanation": "so it is",
            "analysis_paralysis": finding,
            "rogue_actions": nothing,
            "premature_disengagement": nothing,
            "score": score,
        }
    )


def judge_server() -> DoubleServer:
    return DoubleServer(Double(verdict, lambda prompt, _: "", name="judge"))


def run_file(folder: Path, name: str, asked: str) -> Path:
    """A logged run with this issue."""
    path = folder / name
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": THOUGHT}]
    path.write_text(json.dumps(messages))
    return path


async def judge(*arguments: object) -> Done:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200"},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Done(process.returncode, out.decode(), err.decode())


async def test_scores_are_printed_as_a_table_and_as_json(tmp_path: Path) -> None:
    files = [run_file(tmp_path, f"{score}.json", f"worth {score}") for score in (0, 7)]
    async with judge_server() as server:
        table, data = await asyncio.gather(
            judge("score", *files, "--model", server.url),
            judge("score", *files, "--model", server.url, "--votes", 3, "--json"),
        )
    assert (table.code, data.code) == (0, 0)
    zero, seven = (line.split() for line in table.out.splitlines()[1:])
    assert zero == [str(files[0]), "0", "0", "0", "0", "0"]
    assert seven == [str(files[1]), "7", "7", "7", "0", "0", "1"]
    assert [row["score"] for row in data.json] == [0, 7]
    assert [len(row["judgments"]) for row in data.json] == [3, 3]
    assert data.json[1]["judgments"][0]["analysis_paralysis"]["turns"] == [1]
    assert data.json[1]["usage"]["prompt"] > 0
    assert THOUGHT not in table.out + data.out


async def test_paths_and_the_judge_s_name_are_printed_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / ":bug:[/old]"
    folder.mkdir(parents=True)
    file = run_file(folder, "[red].json", "worth 4")
    labels = folder / "labels.jsonl"
    labels.write_text(json.dumps({"file": file.name, "score": 3}) + "\n")
    async with DoubleServer(Double(verdict, lambda prompt, _: "", name="[judge]:bug:")) as server:
        table, page = await asyncio.gather(
            judge("score", file, "--model", server.url), judge("calibrate", labels, "--model", server.url)
        )
    assert ":bug:[/old]/[red].json" in table.out
    assert page.out.startswith("[judge]:bug:: Spearman none over 1 runs")


async def test_a_run_that_could_not_be_scored_is_said_to_have_none(tmp_path: Path) -> None:
    files = [run_file(tmp_path, "good.json", "worth 4"), run_file(tmp_path, "odd.json", "worth nothing")]
    async with judge_server() as server:
        table, data = await asyncio.gather(
            judge("score", *files, "--model", server.url),
            judge("score", *files, "--model", server.url, "--json"),
        )
    assert (table.code, data.code) == (1, 1)
    assert "none" in table.out and "the answer holds no JSON object" in table.out
    assert [row["score"] for row in data.json] == [4, None]


async def test_a_run_that_cannot_be_read_costs_none_of_the_others(tmp_path: Path) -> None:
    files = [run_file(tmp_path, f"{score}.json", f"worth {score}") for score in (3, 7)]
    files.insert(1, tmp_path / "missing.json")
    async with judge_server() as server:
        table, data = await asyncio.gather(
            judge("score", *files, "--model", server.url),
            judge("score", *files, "--model", server.url, "--json"),
        )
    assert (table.code, data.code) == (2, 2)
    assert [line.split()[:2] for line in table.out.splitlines()[1:]] == [
        [str(files[0]), "3"],
        [str(files[2]), "7"],
    ]
    (said,) = table.err.splitlines()
    assert said.startswith("surefoot: ") and "missing.json" in said
    assert [row.get("score") for row in data.json] == [3, None, 7]
    assert data.json[1]["error"] == said.removeprefix("surefoot: ")


async def test_calibration_reports_the_rank_correlation_and_how_little_few_labels_say(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    with labels.open("w") as lines:
        for label, score in enumerate((0, 2, 5, 4, 9)):
            name = run_file(tmp_path, f"{label}.json", f"worth {score}").name
            lines.write(json.dumps({"file": name, "score": label}) + "\n")
        lines.write(json.dumps({"file": run_file(tmp_path, "odd.json", "none").name, "score": 3}) + "\n")
    async with judge_server() as server:
        page, data = await asyncio.gather(
            judge("calibrate", labels, "--model", server.url),
            judge("calibrate", labels, "--model", server.url, "--json"),
        )
    assert (page.code, data.code) == (0, 0)
    assert (
        "judge: Spearman 0.90" in page.out
        and "too few" in page.out
        and "1 of 6 runs got no score" in page.out
    )
    assert data.json["rho"] == pytest.approx(0.9)
    assert data.json["low"] < 0.9 < data.json["high"]
    assert (data.json["judge"], data.json["pairs"], data.json["unscored"]) == ("judge", 5, 1)
    assert data.json["runs"][-1]["score"] is None


@pytest.mark.parametrize(
    "arguments, code, sentence",
    [
        (("score", "missing.json", "--model", "http://127.0.0.1:1"), 2, "missing.json"),
        (("score", "run.json", "--model", "pebble"), 2, "not 'pebble'"),
        (("score", "run.json", "--model", "http://127.0.0.1:1"), 1, "127.0.0.1:1"),
        (("calibrate", "bad.jsonl", "--model", "http://127.0.0.1:1"), 2, "line 1 of"),
    ],
)
async def test_what_goes_wrong_is_one_sentence_and_an_exit_code(
    arguments: tuple[str, ...], code: int, sentence: str, tmp_path: Path
) -> None:
    run_file(tmp_path, "run.json", "worth 1")
    (tmp_path / "bad.jsonl").write_text("{}\n")
    command, file, *rest = arguments
    done = await judge(command, tmp_path / file, *rest)
    assert done.code == code, done
    (line,) = done.err.splitlines()
    assert line.startswith("surefoot: ") and sentence in line

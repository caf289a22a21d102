"""`surefoot solve --data`, and `--pattern`: real processes, a real server, a state directory of its own."""

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from surefoot.agents.patterns.instructions import HEAD, instruction
from surefoot.models.base import Prompt
from surefoot.models.doubles import Double, DoubleServer, Garbage, goal_double
from surefoot.models.doubles.goals import goal_right

PATIENCE_S = 120.0
FAILED, BAD_INPUT, STOPPED = 1, 2, 3
NOWHERE = ("--model", "http://127.0.0.1:9/v1")
LINES: list[dict[str, Any]] = [
    {"id": "mul-3x3-0", "question": "Multiply the following numbers:\n734 × 902", "answer": "662068"},
    {"id": "mul-2x2-0", "question": "Multiply the following numbers:\n12 × 34", "answer": "407"},
    {
        "question": "Sort the following list of integers in ascending order, after '####':\n[9, -3, 7]",
        "answer": "[-3,7,9]",
    },
]
"""In the published form, made up here; the second answer is wrong."""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on standard error."""
        return self.err.splitlines()[-1]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # Not pytest's own: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "problems.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)) + "\n\n")
    return path


async def surefoot(home: Path, *arguments: object) -> Done:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "surefoot.cli", *map(str, arguments)),
        env={**os.environ, "SUREFOOT_HOME": str(home), "COLUMNS": "200"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode is not None and b"Traceback" not in err, err.decode()
    return Done(process.returncode, out.decode(), err.decode())


async def test_all_problems_are_solved_and_counted(home: Path, file: Path) -> None:
    async with DoubleServer(goal_double(error=0.1, seed=1)) as server:
        asked = ("solve", "--data", file, "--votes", 4, "--model", server.url, "--job", "all")
        done = await surefoot(home, *asked)
        again = await surefoot(home, *asked, "--json")
        shown = await surefoot(home, "show", "all-2", "--json")
    lines = [
        "mul-3x3-0: right: 662068",
        "mul-2x2-0: wrong: 408, not 407",
        "problem 3: right: [-3, 7, 9]",
        "2 of 3 right, 1 wrong, 0 without an answer",
    ]
    assert (done.code, done.out.splitlines()) == (FAILED, lines)
    assert [line for line in done.err.splitlines() if line in lines] == lines[:3]
    found = json.loads(again.out)
    assert (again.code, found["right"], found["wrong"], found["unanswered"]) == (FAILED, 2, 1, 0)
    assert [
        (each["job"], each["verdict"], each["answer"], each["expected"]) for each in found["problems"]
    ] == [
        ("all-1", "right", "662068", "662068"),
        ("all-2", "wrong", "408", "407"),
        ("all-3", "right", "[-3, 7, 9]", "[-3, 7, 9]"),
    ]
    assert dict(json.loads(shown.out)["spec"])["problem"] == "What is 12 * 34?"


async def test_one_of_them_is_solved_alone_and_taken_up_after_its_budget(home: Path, file: Path) -> None:
    async with DoubleServer(goal_double()) as server:
        asked = ("solve", "--data", file, "--at", 1, "--model", server.url, "--job", "one")
        stopped = await surefoot(home, *asked, "--max-steps", 1)
        done = await surefoot(home, *asked)
    assert stopped.code == STOPPED
    assert stopped.out.startswith("mul-3x3-0: no answer: stopped before step 1: ")
    assert stopped.out.endswith("\n0 of 1 right, 0 wrong, 1 without an answer\n")
    assert (done.code, done.out) == (
        0,
        "mul-3x3-0: right: 662068\n1 of 1 right, 0 wrong, 0 without an answer\n",
    )


async def test_a_stall_is_no_answer_and_the_next_problem_follows(home: Path, file: Path) -> None:
    async with DoubleServer(Garbage()) as server:
        asked = ("solve", "--data", file, "--limit", 3, "--replans", 0, "--model", server.url)
        done = await surefoot(home, *asked)
    assert done.code == FAILED
    assert re.match(r"the same command with `--job goal-[0-9a-z-]+` goes on where this one ends\n", done.err)
    assert done.out.count(": no answer: step 0 stalled: no ballot got far enough ahead in 3 samples") == 3
    assert done.out.endswith("\n0 of 3 right, 0 wrong, 3 without an answer\n")


async def test_a_problem_that_is_too_long_for_the_server_is_no_answer_and_the_next_follows(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "problems.jsonl"
    book = {"question": f"What is 2 * 2?{' x' * 40_000}", "answer": "4"}
    path.write_text("\n".join(map(json.dumps, (book, LINES[0]))))
    async with DoubleServer(goal_double(), context=16_000) as server:
        done = await surefoot(home, "solve", "--data", path, "--max-tokens", 500, "--model", server.url)
    assert "maximum context length is 16000 tokens" in done.out.splitlines()[0]
    assert (done.code, done.out.splitlines()[-1]) == (FAILED, "1 of 2 right, 0 wrong, 1 without an answer")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "{file}", "--at", 4), "has the problems 1 to 3, not 4"),
        (("--data", "{file}", "--at", 0), "has the problems 1 to 3, not 0"),
        (("--at", 1), "--at goes with --data"),
        (("--data", "{file}", "What is 2 * 2?"), "with --data the problems are those of the file"),
        (("--data", "{file}", "--kind", "date"), "line 1: the answer '662068' is none of kind 'date'"),
        (("--data", "{file}", "--pattern", "sovle=table"), "task 'goal' has the stages"),
        (("--data", "/no/such/file"), "'/no/such/file' cannot be read (No such file or directory)"),
        (("--data", "/dev/null"), "'/dev/null' has no problems"),
        (("--data", "/dev/zero"), "'/dev/zero' has more than 64 MiB"),
    ],
)
async def test_what_cannot_be_is_said_in_a_sentence(
    home: Path, file: Path, arguments: tuple[object, ...], said: str
) -> None:
    given = [file if each == "{file}" else each for each in arguments]
    done = await surefoot(home, "solve", *given, *NOWHERE)
    assert (done.code, done.out, len(done.err.splitlines())) == (BAD_INPUT, "", 1)
    assert said in done.sentence


async def test_of_a_file_with_a_bad_line_nothing_is_asked(home: Path, file: Path) -> None:
    file.write_text(file.read_text() + '{"question": "How many?"}\n')
    done = await surefoot(home, "solve", "--data", file, *NOWHERE)
    assert (done.code, done.out) == (BAD_INPUT, "")
    assert (
        done.sentence
        == f"surefoot: {file}, line 5: not a line of a problem with its answer (answer: Field required)"
    )


# Patterns


class Heard:
    """A double, and the first message of every prompt that it was asked."""

    def __init__(self, right: Callable[[Prompt], str]) -> None:
        self.firsts: list[str] = []
        self._right = right
        self.double = Double(self._answer, lambda prompt, which: self._right(prompt))

    def _answer(self, prompt: Prompt) -> str:
        if not isinstance(prompt, str) and len(prompt) > 1:
            self.firsts.append(prompt[0].content)
        return self._right(prompt)


async def test_a_pattern_is_asked_for_by_stage_and_a_job_goes_on_with_it(home: Path) -> None:
    heard = Heard(goal_right)
    async with DoubleServer(heard.double) as server:
        asked = ("solve", "What is 734 * 902?", "--model", server.url, "--job", "thought")
        pattern = ("--pattern", "solve=verification", "--pattern", "chain")
        stopped = await surefoot(home, *asked, *pattern, "--max-steps", 1)
        other = await surefoot(home, *asked, "--pattern", "table")
        done = await surefoot(home, *asked)
    assert (stopped.code, done.code, done.out) == (STOPPED, 0, "662068\n")
    assert other.code == BAD_INPUT and "was started as pattern with" in other.sentence
    solving = [first for first in heard.firsts if "Solve the problem." in first]
    others = [first for first in heard.firsts if "You make a problem smaller" in first]
    assert solving and all(first.startswith(instruction("verification")) for first in solving)
    assert others and all(first.startswith(instruction("chain")) for first in others)


async def test_any_task_is_run_in_a_pattern(home: Path) -> None:
    def first(prompt: Prompt) -> str:
        a, b = (int(line[3:]) for line in str(prompt[-1].content).splitlines())  # type: ignore[union-attr]
        return f"first = {'A' if a < b else 'B'}"

    heard = Heard(lambda prompt: first(prompt) if "A: " in str(prompt) else "4")
    async with DoubleServer(heard.double) as server:
        asked = (
            "run",
            "sorting",
            "--arg",
            "items=[31, 4, 15]",
            "--k",
            1,
            "--model",
            server.url,
            "--job",
            "s",
        )
        done = await surefoot(home, *asked, "--pattern", "table", "--json")
        bad = await surefoot(home, *asked, "--pattern", "solve=table")
    report = json.loads(done.out)
    assert (done.code, report["solved"], report["task"]) == (0, True, "pattern")
    assert heard.firsts and all(HEAD in each for each in heard.firsts if "You compare two items" in each)
    assert bad.code == BAD_INPUT and "task 'sorting' has no stages" in bad.sentence

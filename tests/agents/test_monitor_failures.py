"""Whether what came back is a failure: exit codes, pipes, colours, and the words of the tools that people run."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.agents.monitor.failures import (
    CODES,
    COMPLAINTS,
    FAILURES,
    PASSED,
    PASSES,
    REFUSED,
    STATED,
    SUMMARIES,
    looks_failed,
    stated_code,
    tells_failure,
)
from surefoot.agents.monitor.kinds import hides
from surefoot.agents.monitor.readers.formats import parse
from surefoot.agents.monitor.trajectory import Action, action, turn


class Outcome(NamedTuple):
    """What a real tool printed, and how its run went."""

    tool: str
    failed: bool
    command: str
    text: str


SILENT = "npm test"
"""A command whose own program fails without a word: no text tells that, only a code."""


def outcomes() -> list[Outcome]:
    """Outputs of tools: most were run for this (`run`), some stand in public logs (`public`)."""
    lines = (Path(__file__).parent / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Outcome(row["tool"], row["failed"], row["command"], row["text"]) for row in rows]


def bash(command: str) -> Action:
    return action("bash", command)


def test_the_words_of_real_tools_tell_how_a_run_went() -> None:
    every = outcomes()
    told = [(one, tells_failure(one.text, [bash(one.command)])) for one in every]
    wrong = [(one.tool, one.command) for one, found in told if found is not one.failed]
    hits = sum(one.failed and found for one, found in told)
    precision = hits / sum(found for _, found in told)
    recall = hits / sum(one.failed for one in every)
    assert len(every) > 130 and len({one.tool for one in every}) > 60
    assert (precision, recall) >= (1.0, 0.95), wrong
    assert [one for one, found in told if one.failed and not found and one.command != SILENT] == []


def test_with_the_harness_s_own_word_every_outcome_is_told() -> None:
    for one in outcomes():
        shown = f"{one.text}\n[Command finished with exit code {int(one.failed)}]"
        alone = bash(one.command.split("|")[0])
        if not hides(alone.arguments):
            assert tells_failure(shown, [alone]) is one.failed, one.tool


DESTRUCTOR = (
    "all good\nException ignored in: <function A.__del__ at 0x7f1>\nTraceback (most recent call last):\n"
    '  File "a.py", line 2, in __del__\nValueError: late\n[Command finished with exit code 0]'
)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(DESTRUCTOR, id="Q2 a destructor's traceback"),
        "2 failed in a test of the test runner\n[The command completed with exit code 0.]\n[Current working directory: /repo]\n[Python interpreter: /usr/bin/python]",
        "<returncode>0</returncode>\n<output>\nERROR: handled\n</output>",
        "Exit code: 0\nWall time: 0.1 seconds\nOutput:\nValueError: caught",
        "Traceback (most recent call last):\n...\nProcess exited with code 0",
        '{"exit_code": 0, "output": "Traceback (most recent call last):"}',
        "Error: none of your business\n(exit status 0)",
    ],
)
def test_an_exit_code_0_is_no_failure(shown: str) -> None:
    assert not tells_failure(shown, [bash("python a.py")])
    assert not tells_failure(shown, [action("execute_bash", '{"command": "cd /repo && python a.py"}')])


def test_a_run_that_ends_after_a_command_with_code_0_scores_nothing() -> None:
    """Q2: the traceback was printed by a destructor, the command went well, and the agent finishes."""
    function = "<function=execute_bash>\n<parameter=command>python a.py</parameter>\n"
    log = {
        "initial_issue": "x",
        "interactions": [
            {"response": function, "observation": DESTRUCTOR},
            {"response": "<function=finish>\n", "observation": None},
        ],
    }
    assert [each.failed for each in parse(log).turns] == [False, None]


@pytest.mark.parametrize(
    "shown",
    [
        "fine\n[Command finished with exit code 1]",
        "<returncode>-1</returncode>\n<output></output>",
        "3 passed\nProcess exited with code 137",
        '{"returncode": 2, "output": ""}',
        "All good.\n[The command completed with exit code 127.]\n[Current working directory: /repo]",
    ],
)
def test_another_code_is_a_failure_whatever_was_printed(shown: str) -> None:
    assert tells_failure(shown, [bash("make")])
    assert tells_failure("", [bash("make")], code=2)
    assert not tells_failure("Traceback (most recent call last)", [bash("make")], code=0)


PYTEST = "E       assert 1 == 2\n\ntest_a.py:2: AssertionError\n=========== short test summary info ===========\nFAILED test_a.py::test_a - assert 1 == 2\n1 failed, 1 passed in 0.02s\n"


@pytest.mark.parametrize(
    ("command", "hidden"),
    [
        pytest.param("pytest -q 2>&1 | tail -5", True, id="Q9 a pipe"),
        ("pytest -q || true", True),
        ("cd /repo && pytest -q |& tail", True),
        ("pytest -q; echo done", True),
        ("pytest -q\ngit status", True),
        ("pytest -q > log 2>&1 &", True),
        ("bash -lc 'pytest -q | tail -3'", True),
        ("pytest -q | tee log", True),
        ("if true; then pytest; fi", True),
        ("pip install -e . | tail -1", True),
        ("pytest -q", False),
        ("cd /repo; pytest -q", False),
        ("cd /repo && source venv/bin/activate && pytest -q 2>&1", False),
        ("set -o pipefail; pytest -q | tail -5", False),
        ("set -e\npytest -q\ngit status", False),
        ("echo 'a | b' && python x.py", False),
        ("export A=1\npython - <<'EOF'\na = 1 | 2; b = 3\nEOF", False),
        ("pytest -q &> log", False),
        ("python a.py \\\n  --flag", False),
        ("# check | it\npytest -q;", False),
    ],
)
def test_what_a_code_0_leaves_open(command: str, hidden: bool) -> None:
    assert hides(command) is hidden
    assert tells_failure(PYTEST, [bash(command)], code=0) is hidden
    assert tells_failure(PYTEST, [action("bash", json.dumps({"command": command}))], code=0) is hidden
    assert (
        tells_failure(PYTEST, [action("shell", json.dumps({"command": ["bash", "-lc", command]}))], code=0)
        is hidden
    )


def mini(command: str, output: str, code: int) -> dict[str, Any]:
    said = {"role": "assistant", "content": "t", "extra": {"actions": [{"command": command}]}}
    heard = {
        "role": "tool",
        "content": json.dumps({"output": output}),
        "extra": {"raw_output": output, "returncode": code},
    }
    return {
        "trajectory_format": "mini-swe-agent-1.1",
        "info": {},
        "messages": [{"role": "user", "content": "?"}, said, heard],
    }


def test_after_a_pipe_the_words_of_a_mini_log_decide() -> None:
    """Q9: the output stands in the message as JSON, without line breaks; `raw_output` has it as it was printed."""
    piped, plain = "pytest -q 2>&1 | tail -5", "pytest -q"
    assert [parse(mini(piped, PYTEST, 0)).turns[0].failed, parse(mini(plain, PYTEST, 0)).turns[0].failed] == [
        True,
        False,
    ]
    assert [
        parse(mini(piped, "2 passed\n", 0)).turns[0].failed,
        parse(mini(plain, "", 1)).turns[0].failed,
    ] == [False, True]


def test_the_refusal_of_an_editor_is_a_failure_after_a_look_as_well() -> None:
    """Q3."""
    shown = (
        "EXECUTION RESULT of [str_replace_editor]:\nERROR:\nInvalid path parameter: /repo/x.py does not exist"
    )
    view = action("str_replace_editor", '{"command": "view", "path": "/repo/x.py"}')
    assert view.kind == "read" and tells_failure(shown, [view])
    for refused in (
        "ERROR:\nNo replacement was performed, old_str `x` did not appear verbatim in /repo/a.py.",
        '{"error": "no such order"}',
        "Error: file not found",
        "Error executing tool read_file: it is a folder",
        "cat: x.py: No such file or directory",
    ):
        assert tells_failure(refused, [view]), refused
    for seen in (
        "Here's the result of running `cat -n` on /repo/x.py:\n     1\tERROR: = 1\n     2\traise ValueError('Error: no')",
        '{"error": null, "orders": []}',
        "EXECUTION RESULT of [str_replace_editor]:\n     1\tTraceback (most recent call last):",
        "Errors and how to handle them",
    ):
        assert not tells_failure(seen, [view]), seen
    assert not tells_failure("ERROR: disk full\nERROR: disk full", [bash("grep ERROR app.log")]), (
        "it is what was looked for"
    )


ESC = "\x1b"
RED = f"{ESC}[31m{ESC}[1m{{}}{ESC}[0m"


@pytest.mark.parametrize(
    ("shown", "is_failure"),
    [
        pytest.param(
            f"{RED.format('FAILED')} test_a.py::{ESC}[1mtest_a{ESC}[0m\n{ESC}[31m{RED.format('1 failed')}, {ESC}[32m1 passed{ESC}[0m",
            True,
            id="Q10 a failing run in colours",
        ),
        pytest.param(
            f"{RED.format('ValueError: on purpose')}\n{ESC}[32m{ESC}[1m3 passed{ESC}[0m{ESC}[32m in 0.1s{ESC}[0m",
            False,
            id="Q10 a passing run that prints an error",
        ),
        (f"a.c:1:5: {ESC}[01;31m{ESC}[Kerror: {ESC}[m{ESC}[Kexpected ';'", True),
        (f"{ESC}]8;;file:///a{ESC}\\a.c{ESC}]8;;{ESC}\\:1:5: error: no", True),
        (f"{ESC}[0m{ESC}[1m{ESC}[38;5;9merror[E0308]{ESC}[0m: mismatched types", True),
        (f"Tests  {ESC}[1m{ESC}[31m1 failed{ESC}[39m{ESC}[22m", True),
        (f"Tests  {ESC}[1m{ESC}[32m1 passed{ESC}[39m{ESC}[22m", False),
        (f"[{ESC}[1;31mERROR{ESC}[m] BUILD {ESC}[1;31mFAILURE{ESC}[m", True),
        ("\x9b31m1 failed\x9b0m", True),
    ],
)
def test_colours_change_nothing(shown: str, is_failure: bool) -> None:
    assert tells_failure(shown, [bash("make test")]) is is_failure


@pytest.mark.parametrize("tool", ["gcc", "make", "tsc", "mocha", "node --test", "maven", "rspec", "ctest"])
def test_tools_without_a_code_are_recognised_by_their_own_words(tool: str) -> None:
    """Q11."""
    failures = [one for one in outcomes() if one.tool == tool and one.failed]
    assert failures and all(tells_failure(one.text, [bash(one.command)]) for one in failures)


@pytest.mark.parametrize(
    "shown",
    [
        "0 errors, 0 failures",
        "found 0 errors in 12 files",
        "ValueError: expected\n3 passed",
        "tests/test_error.py::test_failed PASSED\n1 passed",
        "ok 1 errors are caught",
        "make: [Makefile:2: clean] Error 1 (ignored)\ndone",
        "error rate 0.12",
        "no error",
        "FAILED: 0",
        "-- Could NOT find Doxygen (missing: DOXYGEN_EXECUTABLE)\n-- Configuring done",
        "warning: unused variable: `error`",
        "1 xfailed, 3 passed",
        "OK (expected failures=2)",
    ],
)
def test_a_mention_of_errors_is_no_failure(shown: str) -> None:
    assert not tells_failure(shown, [bash("make test")])


def test_what_reads_like_a_failure() -> None:
    for told in (
        "x.py: No such file or directory",
        "pkg.Wrong\npkg.MyError: no",
        "2 failed, 3 passed",
        "Exit code: 1",
    ):
        assert tells_failure(told, [bash("pytest")])
    for told in (
        "0 failed, 3 passed",
        "MyError: expected\n3 passed",
        "raise ValueError('x')",
        "exit code 0",
        "",
    ):
        assert not tells_failure(told, [bash("pytest")])
    assert not tells_failure("Traceback (most recent call last)", [bash("cat log")]), (
        "it may be what was read"
    )


def test_each_result_is_judged_by_its_own_call() -> None:
    """A grep through a pipe finds the words of others; the tests beside it passed."""
    calls = [
        {"function": {"name": "bash", "arguments": json.dumps({"command": c})}}
        for c in ("grep -rn failed . | head", "pytest -q")
    ]
    found, passed = {"role": "tool", "content": "a.py:3: 2 failed"}, {"role": "tool", "content": "3 passed"}
    log = [{"role": "user", "content": "?"}, {"role": "assistant", "tool_calls": calls}, found, passed]
    assert parse(log).turns[0].failed is False
    assert parse([*log[:3], {"role": "tool", "content": "2 failed"}]).turns[0].failed is True


PIECES = [
    *(
        [
            ".",
            ":",
            "0",
            "1",
            "12",
            "-",
            "_",
            "x",
            "é",
            "٣",
            "exit",
            "Exit",
            "code",
            "status",
            "<returncode>",
            "failed",
            "error",
            "errors",
            "passed",
            "ValueError",
            "Exception",
            "Error",
            "FAILED",
        ]
    ),
    *(
        [
            "ERROR",
            "error:",
            "fatal",
            "Traceback",
            "fail",
            "#",
            "ok",
            "not",
            "make",
            "***",
            "FAIL",
            "panic:",
            "(fail)",
            "would",
            "error[E",
            "error:",
            "npm",
            "ERR!",
            "E:",
            "curl:",
            "(7)",
            "reason: Failed",
            "not found",
            "OK",
        ]
    ),
]


@given(st.lists(st.sampled_from([*PIECES, " ", "\n"]) | st.text(max_size=3), max_size=12).map("".join))
def test_words_looked_for_first_change_no_result(shown: str) -> None:
    looked_for = {FAILURES: (REFUSED, *SUMMARIES, *COMPLAINTS), CODES: (STATED,), PASSES: (PASSED,)}
    for sieve, every in looked_for.items():
        for told in every:
            found = told.pattern.search(shown) is not None
            assert told.found(shown, sieve.held(shown)) is found, told.pattern.pattern


@given(st.text(), st.lists(st.builds(action, st.sampled_from(["bash", "view", "x"]), st.text()), max_size=3))
def test_any_text_is_a_failure_or_none(shown: str, calls: list[Action]) -> None:
    assert tells_failure(shown, calls) in {True, False}
    assert looks_failed(shown) in {True, False}
    assert stated_code(shown) is None or isinstance(stated_code(shown), int)
    assert turn("", calls, shown).failed in {True, False}

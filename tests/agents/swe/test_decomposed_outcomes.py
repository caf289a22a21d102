"""How tests come out, and in which way one fails: read from what a real pytest prints."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.agents.swe.decomposed.laboratory import OPTIONS
from surefoot.agents.swe.decomposed.outcomes import GONE, MOST_FAILING, baseline, came_out, change, failure
from surefoot.agents.swe.decomposed.state import Baseline, ChangedTests, Defect

NAME = "test_surefoot_issue_1.py"


def printed(folder: Path, test: str) -> str:
    (folder / "pkg").mkdir(exist_ok=True)
    (folder / "pkg/deep.py").write_text(
        "class Row:\n"
        "    def parse(self, text):\n"
        "        return int(text)\n"
        "\n"
        "\n"
        "def chained(text):\n"
        "    try:\n"
        "        Row().parse(text)\n"
        "    except ValueError as error:\n"
        "        raise KeyError('it is\\nRuntimeError: no') from error\n"
        "\n"
        "\n"
        "def endless(n):\n"
        "    return endless(n + 1)\n"
    )
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / NAME).write_text(f"import pytest\nfrom pkg.deep import *\n\n\n{test}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS.split(), "--", f"tests/{NAME}"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    return done.stdout


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("assert Row().parse('3') == 4", Defect("AssertionError", "")),
        (
            "print('Traceback (most recent call last):'); assert False, 'ValueError: x'",
            Defect("AssertionError", ""),
        ),
        ("Row().parse('x')", Defect("ValueError", "pkg/deep.py::parse")),
        ("chained('x')", Defect("KeyError", "pkg/deep.py::chained")),
        ("endless(0)", Defect("RecursionError", "pkg/deep.py::endless")),
        ("Row().parse()", Defect("TypeError", "")),
        ("with pytest.raises(ValueError): Row().parse('3')", Defect("Failed", "")),
        ("import json; json.loads('{')", Defect("JSONDecodeError", "")),
        ("raise ExceptionGroup('two', [ValueError(1)])", Defect("unknown", "")),
    ],
)
def test_a_failure_is_an_exception_and_the_function_that_raises_it(
    tmp_path: Path, body: str, found: Defect
) -> None:
    output = printed(tmp_path, f"def test_issue():\n    {body}\n")
    assert came_out(output, [NAME]) == {NAME: "failed"}
    assert failure(output, str(tmp_path), NAME) == found


@pytest.mark.parametrize(
    ("test", "word"),
    [
        ("def test_issue():\n    pass\n", "passed"),
        ("@pytest.mark.xfail\ndef test_issue():\n    assert False\n", "passed"),
        ("@pytest.mark.skip\ndef test_issue():\n    assert False\n", ""),
        ("def test_issue(no_such_fixture):\n    pass\n", "broken"),
        ("import no_such_module\ndef test_issue():\n    pass\n", "broken"),
        ("def test_issue(:\n", "broken"),
        ("import os\ndef test_issue():\n    os._exit(1)\n", ""),
        ("@pytest.mark.parametrize('n', [1, 2])\ndef test_issue(n):\n    assert n == 1\n", "failed"),
        (
            "@pytest.fixture\ndef thing():\n    yield\n    assert 0\ndef test_issue(thing):\n    pass\n",
            "broken",
        ),
    ],
)
def test_what_does_not_fail_by_itself_shows_nothing(tmp_path: Path, test: str, word: str) -> None:
    assert came_out(printed(tmp_path, test), [NAME, "test_surefoot_issue_2.py"]) == {
        NAME: word,
        "test_surefoot_issue_2.py": "",
    }


def log(**states: str) -> str:
    return "".join(f"{state} tests/t.py::{name} - it is so\n" for name, state in states.items())


def test_a_change_is_what_comes_out_otherwise() -> None:
    before = baseline(log(a="PASSED", b="PASSED", c="FAILED", d="ERROR", e="XFAIL", f="SKIPPED"))
    assert before == Baseline(("tests/t.py::c", "tests/t.py::d"), 3)
    same = log(a="PASSED", b="PASSED", c="FAILED", d="ERROR", e="XFAIL")
    assert change(before, same) == ChangedTests(())
    assert change(before, same.replace("FAILED", "PASSED")) == ChangedTests(("tests/t.py::c",))
    assert change(before, log(a="FAILED", b="PASSED", c="PASSED", e="PASSED")) == ChangedTests(
        ("tests/t.py::c",), ("tests/t.py::a",)
    )
    assert change(before, log(a="PASSED", b="PASSED", new="FAILED", e="XFAIL")).broken == ("tests/t.py::new",)
    for gone in (log(a="PASSED"), ""):
        assert change(before, gone).broken[-1] == GONE
    # One that is gone is not made up for by one that is fixed.
    assert change(before, log(a="PASSED", c="PASSED", e="PASSED")) == ChangedTests(
        ("tests/t.py::c",), (GONE,)
    )


def test_tests_that_tell_nothing_are_not_counted() -> None:
    assert baseline("") == baseline(log(a="FAILED")) == Baseline(why="no test of the repository's own passes")
    many = "".join(f"FAILED tests/t.py::t{number}\n" for number in range(MOST_FAILING + 1)) + log(a="PASSED")
    assert baseline(many).passing == 0 and "1,001" in baseline(many).why


@pytest.mark.parametrize(
    "line",
    [
        "PASSED a::b\n",
        "Traceback (most recent call last):\n",
        '  File "a", line 1, in f\n',
        '  File "',
        "a.",
        "FAILED " * 9,
        "A" * 99,
    ],
)
def test_reading_takes_time_linear_in_the_length(slope: Callable[..., float], line: str) -> None:
    def work(text: str) -> None:
        failure(text, "/w", NAME), came_out(text, [NAME]), change(Baseline(), text)

    sizes = (1 << 14, 1 << 16, 1 << 18, 1 << 20)
    assert slope(work, lambda size: line * (size // len(line)), sizes) <= 1.2

"""A checkout in QuixBugs' form becomes rows whose tests tell the bug from the correct program."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
LONGEST_S = 240.0
HALVED = "def halved(n):\n    while n % 2 == {}:\n        n {}\n    return n\n"
LOUDER = "def louder(text):\n    return text.upper(){}\n"
ABOUT = '\n\n"""\n{}\n\n\n{}\n"""\n'
TEST = """\
import pytest
from load_testdata import load_json_testcases
from python_programs.{0} import {0}


@pytest.mark.parametrize("input_data,expected", load_json_testcases("{0}"))
def test_{0}(input_data, expected):
    assert {0}(*input_data) == expected
"""
SEEN = """\
from python_programs.seen import seen


def test1():
    \"\"\"Case 1: one word\"\"\"
    assert seen("a")


def test2():
    assert not seen("")
"""
LOADER = """\
import json
from pathlib import Path


def load_json_testcases(name):
    path = Path(__file__).parent / f"../json_testcases/{name}.json"
    return [json.loads(line) for line in path.read_text().splitlines()]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Programs of our own: one loops for ever, one has cases whose names are cut at blanks, one has no data."""
    files = {
        "conftest.py": "",
        "python_programs/node.py": "class Node:\n    pass\n",
        "python_programs/halved.py": HALVED.format(0, "*= 2") + ABOUT.format("Halved", "Halve while even.  "),
        "correct_python_programs/halved.py": "\n" + HALVED.format(0, "//= 2"),
        "python_programs/louder.py": LOUDER.format(".strip()") + ABOUT.format("Louder", "In capitals."),
        "correct_python_programs/louder.py": LOUDER.format("") + '\n"""\nAnother way.\n"""\n',
        "python_programs/seen.py": "def seen(text):\n    return text is None\n",
        "correct_python_programs/seen.py": "def seen(text):\n    return bool(text)\n",
        "python_programs/untested.py": "",
        "python_testcases/load_testdata.py": LOADER,
        "python_testcases/test_halved.py": TEST.format("halved"),
        "python_testcases/test_louder.py": TEST.format("louder"),
        "python_testcases/test_seen.py": SEEN,
        "json_testcases/halved.json": "[[3], 3]\n[[12], 3]\n",
        "json_testcases/louder.json": '[["a"], "A"]\n[["b "], "B "]\n[["c d"], "C D"]\n[["c d "], "C D "]\n',
    }
    for name, text in files.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "checkout"


def test_rows_tell_the_bug_from_the_correct_program(checkout: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, BENCH / "quixbugs.py", checkout, out, "--env", "local", "--no-run"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| the base commit: resolved, by surefoot | 0 |" in done.stdout
    assert "| the correct program: resolved, by surefoot | 3 |" in done.stdout
    rows = [json.loads(line) for line in (out / "instances.jsonl").read_text().splitlines()]
    halved, louder, seen = rows
    assert halved["FAIL_TO_PASS"] == ["python_testcases/test_halved.py::test_halved[input_data1-3]"]
    assert halved["PASS_TO_PASS"] == ["python_testcases/test_halved.py::test_halved[input_data0-3]"]
    assert "`halved(12)` should give `3`" in halved["problem_statement"]
    assert halved["problem_statement"].endswith("Halved\n\n\nHalve while even.\n")
    # "B " is cut to "B"; "C D" and "C D " have different numbers.
    test = "python_testcases/test_louder.py::test_louder"
    assert louder["FAIL_TO_PASS"] == [f"{test}[input_data1-B", f"{test}[input_data3-C"]
    assert louder["PASS_TO_PASS"] == [f"{test}[input_data0-A]", f"{test}[input_data2-C"]
    assert "Case 1: one word" in seen["problem_statement"] and "Another way" not in louder["patch"]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, BENCH / "quixbugs.py", tmp_path, tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.returncode == 1 and "is no checkout of QuixBugs" in done.stderr

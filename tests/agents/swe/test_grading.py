"""Grades: the official rules, stated here, on logs that pytest really prints."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot.agents.swe.grading import PatchGrade, grade, read_log, run_tests
from surefoot.agents.swe.instances import Instance
from surefoot.agents.swe.repository import prepare_for_tests
from surefoot.errors import BadInput
from surefoot.tests.agents.swe.places import LocalPlace, Repo
from surefoot.tests.agents.swe.test_repository import FIX, TEST_PATCH

PYTEST = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -rA -p no:cacheprovider tests"


def instance(**more: Any) -> Instance:
    given: dict[str, Any] = {
        "fail_to_pass": ("tests/test_a.py::test_new",),
        "pass_to_pass": ("tests/test_a.py::test_old",),
    }
    return Instance(
        instance_id="a", repo="r", base_commit="0" * 40, problem_statement="x", **{**given, **more}
    )


def log(*lines: str, code: int | None = 0) -> str:
    end = ">>>>> Tests Timed Out" if code is None else f">>>>> Test Exit Code: {code}"
    return "\n".join([">>>>> Start Test Output", *lines, ">>>>> End Test Output", end, ""])


def by_rules(text: str, **more: Any) -> PatchGrade:
    return grade(instance(**more), text, grader="surefoot")


NEW, OLD = "tests/test_a.py::test_new", "tests/test_a.py::test_old"
LOGS = {
    "both pass": (log(f"PASSED {NEW}", f"PASSED {OLD}"), True, True),
    "an expected failure passes": (log(f"XFAIL {NEW}", f"XFAIL {OLD} - why"), True, True),
    "the new one fails": (log(f"FAILED {NEW} - assert 0", f"PASSED {OLD}", code=1), True, False),
    "the old one fails": (log(f"PASSED {NEW}", f"FAILED {OLD}", code=1), True, False),
    "the new one is absent": (log(f"PASSED {OLD}"), True, False),
    "the old one is absent": (log(f"PASSED {NEW}", "SKIPPED [1] tests/test_a.py:4: why"), True, False),
    "the old one is skipped by name": (log(f"PASSED {NEW}", f"SKIPPED {OLD}"), True, True),
    "the new one is skipped by name": (log(f"SKIPPED {NEW}", f"PASSED {OLD}"), True, False),
    "an unexpected pass": (log(f"XPASS {NEW}", f"PASSED {OLD}"), True, False),
    "the last line counts": (
        log(f"FAILED {NEW}", f"PASSED {NEW}", f"PASSED {OLD}", "ERROR x", code=1),
        True,
        True,
    ),
    "nothing but an exit code": (log(f"PASSED {NEW}", f"PASSED {OLD}", code=2), False, False),
    "nothing ran": (log("no tests ran in 0.01s", code=5), False, False),
    "time was up": (log(f"PASSED {NEW}", f"PASSED {OLD}", code=None), False, False),
    "no marks": (f"PASSED {NEW}\nPASSED {OLD}\n", False, False),
    "carriage returns": (log(f"PASSED {NEW}", f"PASSED {OLD}").replace("\n", "\r\n"), True, True),
    "nothing": ("", False, False),
}


@pytest.mark.parametrize(("text", "readable", "resolved"), LOGS.values(), ids=LOGS)
def test_the_official_rules(text: str, readable: bool, resolved: bool) -> None:
    found = by_rules(text)
    assert (found.readable, found.resolved, found.grader) == (readable, resolved, "surefoot")
    lists = zip(
        (found.fail_to_pass, found.pass_to_pass),
        (instance().fail_to_pass, instance().pass_to_pass),
        strict=True,
    )
    assert all({*kept.passed, *kept.failed} == set(names) for kept, names in lists)


def test_a_gold_name_that_is_cut_off_stands_for_those_that_begin_with_it() -> None:
    cut = {"fail_to_pass": ("t.py::a[x",), "pass_to_pass": ()}
    assert by_rules(log("PASSED t.py::a[x-1]", "PASSED t.py::a[x-2]"), **cut).resolved
    assert not by_rules(log("PASSED t.py::a[x-1]", "FAILED t.py::a[x-2]", code=1), **cut).resolved
    assert not by_rules(log("PASSED t.py::b[x-1]"), **cut).resolved
    assert not by_rules(log("PASSED t.py::ax"), fail_to_pass=("t.py::a",), pass_to_pass=()).resolved


def test_what_deceives_the_rules_is_warned_of() -> None:
    subtest = by_rules(
        log(f"SUBFAILED[i=1] {NEW} - assert 0", f"PASSED {NEW}", f"PASSED {OLD}", "FAILED x - y", code=1)
    )
    assert subtest.resolved and "one of its subtests failed" in subtest.warnings[0]
    (skipped,) = by_rules(LOGS["the old one is absent"][0]).warnings
    assert "may have been skipped" in skipped
    (code,) = by_rules(LOGS["nothing but an exit code"][0]).warnings
    assert "ended with 2 and none failed" in code
    (odd,) = by_rules(log(f"ERROR: {NEW}", f"PASSED {OLD}")).warnings
    assert (
        "has a state that is none" in odd and by_rules(log(f"ERROR: {NEW}", f"PASSED {OLD}")).resolved
    )  # as the official rules have it
    assert by_rules(LOGS["both pass"][0]).warnings == ()


def test_what_cannot_be_graded_is_said() -> None:
    with pytest.raises(BadInput, match="no FAIL_TO_PASS"):
        by_rules(log(), fail_to_pass=())
    with pytest.raises(BadInput, match=r"parse_log_django.*pip install"):
        by_rules(log(), log_parser="parse_log_django")


def test_without_the_official_harness_the_rules_here_grade() -> None:
    try:
        import swebench  # noqa: F401
    except ImportError:
        assert grade(instance(), LOGS["both pass"][0]).grader == "surefoot"
        with pytest.raises(BadInput, match=r"pip install 'surefoot\[swe\]'"):
            grade(instance(), "", grader="swebench")
    else:
        official = grade(instance(), LOGS["both pass"][0])
        assert official.grader.startswith("swebench 5") and official._replace(grader="surefoot") == by_rules(
            LOGS["both pass"][0]
        )


TESTS = """
import unittest, pytest

def test_pass(): pass
def test_fail(): assert 0, "why - not"
@pytest.fixture
def broken(): raise ValueError
def test_error(broken): pass
@pytest.mark.skip
def test_skip(): pass
@pytest.mark.xfail
def test_xfail(): assert 0
@pytest.mark.xfail
def test_xpass(): pass
@pytest.mark.parametrize("x", ["a b", "[", "c"])
def test_many(x): pass
def test_forged():
    print("\\n>>>>> End Test Output\\n>>>>> Test Exit Code: 0\\nPASSED tests/test_a.py::test_printed")
class Case(unittest.TestCase):
    def test_subtests(self):
        for i in range(2):
            with self.subTest(i=i):
                self.assertEqual(i, 0)
"""


def test_what_pytest_really_prints(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text(TESTS)
    text = asyncio.run(run_tests(instance(test_command=PYTEST), LocalPlace(tmp_path)))
    states = read_log(text)
    assert states is not None
    names = {
        name.rpartition("::")[2]: state
        for name, state in states.items()
        if name.startswith("tests/test_a.py::")
    }
    subtests = {key: names.pop(key) for key in list(names) if key == "test_subtests"}
    assert subtests in (
        {"test_subtests": "FAILED"},
        {"test_subtests": "PASSED"},
    )  # of pytest 9 and before: see the warning
    assert names == {
        "test_pass": "PASSED",
        "test_fail": "FAILED",
        "test_error": "ERROR",
        "test_xfail": "XFAIL",
        "test_many[a": "PASSED",
        "test_many[[]": "PASSED",
        "test_many[c]": "PASSED",
        "test_forged": "PASSED",
        "test_printed": "PASSED",  # whoever runs in the tests' process can print; the exit code is what tells
    }


@pytest.mark.parametrize(("patch", "resolved"), [(FIX, True), ("", False)])
def test_an_instance_from_its_row_to_its_grade(
    repo: Repo, tmp_path: Path, patch: str, resolved: bool
) -> None:
    one = Instance(
        instance_id="r__r-1",
        repo="r/r",
        base_commit=repo.base,
        problem_statement="x",
        fail_to_pass=("tests/test_sums.py::test_one_more",),
        pass_to_pass=("tests/test_sums.py::test_zero",),
        test_patch=TEST_PATCH.replace("test_one", "test_one_more")
        .replace("add(1, 0)", "add(1, 1) - 1")
        .replace("\n\n def", "\n \n def"),
        setup_commands=("touch set_up",),
        test_command=f"test -e set_up && PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -rA -p no:cacheprovider tests",
    )
    asyncio.run(prepare_for_tests(one, patch, repo.path, tmp_path / "w"))
    found = grade(one, asyncio.run(run_tests(one, LocalPlace(tmp_path / "w"))), grader="surefoot")
    assert (found.resolved, found.readable) == (resolved, True)
    assert found.pass_to_pass.passed == one.pass_to_pass


def test_set_up_that_fails_and_tests_that_never_end_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"set-up command 'echo no; exit 3' of instance 'a' ended with 3: 'no"):
        asyncio.run(run_tests(instance(setup_commands=("echo no; exit 3",)), LocalPlace(tmp_path)))
    text = asyncio.run(run_tests(instance(test_command="sleep 60"), LocalPlace(tmp_path), timeout_s=0.2))
    assert ">>>>> Tests Timed Out" in text and not by_rules(text).readable


@pytest.mark.parametrize("line", ["PASSED t.py::a[{0}]\n", "1", "SUBFAILED[x] t.py::{0}\n"])
def test_grading_takes_time_linear_in_the_log(slope: Callable[..., float], line: str) -> None:
    cut = instance(pass_to_pass=tuple(f"t.py::a[{number}" for number in range(50)))

    def made(size: int) -> str:
        return log("".join(line.format(number) for number in range(size // len(line))))

    assert slope(lambda text: grade(cut, text, grader="surefoot"), made) <= 1.1


def test_a_grade_can_be_written_out() -> None:
    assert json.loads(json.dumps(by_rules(LOGS["both pass"][0])._asdict()))["resolved"] is True

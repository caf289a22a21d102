"""Whether a patch resolves its instance: the tests run in an environment, the output graded by the official rules.

Where the official harness is installed (`pip install 'surefoot[swe]'`, swebench 5) its own report function grades.  Else
the same rules do as they are stated here (swebench 5.0.2, harness/grading.py and log_parsers/python.py), for pytest only:

- A test's state is the first word of a line that begins with PASSED, FAILED, ERROR, SKIPPED or XFAIL, its name the second:
  names are cut at the first blank.  The last such line of a name counts.
- PASSED and XFAIL pass.  SKIPPED fails a FAIL_TO_PASS test and passes a PASS_TO_PASS test; but pytest's summary names no
  skipped test, only a place.  XPASS is no state.  A test that is not in the log fails.
- A gold name with a bracket that is not closed stands for the names that begin with it, if they agree.
- An exit code other than 0 without a test that failed, or a log without a test, is a run that says nothing.
"""

import re
import tempfile
from bisect import bisect_left, bisect_right
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from surefoot.errors import BadInput
from surefoot.tools.environments.environment import Environment

from .instances import Instance

START, END = ">>>>> Start Test Output", ">>>>> End Test Output"
EXIT_CODE, TIMED_OUT = ">>>>> Test Exit Code", ">>>>> Tests Timed Out"
BAD = (">>>>> Patch Apply Failed", ">>>>> Reset Failed", ">>>>> Tests Errored", TIMED_OUT)
STATES = ("FAILED", "PASSED", "SKIPPED", "ERROR", "XFAIL")
PASSING = ("PASSED", "XFAIL")
EXITED = re.compile(rf"{re.escape(EXIT_CODE)}:\s*(-?\d{{1,20}})")
RAN = re.compile(
    r"Executed [1-9]\d* of \d+|TOTAL: [1-9]\d* (?:SUCCESS|FAILED)|[1-9]\d{0,20} passing|Tests:\s+[1-9]"
    r"|Test Suites:\s+(?:\d+ \w+, )*[1-9]\d* total|^# tests [1-9]|[1-9]\d{0,20} specs?, \d+ failures?|': ok$",
    re.MULTILINE,
)
"""That a runner of tests ran, though no test is named."""
SKIP_COUNT = re.compile(r"\[\d+\]")
LAST = "\U0010ffff"
"""No name goes on with it, so all that begin with a name are sorted before the name and this."""
LONGEST_S = 1800.0
"""Of a run of tests, as in the official harness."""
Grader = Literal["auto", "swebench", "surefoot"]


class ListOutcome(NamedTuple):
    """One of an instance's two lists of tests, as they came out."""

    passed: tuple[str, ...]
    failed: tuple[str, ...]


class PatchGrade(NamedTuple):
    """What a log of tests says of a patch."""

    resolved: bool
    readable: bool
    """Whether the log tells of a run; if not, nothing passed, and the official report calls the patch not applied."""
    fail_to_pass: ListOutcome
    pass_to_pass: ListOutcome
    grader: str
    """`swebench` and its version, or `surefoot`."""
    warnings: tuple[str, ...] = ()
    """What in the log makes the grade worth a look; they change nothing."""


async def run_tests(instance: Instance, environment: Environment, *, timeout_s: float = LONGEST_S) -> str:
    """Run an instance's set-up and test commands in a started environment and return the log in the official form.

    The workspace has to hold the patch and the tests already (`prepare_for_tests`).  Raises `BadInput` if a set-up command
    fails or there is no test command.
    """
    command = instance.tests
    await set_up(instance, environment, timeout_s=timeout_s)
    ran = await environment.execute(command, timeout_s=timeout_s)
    left_out = f"\n[{ran.left_out} bytes left out]" if ran.left_out else ""
    # What the tests print is no word of the harness: a mark in it would end the part that is read, or forge the exit code.
    output = ran.output.replace(">>>>> ", ">>>> > ")
    end = TIMED_OUT if ran.code is None else f"{EXIT_CODE}: {ran.code}"
    return f"{START}\n{output}{left_out}\n{END}\n{end}\n"


async def set_up(instance: Instance, environment: Environment, *, timeout_s: float = LONGEST_S) -> None:
    """Run an instance's set-up commands; raises `BadInput` with the end of the output of the first that fails."""
    for command in instance.setup_commands:
        ran = await environment.execute(command, timeout_s=timeout_s)
        if ran.code != 0:
            why = f"took over {timeout_s:.0f} s" if ran.code is None else f"ended with {ran.code}"
            raise BadInput(
                f"set-up command {command[:200]!r} of instance {instance.instance_id!r} {why}: {ran.output[-300:]!r}"
            )


def grade(instance: Instance, log: str, *, grader: Grader = "auto") -> PatchGrade:
    """Grade a log that has the official form, as `run_tests` returns it; importing swebench takes seconds.

    Raises `BadInput` if swebench is asked for and not installed, or needed: for a log that is not pytest's.
    """
    if not instance.fail_to_pass:
        raise BadInput(
            f"instance {instance.instance_id!r} has no FAIL_TO_PASS tests: nothing says whether it is resolved"
        )
    installed = find_spec("swebench") is not None
    if grader == "swebench" and not installed:
        raise BadInput("swebench is not installed: pip install 'surefoot[swe]', or let surefoot grade")
    # As the official harness reads a file: every line end is one.
    log = log.replace("\r\n", "\n").replace("\r", "\n")
    if grader != "surefoot" and installed:
        return _officially(instance, log)
    if instance.log_parser != "parse_log_pytest":
        raise BadInput(
            f"instance {instance.instance_id!r} needs the log parser {instance.log_parser!r}, which the official harness has: "
            "pip install 'surefoot[swe]'"
        )
    states = read_log(log)
    if states is None:
        return _unreadable(instance, log, "surefoot")
    fail_to_pass = _split(instance.fail_to_pass, states, ())
    pass_to_pass = _split(instance.pass_to_pass, states, ("SKIPPED",))
    resolved = not fail_to_pass.failed and not pass_to_pass.failed
    return PatchGrade(resolved, True, fail_to_pass, pass_to_pass, "surefoot", warnings(instance, log))


def read_log(log: str) -> dict[str, str] | None:
    """Return the states of the tests of a log in the official form, by name; None if it says nothing of a run."""
    if any(bad in log for bad in BAD) or START not in log or END not in log:
        return None
    states = states_of(log.split(START)[1].split(END)[0]) or states_of(log)
    if not states and not RAN.search(log):
        return None
    exited = EXITED.search(log)
    failed = any(state in ("FAILED", "ERROR") for state in states.values())
    return None if exited and int(exited[1]) and states and not failed else states


def warnings(instance: Instance, log: str) -> tuple[str, ...]:
    """Return, a sentence each, what in a log is known to deceive the official rules."""
    found = []
    states = states_of(log)
    subtests = {name for name in _names(log, "SUBFAIL") if states.get(name) == "PASSED"}
    if subtests:
        found.append(f"{_some(subtests)} counts as passed though one of its subtests failed.")
    skipped = "\nSKIPPED [" in log
    expected = instance.pass_to_pass
    absent = [name for name, key in zip(expected, _keys(expected, states), strict=True) if key is None]
    if absent and skipped:
        found.append(f"{_some(absent)} is not in the log and so counts as failed; it may have been skipped.")
    exited = EXITED.search(log)
    if exited and int(exited[1]) and states and not {"FAILED", "ERROR"} & set(states.values()):
        found.append(
            f"The tests ended with {exited[1]} and none failed: the official report calls the patch not applied."
        )
    expected = instance.fail_to_pass + instance.pass_to_pass
    keys = zip(expected, _keys(expected, states), strict=True)
    odd = [name for name, key in keys if key is not None and states[key] not in STATES]
    if odd:
        found.append(f"{_some(odd)} has a state that is none, and so is left out of the count.")
    if " bytes left out]\n" in log:
        found.append("The tests printed more than is kept, so some states may be missing.")
    return tuple(found)


def _officially(instance: Instance, log: str) -> PatchGrade:
    from swebench.harness.grading import get_eval_report
    from swebench.harness.log_parsers import PARSER_REGISTRY
    from swebench.types import TestSpec

    if instance.log_parser not in PARSER_REGISTRY:
        raise BadInput(
            f"instance {instance.instance_id!r}: swebench has no log parser {instance.log_parser!r}"
        )
    spec = TestSpec(
        instance_id=instance.instance_id,
        image=instance.image,
        eval_script_list=[],
        repo=instance.repo,
        version="",
        FAIL_TO_PASS=list(instance.fail_to_pass),
        PASS_TO_PASS=list(instance.pass_to_pass),
        log_parser=instance.log_parser,
        eval_type="pass_and_fail",
    )
    prediction = {
        "instance_id": instance.instance_id,
        "model_name_or_path": "",
        "model_patch": "there is one",
    }
    with tempfile.TemporaryDirectory(prefix="surefoot-log-") as folder:
        file = Path(folder) / "test_output.txt"
        file.write_text(log, encoding="utf-8", errors="replace")
        report: dict[str, Any] = get_eval_report(spec, prediction, str(file), include_tests_status=True)
    told = report[instance.instance_id]
    grader = f"swebench {_version()}"
    if not told["patch_successfully_applied"]:
        return _unreadable(instance, log, grader)
    lists = [
        ListOutcome(
            tuple(told["tests_status"][name]["success"]), tuple(told["tests_status"][name]["failure"])
        )
        for name in ("FAIL_TO_PASS", "PASS_TO_PASS")
    ]
    return PatchGrade(told["resolved"], True, lists[0], lists[1], grader, warnings(instance, log))


def _version() -> str:
    try:
        return version("swebench")
    except PackageNotFoundError:
        return "of unknown version"


def _unreadable(instance: Instance, log: str, grader: str) -> PatchGrade:
    nothing = ListOutcome((), instance.fail_to_pass), ListOutcome((), instance.pass_to_pass)
    return PatchGrade(False, False, *nothing, grader, warnings(instance, log))


def states_of(log: str) -> dict[str, str]:
    """Return the states of the tests that pytest's summary names, by name, whatever else a text holds."""
    states = {}
    for line in log.split("\n"):
        if not line.startswith(STATES):
            continue
        words = (line.replace(" - ", " ") if line.startswith("FAILED") else line).split(maxsplit=2)
        if len(words) > 1 and not (words[0] == "SKIPPED" and SKIP_COUNT.fullmatch(words[1])):
            states[words[1]] = words[0]
    return states


def _names(log: str, state: str) -> set[str]:
    """Return the names of a state that no rule knows: pytest's `SUBFAILED[message] NAME - ...`."""
    lines = (line for line in log.split("\n") if line.startswith(state))
    return {word for line in lines for word in line.split() if "::" in word}


def _keys(names: tuple[str, ...], states: dict[str, str]) -> list[str | None]:
    """Return the name in the log that each gold name stands for."""
    order = {key: number for number, key in enumerate(states)}
    by_name = sorted(states)

    def key_of(name: str) -> str | None:
        if name in states or name.count("[") <= name.count("]"):
            return name if name in states else None
        begun = by_name[bisect_left(by_name, name) : bisect_right(by_name, name + LAST)]
        agree = len({states[key] in PASSING for key in begun}) == 1
        return min(begun, key=order.__getitem__) if agree else None

    return [key_of(name) for name in names]


def _split(names: tuple[str, ...], states: dict[str, str], also: tuple[str, ...]) -> ListOutcome:
    passed, failed = [], []
    for name, key in zip(names, _keys(names, states), strict=True):
        state = "ERROR" if key is None else states[key]
        if state in PASSING or state in also:
            passed.append(name)
        elif state in STATES:
            failed.append(name)
        # Any other word, "ERROR:" say, is in neither list, and the official harness counts neither.
    return ListOutcome(tuple(passed), tuple(failed))


def _some(names: set[str] | list[str]) -> str:
    first = min(names)
    return f"Test {first[:120]!r}" + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")

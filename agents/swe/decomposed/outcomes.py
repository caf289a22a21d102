"""How tests come out, and in which way one fails: read from what pytest prints, in one pass."""

import posixpath
import re
from collections.abc import Collection, Sequence

from surefoot.agents.swe.grading import PASSING, states_of

from .state import Baseline, ChangedTests, Defect

FRAME = re.compile(r'  File "([^"\n]{1,4096})", line \d{1,9}, in (\S{1,200})')
TRACEBACK = "\nTraceback (most recent call last):\n"
RAISED = re.compile(r"([^\W\d][\w.]{0,199})(?::|$)")
MOST_FAILING = 1_000
"""Tests that may fail before anything is changed; if more do, the repository's own tests tell nothing."""
TIMEOUT = "timeout"
GONE = "tests that are gone"


def baseline(log: str) -> Baseline:
    """Return how the tests come out on the base."""
    states = states_of(log)
    failing = sorted(name for name, state in states.items() if state in ("FAILED", "ERROR"))
    passing = sum(state in PASSING for state in states.values())
    if not passing:
        return Baseline(why="no test of the repository's own passes")
    if len(failing) > MOST_FAILING:
        return Baseline(why=f"{len(failing):,} tests of the repository's own fail before anything is changed")
    return Baseline(tuple(failing), passing)


def change(before: Baseline, log: str) -> ChangedTests:
    """Return which of the repository's own tests come out otherwise than on the base."""
    states = states_of(log)
    passed = {name for name, state in states.items() if state in PASSING}
    known = set(before.failing)
    broken = {name for name, state in states.items() if state in ("FAILED", "ERROR")} - known
    # Only their number is known of those that passed: there may be ten thousands of them.
    gone = before.passing - len(passed - known) - len(broken)
    return ChangedTests(tuple(sorted(passed & known)), (*sorted(broken), *[GONE] * (gone > 0)))


def came_out(log: str, names: Sequence[str]) -> dict[str, str]:
    """Return `passed`, `failed`, `broken` (it does not load, or cannot be set up) or "" (it did not run) for test files, by their names without folders."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for test, state in states_of(log).items():
        name = posixpath.basename(test.partition("::")[0])
        if name in found:
            found[name].add("passed" if state in PASSING else "failed" if state == "FAILED" else "broken")
    order = ("broken", "failed", "passed")
    return {name: next((word for word in order if word in states), "") for name, states in found.items()}


def failure(output: str, workspace: str, test: str) -> Defect:
    """Return how a test failed, from the last native traceback that pytest printed of it; `test` is its file's name."""
    lines = output.rpartition(TRACEBACK)[2].split("\n")
    place, kind, framed = "", "", False
    for line in lines:
        if frame := FRAME.match(line):
            place, framed = _place(frame[1], frame[2], workspace, test) or place, True
        elif framed and line[:1].strip() and (raised := RAISED.match(line)):
            kind = raised[1].rpartition(".")[2]
            break
    return Defect(kind or "unknown", place)


def _place(path: str, function: str, workspace: str, test: str) -> str:
    """Return a place in the repository's code; "" for the test itself and what others wrote."""
    inside = path.removeprefix(workspace.rstrip("/") + "/")
    if inside == path or "site-packages/" in inside or posixpath.basename(inside) == test:
        return ""
    return f"{inside}::{function}"


def some(names: Collection[str]) -> str:
    """Name a few tests in a sentence."""
    first = ", ".join(sorted(names)[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3:,} more"

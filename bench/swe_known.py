"""What a double may answer about the repositories of bench/swe: right and wrong tests and patches, each found out to be what it is called."""

import ast
import difflib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import swe_set

from surefoot.agents.swe import Instance
from surefoot.agents.swe.decomposed.reading import read_edits
from surefoot.agents.swe.decomposed.sources import definitions, enclosing
from surefoot.agents.swe.decomposed.workspace import PatchFails, replaced
from surefoot.agents.swe.grading import states_of
from surefoot.models.doubles import Repair
from surefoot.voting.flags import NotAnAnswer

COMMAND = f"{swe_set.ALONE} {sys.executable} -m pytest -rA -p no:cacheprovider -q"
MOST_WRONG = 8
"""Wrong patches of a repository."""
MOST_TRIED = 30
TIMEOUT_S = 60.0
SWAPS = (
    ("==", "!="), ("!=", "=="), ("<=", "<"), (">=", ">"), (" < ", " <= "), (" > ", " >= "), (" + ", " - "), (" - ", " + "),
    (" and ", " or "), (" or ", " and "), (" not ", " "), ("True", "False"), ("False", "True"), ("None", "0"), ("min(", "max("),
    ("max(", "min("), ("_UP", "_DOWN"), (" in ", " not in "), ("[0]", "[-1]"), ("[-1]", "[0]"), (" 0", " 1"), (" 1", " 2"),
    ("(1", "(0"), ("(0", "(1"), ("if ", "if not "), ("list(", "reversed("), ("sorted(", "list("), ("return ", "return not "),
)  # fmt: skip
"""What turns a line into a wrong one."""


class Hunk(NamedTuple):
    """Lines of a file, and what the fix makes of them."""

    path: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    at: int
    """The first line that changes, from 1."""
    changed: tuple[int, ...]
    """Which of the new lines are not among the old ones."""


def repair_of(instance: Instance, source: Path, room: Path) -> Repair:
    """Make the answers for one repository in `room`, a new folder; `source` is its folder of the set."""
    before, after = room / "before", room / "after"
    for folder, patches in ((before, ["test.patch"]), (after, ["test.patch", "fix.patch"])):
        shutil.copytree(source / "before", folder)
        swe_set.git(folder, "init", "-q")
        swe_set.git(folder, "apply", *(str(source / patch) for patch in patches))
    hunks = [each for each in hunks_of(before, after) if not each.path.startswith("tests/")]
    right, others = tests_of(instance, before)
    guesses = [wrong for text in right for wrong in off(text)][:8]
    at_first, in_the_end = came_out(before, right + guesses), came_out(after, right + guesses)
    shows = [text for text in right if (at_first[text], in_the_end[text]) == ("failed", "passed")]
    wrong_tests = [text for text in guesses if in_the_end[text] == "failed"] + others[:2]
    wrong = list(wrong_patches(instance, before, hunks))
    if not (shows and wrong_tests and len(wrong) > 2):
        raise SystemExit(
            f"{instance.instance_id}: {len(shows)} tests, {len(wrong_tests)} and {len(wrong)} wrong answers"
        )
    issue = instance.problem_statement.strip().splitlines()[0]
    places = sorted({place(hunk, before) for hunk in hunks})
    return Repair(issue, tuple(places), tuple(shows), blocks(hunks), tuple(wrong_tests), tuple(wrong))


def blocks(hunks: Sequence[Hunk]) -> str:
    """Write a patch as a decomposed run wants it."""
    return "\n".join(
        f"{each.path}\n<<<<<<< SEARCH\n{''.join(each.old)}=======\n{''.join(each.new)}>>>>>>> REPLACE\n"
        for each in hunks
    )


def hunks_of(before: Path, after: Path) -> Iterator[Hunk]:
    """Compare the Python files of two folders."""
    for file in sorted(after.rglob("*.py")):
        path = file.relative_to(after)
        new = file.read_text().splitlines(keepends=True)
        old = (before / path).read_text().splitlines(keepends=True) if (before / path).exists() else []
        compared = difflib.SequenceMatcher(None, old, new, autojunk=False)
        for group in compared.get_grouped_opcodes(4):
            (_, start, _, first, _), (_, _, end, _, last) = group[0], group[-1]
            differing = [each for each in group if each[0] != "equal"]
            changed = tuple(place - first for each in differing for place in range(each[3], each[4]))
            yield Hunk(str(path), tuple(old[start:end]), tuple(new[first:last]), differing[0][1] + 1, changed)


def place(hunk: Hunk, before: Path) -> str:
    """Return where a hunk changes something, as a decomposed run names it."""
    file = before / hunk.path
    if not file.exists():
        return hunk.path
    found = enclosing(hunk.path, hunk.at, hunk.at, definitions(file.read_text()))
    return f"{found.path}::{found.symbol}" if found.symbol else found.path


def wrong_patches(instance: Instance, before: Path, hunks: Sequence[Hunk]) -> Iterator[str]:
    """Yield different patches that load, and that the hidden tests find wrong."""
    seen, found = {blocks(hunks)}, 0
    for patch in mutants(hunks):
        if patch in seen:
            continue
        seen.add(patch)
        if patch and found < MOST_WRONG and len(seen) <= MOST_TRIED and is_wrong(instance, before, patch):
            found += 1
            yield patch


def mutants(hunks: Sequence[Hunk]) -> Iterator[str]:
    """Yield patches that are like the fix and are not it: a hunk left out, something turned round in a line, a line left out."""
    for number in range(len(hunks)):
        yield blocks([each for other, each in enumerate(hunks) if other != number])
    for old, new in SWAPS:
        for number, hunk in enumerate(hunks):
            for at in dict.fromkeys((*hunk.changed, *range(len(hunk.new)))):
                if old in (line := hunk.new[at]) and '"""' not in line:
                    lines = (*hunk.new[:at], line.replace(old, new, 1), *hunk.new[at + 1 :])
                    yield blocks([*hunks[:number], hunk._replace(new=lines), *hunks[number + 1 :]])
    for number, hunk in enumerate(hunks):
        for at in hunk.changed:
            lines = hunk.new[:at] + hunk.new[at + 1 :]
            yield blocks([*hunks[:number], hunk._replace(new=lines), *hunks[number + 1 :]])


def is_wrong(instance: Instance, before: Path, patch: str) -> bool:
    """Say whether a patch applies, loads, ends, and does not resolve the instance."""
    kept: dict[Path, str | None] = {}
    try:
        for edit in read_edits(patch).edits:
            file = before / edit.path
            text = file.read_text() if file.exists() else None
            kept.setdefault(file, text)
            ast.parse(changed := replaced(text, edit))
            file.write_text(changed)
        states = states_of(ran(before))
    except (NotAnAnswer, PatchFails, SyntaxError, subprocess.TimeoutExpired):
        return False
    finally:
        for file, text in kept.items():
            file.unlink(missing_ok=True) if text is None else file.write_text(text)
    return any(states.get(name) != "PASSED" for name in (*instance.fail_to_pass, *instance.pass_to_pass))


def tests_of(instance: Instance, folder: Path) -> tuple[list[str], list[str]]:
    """Return the tests that show the issue and the others, each as the one test of a file of its own."""
    names = {name.partition("[")[0] for name in instance.fail_to_pass}
    right: list[str] = []
    others: list[str] = []
    for file in sorted((folder / "tests").glob("test_*.py")):
        for name, text in single_tests(file):
            (right if f"tests/{file.name}::{name}" in names else others).append(text)
    return right, others


def single_tests(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the tests of a file by their names."""
    tree = ast.parse(file.read_text())
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test")]
    for test in tests:
        name, test.name = test.name, "test_issue"
        body = [node for node in tree.body if node not in tests or node is test]
        yield name, ast.unparse(ast.Module(body, [])) + "\n"
        test.name = name


def off(test: str) -> Iterator[str]:
    """Yield tests that expect something else."""
    tree = ast.parse(test)
    asserted = [node.test for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    compared = [node.comparators[-1] for node in asserted if isinstance(node, ast.Compare)]
    for constant in (each for node in compared for each in ast.walk(node)):
        if isinstance(constant, ast.Constant) and isinstance(value := constant.value, str | int | float):
            constant.value = (
                f"{value}!" if isinstance(value, str) else not value if isinstance(value, bool) else value + 1
            )
            yield ast.unparse(tree) + "\n"
            constant.value = value


def came_out(folder: Path, texts: Sequence[str]) -> dict[str, str]:
    """Run tests, each a file, and say how they come out."""
    files = [folder / "tests" / f"test_alone_{number}.py" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    printed = ran(folder)
    found = {}
    for file, text in zip(files, texts, strict=True):
        file.unlink()
        states = set(re.findall(rf"^(PASSED|FAILED|ERROR) tests/{file.name}", printed, re.MULTILINE))
        found[text] = "passed" if states == {"PASSED"} else "failed" if "FAILED" in states else "broken"
    return found


def ran(folder: Path) -> str:
    """Run the tests of a folder and return what they print."""
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        f"{COMMAND} tests",
        shell=True,
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return done.stdout

"""The double that knows the fixes makes each of them with the real tools, and the tests of the set say that it is right."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from surefoot.agents.swe.grading import grade, run_tests
from surefoot.agents.swe.instances import Instance, read_instances
from surefoot.agents.swe.patches import CheckedPatch, check_patch
from surefoot.agents.swe.repository import find_repository, prepare_for_tests, prepare_workspace
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message
from surefoot.models.doubles import Scripted, issue_worker, read_fixes
from surefoot.models.doubles.issue_workers import NOTES
from surefoot.models.offers import read_calls, write_calls
from surefoot.tools.checking import checked_call
from surefoot.tools.environments import Bubblewrap, Environment, Local
from surefoot.tools.tool import Observed
from surefoot.tools.workspace import edit_file, read_file, search, shell, submit, write_file

BENCH = Path(__file__).parents[2] / "bench"
NAMES = sorted(path.name for path in (BENCH / "swe").iterdir() if path.is_dir())
TOOLS = {
    tool.name: tool
    for tool in (replace(shell, name="bash"), read_file, edit_file, write_file, search, submit)
}
PLACES: dict[str, Callable[[Path], Environment]] = {
    "local": lambda folder: Local(folder, trusted=True),
    "bubblewrap": Bubblewrap,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set") / "out"
    subprocess.run(
        [sys.executable, str(BENCH / "swe_set.py"), str(out)], check=True, timeout=240, capture_output=True
    )
    return out


@pytest.fixture(scope="module")
def fixer(made: Path) -> Scripted:
    """It runs no tests: they are run once more for the grade, and take most of the time."""
    fixes = read_fixes(made / "instances.jsonl")
    return issue_worker("fixes", {issue: fix._replace(tests="") for issue, fix in fixes.items()})


def instance_of(made: Path, name: str) -> Instance:
    found = {each.repo.removeprefix("surefoot/"): each for each in read_instances(made / "instances.jsonl")}
    return found[name]


async def worked(double: Scripted, issue: str, world: Environment) -> list[list[Observed]]:
    """Let a double work with the tools until one ends the run, and return what it saw, turn by turn."""
    chat = [Message("system", "You repair."), Message("user", issue)]
    seen: list[list[Observed]] = []
    while len(seen) < 12:
        prose, calls = read_calls(double.draw(Ask(tuple(chat), 0.0, 4096, 0)).text)
        assert calls, prose
        chat.append(Message("assistant", write_calls(prose, calls)))
        seen.append([])
        for call in calls:
            tool = TOOLS[call.name]
            seen[-1].append(await tool.call(checked_call(tool, call.arguments), world))
            chat.append(Message("tool", seen[-1][-1].text))
        if seen[-1][-1].ends:
            return seen
    raise AssertionError(f"no end after {len(seen)} turns")


async def patch_of(instance: Instance, clone: Path, fixer: Scripted, world: Environment) -> CheckedPatch:
    try:
        await world.start()
    except BadInput as error:
        if "namespace" in str(error) or "uid map" in str(error):
            pytest.skip(f"the kernel gives no user namespace here: {error}")
        raise
    try:
        seen = await worked(fixer, instance.problem_statement, world)
        patch = await world.diff()
    finally:
        await world.stop()
    assert 6 <= len(seen) <= 10
    checked = await check_patch(patch, clone, instance.base_commit)
    noted = [line[1:] for line in checked.text.split("\n") if line.startswith("+turn ")]
    # The turns are those of its shell commands, each once and in order.
    assert len(noted) >= 3 and noted == sorted(set(noted)) and noted[0] == "turn 0"
    return checked


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", NAMES)
async def test_each_fix_is_made_with_the_tools(
    made: Path, fixer: Scripted, name: str, where: str, tmp_path: Path
) -> None:
    instance = instance_of(made, name)
    clone = find_repository(made / "repos", instance.repo)
    workspace = tmp_path / "workspace"
    await prepare_workspace(clone, instance.base_commit, workspace)
    checked = await patch_of(instance, clone, fixer, PLACES[where](workspace))
    fix = await check_patch(instance.patch.encode(), clone, instance.base_commit)
    assert set(checked.changes) - set(fix.changes) == {(NOTES, "added")} and not checked.left_out
    assert set(fix.changes) <= set(checked.changes)
    assert all(part in checked.text for part in fix.text.split("diff --git "))
    if where == "local":  # the patches are equal, so are the grades
        await prepare_for_tests(instance, checked.text, clone, tmp_path / "tests")
        place = Local(tmp_path / "tests", trusted=True)
        await place.start()
        found = grade(instance, await run_tests(instance, place), grader="surefoot")
        await place.stop()
        assert found.resolved and not found.warnings


async def test_the_set_is_fixed_in_all_three_ways(made: Path, fixer: Scripted) -> None:
    ways = set()
    for instance in read_instances(made / "instances.jsonl"):
        first = Message("user", instance.problem_statement)
        answers = [
            fixer.draw(Ask((first, *[Message("assistant", "")] * turn), 0.0, 4096, 0)).text
            for turn in range(10)
        ]
        said = "\n".join(answers)
        ways |= {
            word for word in ("git apply <<", "git apply fix.diff", '"name":"edit_file"') if word in said
        }
    assert len(ways) == 3


async def test_it_runs_the_tests_before_and_after(made: Path, tmp_path: Path) -> None:
    instance = instance_of(made, NAMES[0])
    clone = find_repository(made / "repos", instance.repo)
    await prepare_workspace(clone, instance.base_commit, tmp_path / "workspace")
    world = Local(tmp_path / "workspace", trusted=True)
    await world.start()
    double = issue_worker("fixes", read_fixes(made / "instances.jsonl"))
    seen = await worked(double, instance.problem_statement, world)
    await world.stop()
    assert 6 <= len(seen) <= 10
    assert sum(each.text == "the tests ended with 0" for turn in seen for each in turn) == 2


def test_no_two_issues_of_the_set_are_one(made: Path) -> None:
    assert len(read_fixes(made / "instances.jsonl")) == len(NAMES)

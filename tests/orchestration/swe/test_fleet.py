"""Fleets from Python: the choice among attempts, set-up, and what one instance must not do to the others."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from surefoot.agents.swe.instances import read_instances
from surefoot.models.base import Prompt
from surefoot.models.doubles import Scripted
from surefoot.models.doubles.script import turn_of
from surefoot.models.offers import Call, write_calls
from surefoot.orchestration.redis import open_redis
from surefoot.orchestration.swe import Fleet, InstanceResult, SweSettings
from surefoot.orchestration.swe.tests_run import _names_hidden, visible
from surefoot.tests.orchestration.swe.places import Set

SUBMIT = write_calls("", [Call("submit", '{"text": "done"}')])
Says = Callable[[Prompt], str]


def bash(command: str) -> str:
    return write_calls("", [Call("bash", json.dumps({"command": command}))])


def text_of(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[1].content


async def ran(
    issues: Set, out: Path, redis: str, says: Says, **settings: object
) -> dict[str, InstanceResult]:
    given = {"instances": issues.rows, "repos": issues.repos, "model": "double", "environment": "local"}
    fleet = Fleet.begun(out, SweSettings.model_validate(given | settings))
    async with open_redis(redis) as store:
        return await fleet.work(store, Scripted(says), workers=2)


def changed(issues: Set, folder: Path, **fields: object) -> Set:
    """Change the fields of the first row."""
    rows = [json.loads(line) for line in issues.rows.read_text().splitlines()]
    rows[0] |= fields
    path = folder / "changed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Set(path, issues.repos)


async def test_an_attempt_that_breaks_a_test_is_not_chosen(
    issues: Set, redis_of_runs: str, tmp_path: Path
) -> None:
    begun: dict[str, int] = {}

    def says(prompt: Prompt) -> str:
        issue, turn = text_of(prompt), turn_of(prompt)
        begun[issue] = begun.get(issue, 0) + (turn == 0)
        if turn == 1:
            return SUBMIT
        return bash("rm calc.py" if begun[issue] == 1 else "sed -i 's/ + 1//' calc.py")

    found = await ran(issues, tmp_path / "x", redis_of_runs, says, attempts=3)
    for name, result in found.items():
        assert (result.attempts, result.chosen.attempt, result.resolved) == (2, 2, True)
        first = json.loads((tmp_path / "x/instances" / name / "attempt-1/result.json").read_text())
        assert first["exit_status"] == "submitted" and "deleted file" in first["patch"]


async def test_set_up_is_no_change_of_the_agents_and_its_failure_costs_no_turn(
    issues: Set, redis_of_runs: str, tmp_path: Path
) -> None:
    built = changed(issues, tmp_path, setup_commands=["echo built > built.txt"])
    found = await ran(
        built,
        tmp_path / "x",
        redis_of_runs,
        lambda prompt: SUBMIT if turn_of(prompt) else bash("ls > seen.txt"),
    )
    first = found[built.ids[0]]
    assert first.chosen.files == ("seen.txt",)
    assert "+built.txt" in first.chosen.patch
    failing = changed(issues, tmp_path, setup_commands=["echo no such tool >&2; exit 3"])
    asked: list[str] = []

    def says(prompt: Prompt) -> str:
        asked.append(text_of(prompt))
        return SUBMIT

    found = await ran(failing, tmp_path / "y", redis_of_runs, says)
    chosen = found[failing.ids[0]].chosen
    assert (chosen.exit_status, chosen.turns) == ("failed_setup", 0)
    assert "no such tool" in chosen.why
    assert not [text for text in asked if "total_0" in text] and len(asked) == 3


async def test_one_odd_instance_does_not_end_the_others(
    issues: Set, redis_of_runs: str, tmp_path: Path
) -> None:
    odd = changed(issues, tmp_path, problem_statement="It is long. " * 20_000)

    def says(prompt: Prompt) -> str:
        command = "printf x > \"$(printf 'n\\377')\"; sed -i 's/ + 1//' calc.py"
        return SUBMIT if turn_of(prompt) else bash(command)

    found = await ran(odd, tmp_path / "x", redis_of_runs, says)
    statuses = [found[name].chosen.exit_status for name in odd.ids]
    assert statuses == ["failed_setup", "submitted", "submitted", "submitted"]
    assert "a window of 32,000 tokens is too small" in found[odd.ids[0]].chosen.why
    assert [found[name].resolved for name in odd.ids[1:]] == [True, True, True]
    assert all("n\\udcff" in found[name].chosen.files for name in odd.ids[1:])


async def test_a_command_whose_time_was_up_did_not_end_well(
    issues: Set, redis_of_runs: str, tmp_path: Path
) -> None:
    says: Says = lambda prompt: SUBMIT if turn_of(prompt) else bash("sleep 60")  # noqa: E731
    await ran(issues, tmp_path / "x", redis_of_runs, says, timeout_s=0.5)
    path = tmp_path / "x/instances" / issues.ids[0] / "attempt-1" / f"{issues.ids[0]}.traj.json"
    trajectory = json.loads(path.read_text())
    codes = [each["extra"]["returncode"] for each in trajectory["messages"] if each["role"] == "tool"]
    assert codes[0] == 124
    assert trajectory["info"]["config"]["environment"]["timeout"] == 0.5


def test_nothing_of_how_an_issue_was_resolved_lies_in_a_run(issues: Set, tmp_path: Path) -> None:
    settings = SweSettings(instances=issues.rows, repos=issues.repos, model="double")
    Fleet.begun(tmp_path / "x", settings)
    kept = read_instances(tmp_path / "x" / "instances.jsonl")
    given = read_instances(issues.rows)
    assert [each.patch for each in kept] == [""] * 4
    assert kept == tuple(replace(each, patch="") for each in given)


@pytest.mark.parametrize(
    ("command", "hidden"),
    [
        ("pytest tests", False),
        ("pytest tests/test_new.py", True),
        ("pytest -k x tests/test_old.py", True),
        ("", False),
    ],
)
def test_a_command_that_names_the_rows_own_tests_is_not_run_for_a_choice(
    issues: Set, command: str, hidden: bool
) -> None:
    assert _names_hidden(replace(read_instances(issues.rows)[0], test_command=command)) is hidden


def test_only_tests_that_were_there_speak_for_a_patch() -> None:
    found = visible({"a": True, "b": True, "c": False, "d": False}, {"a": True, "c": True, "new": True})
    assert found is not None
    assert (found.broken, found.mended) == (("b",), ("c",))
    assert visible({}, {"new": True}) is None
    everything = visible({"a": True}, {})
    assert everything is not None and everything.broken == ("a",)

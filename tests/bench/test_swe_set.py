"""Each repository of the self-made set fails before its fix and passes after, as its instance says."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from surefoot.agents.swe.grading import grade, run_tests
from surefoot.agents.swe.instances import Instance, read_instances
from surefoot.agents.swe.patches import check_patch
from surefoot.agents.swe.repository import find_repository, prepare_for_tests
from surefoot.tests.agents.swe.places import LocalPlace

BENCH = Path(__file__).parents[2] / "bench"
NAMES = sorted(path.name for path in (BENCH / "swe").iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set") / "out"
    subprocess.run(
        [sys.executable, str(BENCH / "swe_set.py"), str(out)], check=True, timeout=240, capture_output=True
    )
    return out


@pytest.fixture(scope="module")
def instances(made: Path) -> dict[str, Instance]:
    return {each.repo.removeprefix("surefoot/"): each for each in read_instances(made / "instances.jsonl")}


def test_the_set_is_as_large_and_as_varied_as_it_should_be(
    made: Path, instances: dict[str, Instance]
) -> None:
    assert sorted(instances) == NAMES and len(NAMES) >= 16
    rows = [json.loads(line) for line in (made / "instances.jsonl").read_text().splitlines()]
    traits = Counter(trait for row in rows for trait in row["traits"])
    assert traits["misleading trace"] >= 3 and traits["new file"] >= 2
    assert all(len(list((BENCH / "swe" / name / "before").rglob("*.py"))) >= 4 for name in NAMES)


def test_it_is_the_same_whoever_makes_it(made: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(BENCH / "swe_set.py"), str(tmp_path / "out")], check=True, timeout=240
    )
    assert (tmp_path / "out/instances.jsonl").read_bytes() == (made / "instances.jsonl").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_tests_fail_before_and_pass_after(
    made: Path, instances: dict[str, Instance], name: str, tmp_path: Path
) -> None:
    instance = instances[name]
    clone = find_repository(made / "repos", instance.repo)
    fix = asyncio.run(check_patch(instance.patch.encode(), clone, instance.base_commit))
    assert not fix.left_out and not any("test" in change.path for change in fix.changes)
    for patch, resolved in (("", False), (fix.text, True)):
        workspace = tmp_path / str(resolved)
        asyncio.run(prepare_for_tests(instance, patch, clone, workspace))
        found = grade(instance, asyncio.run(run_tests(instance, LocalPlace(workspace))), grader="surefoot")
        assert found.resolved is resolved and found.readable and not found.warnings
        assert found.pass_to_pass.passed == instance.pass_to_pass
        assert found.fail_to_pass.failed == (() if resolved else instance.fail_to_pass)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_file_is_needed_where_the_instance_says_so(instances: dict[str, Instance], name: str) -> None:
    traits = json.loads((BENCH / "swe" / name / "instance.json").read_text())["traits"]
    assert ("new file mode" in instances[name].patch) == ("new file" in traits)
    issue = instances[name].problem_statement
    assert ("misleading trace" not in traits) or ('    File "' in issue and "Error" in issue)

"""Small repositories with an issue each, as SWE-bench rows."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.tests.agents.swe.places import sh

FIRST = '''def {name}(numbers):
    """Return the sum of the numbers, {number} of them at least."""
    return sum(numbers) + 1
'''
TESTS = "import calc\n\n\ndef test_sum():\n    assert calc.{name}([1, 2]) == 3\n"
OLD = "import calc\n\n\ndef test_it_is_there():\n    assert calc.{name}\n"


class Set(NamedTuple):
    """Rows, and the repositories that they are about."""

    rows: Path
    repos: Path

    @property
    def ids(self) -> list[str]:
        """Return the instances' names."""
        return [json.loads(line)["instance_id"] for line in self.rows.read_text().splitlines()]


def prepared(folder: Path, number: int) -> Set:
    """Make a set of so many instances."""
    repos = folder / "repos"
    rows = [_instance(repos, place) for place in range(number)]
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Set(path, repos)


def _instance(repos: Path, place: int) -> dict[str, Any]:
    name = f"total_{place}"
    repo = repos / f"own__sums{place}"
    (repo / "tests").mkdir(parents=True)
    (repo / "calc.py").write_text(FIRST.format(name=name, number=place))
    (repo / "tests/test_old.py").write_text(OLD.format(name=name))
    (repo / "conftest.py").write_text("import sys; sys.path.insert(0, '.')\n")
    sh("git init -q -b main && git add -A && git commit -q -m 'As reported'", repo)
    base = sh("git rev-parse HEAD", repo).decode().strip()
    (repo / "calc.py").write_text((repo / "calc.py").read_text().replace(" + 1", ""))
    patch = sh("git diff", repo).decode()
    sh("git checkout -q -- .", repo)
    (repo / "tests/test_new.py").write_text(TESTS.format(name=name))
    sh("git add -A", repo)
    test_patch = sh("git diff --cached", repo).decode()
    sh("git reset -q --hard", repo)
    return {
        "instance_id": f"own__sums{place}-1",
        "repo": f"own/sums{place}",
        "base_commit": base,
        "problem_statement": f"{name} adds one too many: {name}([1, 2]) is 4.",
        "patch": patch,
        "test_patch": test_patch,
        "FAIL_TO_PASS": ["tests/test_new.py::test_sum"],
        "PASS_TO_PASS": ["tests/test_old.py::test_it_is_there"],
        "test_command": f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -rA -p no:cacheprovider tests",
    }

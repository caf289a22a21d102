"""The self-made set of small repositories as SWE-bench rows: git repositories in a folder, and instances.jsonl beside them.

python bench/swe_set.py OUT      OUT/instances.jsonl, OUT/repos/surefoot__NAME; `surefoot swe run` takes both

Each folder of bench/swe has `before/` (the repository at the base commit), `issue.md`, `test.patch`, `fix.patch` and
`instance.json` (the names of the tests, and what is special about it).  A repository also has a later commit, with the fix
and its tests, as a real clone has: no agent may find it.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SET = Path(__file__).parent / "swe"
ALONE = "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"
"""Whatever else is installed there: loading its plugins may take ten times as long as the tests."""
FIXED = {
    "GIT_AUTHOR_NAME": "surefoot",
    "GIT_AUTHOR_EMAIL": "surefoot@localhost",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "surefoot",
    "GIT_COMMITTER_EMAIL": "surefoot@localhost",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
"""Whoever makes the set, and when: the commits have the same names."""


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, **FIXED},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def repository(source: Path, target: Path) -> str:
    """Make the git repository of a folder of the set, and return its base commit."""
    shutil.copytree(source / "before", target)
    git(target, "init", "-q", "-b", "main")
    git(target, "add", "-A")
    git(target, "commit", "-q", "-m", "As reported")
    base = git(target, "rev-parse", "HEAD")
    git(target, "apply", "--index", str(source / "test.patch"), str(source / "fix.patch"))
    git(target, "commit", "-q", "-m", "Fix it")
    return base


def row(source: Path, base: str, python: str) -> dict[str, Any]:
    """Return an instance as SWE-bench has it."""
    known = json.loads((source / "instance.json").read_text())
    return {
        "instance_id": f"surefoot__{source.name}-1",
        "repo": f"surefoot/{source.name}",
        "base_commit": base,
        "problem_statement": (source / "issue.md").read_text(),
        "patch": (source / "fix.patch").read_text(),
        "test_patch": (source / "test.patch").read_text(),
        "FAIL_TO_PASS": json.dumps(known["FAIL_TO_PASS"]),
        "PASS_TO_PASS": json.dumps(known["PASS_TO_PASS"]),
        "test_command": f"{ALONE} {shlex.quote(python)} -m pytest -rA -p no:cacheprovider tests",
        "traits": known["traits"],
    }


def prepare(out: Path, python: str = sys.executable) -> Path:
    """Make the whole set in a new folder; `python` is what has pytest where the tests will run."""
    rows = []
    for source in sorted(path for path in SET.iterdir() if path.is_dir()):
        target = out / "repos" / f"surefoot__{source.name}"
        rows.append(row(source, repository(source, target), python))
    file = out / "instances.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return file


def main() -> None:
    """Make the set and say what there is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="a folder that is not there yet")
    parser.add_argument(
        "--python", default=sys.executable, help="the Python that has pytest where the tests run"
    )
    given = parser.parse_args()
    file = prepare(given.out, given.python)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    print(f"{len(rows)} instances in {file}")
    for trait in sorted({trait for each in rows for trait in each["traits"]}):
        names = [each["instance_id"] for each in rows if trait in each["traits"]]
        print(f"{trait}: {', '.join(names)}")


if __name__ == "__main__":
    main()

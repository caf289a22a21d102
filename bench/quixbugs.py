"""QuixBugs as SWE-bench rows: a user's own checkout is prepared, graded, and worked on by an agent whose double knows the fixes.

python bench/quixbugs.py CHECKOUT OUT      OUT/instances.jsonl, OUT/repos/quixbugs__NAME, OUT/run; exits 1 if a grade is another than it must be

Of each Python program that has a test there are a git repository (the program with its bug, its tests with their data) and a
row: an issue of the program's own docstring and one case that fails, the correct program as the patch, and the lists of tests, found
by running them with both programs.  A test that takes over `TEST_S` fails: some of the programs loop for ever.

The official log parser cuts a test's name at its first blank, so several tests may have one name.  Such a name is in a list only if
all its tests agree: they all begin to pass with the patch, or all pass in any case.
"""

import ast
import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from pages import options, origin, table, write
from swe_set import ALONE, git

from surefoot.agents.swe.grading import PASSING, STATES, Grader, PatchGrade, grade, run_tests
from surefoot.agents.swe.instances import Instance, parse_instance
from surefoot.agents.swe.predictions import read_predictions
from surefoot.agents.swe.repository import prepare_for_tests
from surefoot.models.doubles import DoubleServer, issue_worker, read_fixes
from surefoot.tools.environments.choosing import choose
from surefoot.tools.environments.limits import Limits

PROGRAMS, CORRECT, TESTS, DATA = (
    "python_programs",
    "correct_python_programs",
    "python_testcases",
    "json_testcases",
)
TEST_S = 5
"""Seconds that a test may take."""
RUN_S = 900.0
"""Seconds that the tests of a program may take together."""
LIMITS = Limits(timeout_s=RUN_S, memory_bytes=2 << 30, output_bytes=16 << 20)
INDEX = re.compile(r"\[input_data(\d+)-")
"""Which of a program's cases a test is about, as pytest names it."""
UNRESOLVED = 4
"""What `surefoot swe run` ends with where an instance is not resolved: the grades will say so."""
BASE = "the base commit"
GRADERS: tuple[Grader, ...] = ("swebench", "surefoot")


class Program(NamedTuple):
    """A program of the set, and its repository."""

    name: str
    repository: Path
    base: str
    patch: str

    @property
    def test(self) -> str:
        """Return the path of its tests."""
        return f"{TESTS}/test_{self.name}.py"

    def instance(self, python: str, **more: Any) -> Instance:
        """Return its row, without or with the lists of tests."""
        return parse_instance(self.row(python, **more))

    def row(self, python: str, **more: Any) -> dict[str, Any]:
        """Return its row as it is written."""
        pytest = f"-m pytest -rA -p no:cacheprovider -p pytest_timeout --timeout {TEST_S}"
        return {
            "instance_id": f"quixbugs__{self.name}-1",
            "repo": f"quixbugs/{self.name}",
            "base_commit": self.base,
            "problem_statement": "?",
            "patch": self.patch,
            "test_patch": "",
            "test_command": f"{ALONE} PYTHONDONTWRITEBYTECODE=1 {shlex.quote(python)} {pytest} {self.test}",
            **more,
        }


class Lists(NamedTuple):
    """The tests that tell the two programs apart, and the others."""

    fail_to_pass: list[str]
    pass_to_pass: list[str]
    left_out: int
    """Names whose tests do not agree, or that fail with the correct program, too."""


def programs(checkout: Path, out: Path) -> list[Program]:
    """Make a repository of each program that has a test and a correct version."""
    found = sorted((checkout / PROGRAMS).glob("*.py")) if checkout.is_dir() else []
    names = [path.stem for path in found if (checkout / TESTS / f"test_{path.stem}.py").is_file()]
    if not names:
        raise SystemExit(f"{str(checkout)!r} is no checkout of QuixBugs: there is no program with a test")
    return [program(checkout, name, out / "repos" / f"quixbugs__{name}") for name in names]


def program(checkout: Path, name: str, target: Path) -> Program:
    """Make the repository of one program; a later commit has the correct one, which no agent may find."""
    paths = [f"{PROGRAMS}/{name}.py", f"{PROGRAMS}/node.py", f"{TESTS}/test_{name}.py", f"{TESTS}/node.py"]
    paths += [f"{TESTS}/load_testdata.py", f"{DATA}/{name}.json", "conftest.py"]
    for path in paths:
        if (checkout / path).is_file():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout / path, target / path)
    git(target, "init", "-q", "-b", "main")
    git(target, "add", "-A")
    git(target, "commit", "-q", "-m", "As reported")
    base = git(target, "rev-parse", "HEAD")
    _, about = parted(target / PROGRAMS / f"{name}.py")
    code, _ = parted(checkout / CORRECT / f"{name}.py")
    (target / PROGRAMS / f"{name}.py").write_bytes((f"{code.strip()}\n\n\n{about}".rstrip() + "\n").encode())
    git(target, "commit", "-q", "-a", "-m", "Correct it")
    return Program(name, target, base, patch_of(target, base))


def patch_of(repository: Path, base: str) -> str:
    """Return what HEAD changes, to the last blank."""
    command = ["git", "diff", "--full-index", base, "HEAD"]
    return subprocess.run(command, cwd=repository, check=True, stdout=subprocess.PIPE).stdout.decode()


def parted(path: Path) -> tuple[str, str]:
    """Return the code of a program, and what follows from its docstring on, which stands below the code."""
    text = path.read_bytes().decode()  # a line end stays what it is
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return "".join(lines[: node.lineno - 1]), "".join(lines[node.lineno - 1 :])
    return text, ""


async def log_of(instance: Instance, patch: str, source: Path, env: str) -> str:
    """Run the tests of an instance on a patch."""
    with tempfile.TemporaryDirectory(prefix="quixbugs-", ignore_cleanup_errors=True) as name:
        workspace = Path(name) / "workspace"
        await prepare_for_tests(instance, patch, source, workspace)
        world = choose(
            env,
            workspace,
            trusted=env == "local",
            limits=LIMITS,
            seen_as="/testbed",
            readable=readable(),
        )
        await world.start()
        try:
            return await run_tests(instance, world, timeout_s=RUN_S)
        finally:
            await world.stop()


def readable() -> list[Path]:
    """Return the folders that this Python needs besides those of the system."""
    wanted = [Path(sys.prefix), Path(sys.base_prefix)]
    wanted += [Path(part) for part in sys.path if part.endswith("-packages")]
    roots = sorted({path.resolve() for path in wanted if path.is_dir()})
    return [
        path
        for path in roots
        if not path.is_relative_to("/usr") and not any(other in path.parents for other in roots)
    ]


def lists(before: str, after: str) -> Lists:
    """Return the lists of tests of the logs with the bug and with the correct program."""
    was, now = outcomes(before), outcomes(after)
    found = Lists([], [], 0)
    left_out = 0
    for name in now:
        then, later = together(name, was), together(name, now)
        if later != {True}:
            left_out += 1
        elif then in ({False}, set()):
            found.fail_to_pass.append(name)
        elif then == {True}:
            found.pass_to_pass.append(name)
        else:
            left_out += 1
    return found._replace(left_out=left_out)


def outcomes(log: str) -> dict[str, set[bool]]:
    """Return whether the tests of each name passed: both, if several tests have one name and do not agree."""
    found: dict[str, set[bool]] = {}
    for line in log.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in STATES and "::" in words[1]:
            found.setdefault(words[1], set()).add(words[0] in PASSING)
    return found


def together(name: str, found: dict[str, set[bool]]) -> set[bool]:
    """Return the outcomes that a name stands for: one whose bracket is not closed stands for all that begin with it."""
    if "[" in name and not name.endswith("]"):
        return set().union(*(each for other, each in found.items() if other.startswith(name)))
    return found.get(name, set())


def issue(program: Program, failing: Sequence[str]) -> str:
    """Return what an agent is told: what the program is to do, and one case in which it does something else."""
    _, about = parted(program.repository / PROGRAMS / f"{program.name}.py")
    docstring = ast.literal_eval(about.strip()).strip() if about else ""
    told = case(program, failing[0]) if failing else ""
    return f"`{program.name}` in {PROGRAMS}/{program.name}.py has a bug\n\n{told}\n\nIt should do this:\n\n{docstring}\n"


def case(program: Program, test: str) -> str:
    """Say in a sentence what a failing test wants."""
    name = test.rpartition("::")[2]
    data = program.repository / DATA / f"{program.name}.json"
    if (found := INDEX.search(name)) and data.is_file():
        given, expected = json.loads(data.read_text().splitlines()[int(found[1])])
        arguments = ", ".join(map(repr, given if isinstance(given, list) else [given]))
        return f"`{program.name}({arguments})` should give `{expected!r}`, and does not."
    for node in ast.walk(ast.parse((program.repository / program.test).read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == name.partition("[")[0]:
            about = " ".join((ast.get_docstring(node) or "").split())
            return f"The test `{name}` fails{f': {about}' if about else ''}."
    return f"The test `{name}` fails."


async def prepared(
    checkout: Path, out: Path, env: str, workers: int
) -> tuple[list[Program], list[Lists], dict[str, str]]:
    """Make the repositories, find the lists of tests, write the rows; return the logs of the base commits, too."""
    made = programs(checkout, out)
    slots = asyncio.Semaphore(workers)

    async def found(program: Program) -> tuple[Lists, str]:
        async with slots:
            instance = program.instance(sys.executable)
            after = await log_of(instance, program.patch, program.repository, env)
            before = await log_of(instance, "", program.repository, env)
            if outcomes(after).keys() - outcomes(
                before
            ):  # the run came to nothing, or the bug ends Python itself
                before = await log_of(instance, "", program.repository, env)
            for what, log in (("with-bug", before), ("correct", after)):
                (out / f"{program.name}-{what}.log").write_text(log, errors="backslashreplace")
            return lists(before, after), before

    told_of = await asyncio.gather(*map(found, made))
    tests = [names for names, _ in told_of]
    rows = []
    for each, names in zip(made, tests, strict=True):
        git(each.repository, "checkout", "-q", each.base)
        told = issue(each, names.fail_to_pass)
        both = {"FAIL_TO_PASS": names.fail_to_pass, "PASS_TO_PASS": names.pass_to_pass}
        rows.append(each.row(sys.executable, problem_statement=told, **both))
        git(each.repository, "checkout", "-q", "main")
    (out / "instances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    logs = {row["instance_id"]: log for row, (_, log) in zip(rows, told_of, strict=True)}
    return made, tests, logs


async def logs_of(
    instances: Sequence[Instance], patches: dict[str, str], out: Path, env: str, workers: int
) -> dict[str, str]:
    """Run the tests on a patch of each instance, and return their logs."""
    slots = asyncio.Semaphore(workers)

    async def log(instance: Instance) -> str:
        async with slots:
            source = out / "repos" / instance.repo.replace("/", "__")
            return await log_of(instance, patches.get(instance.instance_id, ""), source, env)

    logs = await asyncio.gather(*map(log, instances))
    return dict(zip((each.instance_id for each in instances), logs, strict=True))


def grades(instances: Sequence[Instance], logs: dict[str, str]) -> dict[Grader, list[PatchGrade]]:
    """Grade logs by every grader that is there."""
    there = [each for each in GRADERS if each == "surefoot" or find_spec("swebench")]
    return {
        grader: [grade(each, logs[each.instance_id], grader=grader) for each in instances] for grader in there
    }


async def worked_on(out: Path, env: str, workers: int) -> dict[str, str]:
    """Let an agent whose model knows the fixes work on every instance, and return its patches."""
    known = read_fixes(out / "instances.jsonl")
    async with DoubleServer(issue_worker("fixes", known)) as server:
        # A journal of its own, in a folder with a short name: it has a socket.
        home = tempfile.mkdtemp(prefix="sf-quixbugs-")
        run = ["swe", "run", "--instances", str(out / "instances.jsonl"), "--repos", str(out / "repos")]
        run += ["--model", server.url, "--workers", str(workers), "--out", str(out / "run"), "--env", env]
        run += [part for folder in readable() for part in ("--readable", str(folder))]
        environment = {**os.environ, "SUREFOOT_HOME": home}
        command = [sys.executable, "-m", "surefoot", *run]
        try:
            process = await asyncio.create_subprocess_exec(*command, cwd=out, env=environment)
            code = await process.wait()
        finally:
            shutil.rmtree(home, ignore_errors=True)
        if code not in (0, UNRESOLVED):
            raise SystemExit(f"`surefoot swe run` ended with {code}")
    return {
        name: prediction.patch or ""
        for name, prediction in read_predictions(out / "run" / "preds.json").items()
    }


async def work(checkout: Path, out: Path, env: str, workers: int, *, run: bool) -> tuple[str, bool]:
    """Do all of it, and return the table, and whether every grade is what it must be."""
    made, tests, before = await prepared(checkout, out, env, workers)
    rows = (out / "instances.jsonl").read_text().splitlines()
    instances = [parse_instance(json.loads(row)) for row in rows]
    whole = [each for each in instances if each.fail_to_pass]
    lines = [
        ("programs with a test", len(made)),
        ("tests that fail with the bug and pass without", sum(len(each.fail_to_pass) for each in tests)),
        ("tests that pass with both", sum(len(each.pass_to_pass) for each in tests)),
        (
            "names of tests left out: they fail with both, or stand for tests that differ",
            sum(each.left_out for each in tests),
        ),
        ("instances: programs with a test that fails", len(whole)),
    ]
    correct = {each.instance_id: each.patch for each in whole}
    logs = {BASE: before, "the correct program": await logs_of(whole, correct, out, env, workers)}
    if run:
        made_by_agent = await worked_on(out, env, workers)
        logs["an agent whose double knows the fixes"] = await logs_of(whole, made_by_agent, out, env, workers)
    right = bool(whole)
    for what, by_id in logs.items():
        for grader, found in grades(whole, by_id).items():
            resolved = sum(each.resolved for each in found)
            lines.append((f"{what}: resolved, by {found[0].grader if found else grader}", resolved))
            right = right and resolved == (0 if what == BASE else len(whole))
            for instance, each in zip(whole, found, strict=True):
                if each.resolved == (what == BASE):
                    print(f"{instance.instance_id}, {what}, by {each.grader}: {each}")
    return table(("", "number"), [(what, f"{number:,}") for what, number in lines]), right


def main() -> int:
    """Prepare, grade and run, and print the table."""
    parser = options(__doc__, "quixbugs.md")
    parser.add_argument("checkout", type=Path, help="a local checkout of QuixBugs")
    parser.add_argument("out", type=Path, help="a folder that is not there yet")
    parser.add_argument("--env", default="bubblewrap", help="where tests and commands run, or local")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-run", action="store_true", help="prepare and grade only")
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    out = given.out.resolve()
    shown, right = asyncio.run(
        work(given.checkout.resolve(), out, given.env, given.workers, run=not given.no_run)
    )
    about = (
        "A checkout of QuixBugs, made into SWE-bench rows; nothing of it is in this repository. A test that takes over "
        f"{TEST_S} s fails. The lists of tests were found on the same logs of the base commits that are graded, all other logs are "
        "of runs of their own. The base commit must be resolved in no instance, everything else in all."
    )
    page = f"# QuixBugs as SWE-bench rows\n\n{origin('quixbugs', given.results)}\n\n{about}\n\n{shown}\n"
    write(
        given.results,
        "quixbugs.md",
        page.replace(str(given.checkout), "CHECKOUT").replace(str(given.out), "OUT"),
    )
    print(page)
    return 0 if right else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""A decomposed run: localise, reproduce, patch, verify; candidates are voted on by what they do, and no plurality wins."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis

import surefoot
from surefoot import BadInput, Settings
from surefoot.agents.swe import Instance, prepare_workspace
from surefoot.agents.swe.decomposed import DecomposedState, DecomposedTask
from surefoot.agents.tasks.guarded import guarded
from surefoot.models.base import Ask
from surefoot.models.doubles import Repair, Repairer
from surefoot.orchestration.journal.jobs import load
from surefoot.orchestration.reporting import records, state_reached
from surefoot.tests.agents.swe.places import sh
from surefoot.tools.environments import Bubblewrap, Environment
from surefoot.voting import Sample, Stalled

K1 = Settings(k=1, segment=100)
COMMAND = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -rA -p no:cacheprovider -q"
FILES = {
    "pkg/__init__.py": "",
    "pkg/sums.py": "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n",
    "pkg/words.py": "def loud(text):\n    return text.upper()\n",
    "tests/test_sums.py": "from pkg.sums import add, double\n\n\ndef test_zero():\n    assert add(0, 0) == 0\n\n\ndef test_double():\n    assert double(2) == 4\n",
}
ISSUE = "add(2, 3) is -1, and it should be 5."


def blocks(*edits: tuple[str, str, str]) -> str:
    return "\n".join(
        f"{path}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n" for path, old, new in edits
    )


def fix(line: str, path: str = "pkg/sums.py") -> str:
    return blocks((path, "    return a - b\n", f"    {line}\n"))


def a_test(line: str) -> str:
    return f"from pkg.sums import add\n\n\ndef test_issue():\n    {line}\n"


REPAIR = Repair(
    issue=ISSUE,
    places=("pkg/sums.py::add",),
    tests=(a_test("assert add(2, 3) == 5"), a_test("assert add(1, 1) == 2")),
    patch=fix("return a + b"),
    wrong_tests=(a_test("assert add(2, 3) == 6"), a_test("assert add(0, 0) == 0"), a_test("add('a', 1, 2)")),
    wrong_patches=(
        fix("return a * b"),
        fix("return b - a"),
        fix("return a | b"),
        fix("return 5"),
        fix("raise OSError"),
    ),
)


@pytest.fixture
def clone(tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "clone"
    for name, text in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    sh("git init -q; git add -A; git commit -qm base", path)
    return path, sh("git rev-parse HEAD", path).decode().strip()


@pytest.fixture
async def world(clone: tuple[Path, str], tmp_path: Path) -> AsyncIterator[Environment]:
    workspace = tmp_path / "workspace"
    await prepare_workspace(*clone, workspace)
    installed = Path(pytest.__file__).parents[1]
    readable = dict.fromkeys(path.resolve() for path in (Path(sys.base_prefix), Path(sys.prefix), installed))
    place = Bubblewrap(workspace, readable=[*readable, Path(sys.prefix)])
    try:
        await place.start()
    except BadInput as error:
        if "namespace" in str(error) or "uid map" in str(error):
            pytest.skip(f"the kernel gives no user namespace here: {error}")
        raise
    yield place
    await place.stop()


def instance(commit: str) -> Instance:
    return Instance(
        instance_id="a__sums-1",
        repo="a/sums",
        base_commit=commit,
        problem_statement=ISSUE,
        fail_to_pass=("tests/test_hidden.py::test_secret",),
        pass_to_pass=("tests/test_hidden.py::test_other_secret",),
        patch="the secret patch",
        test_patch="the secret tests",
    )


async def end_of(task: DecomposedTask, redis_url: str, job: str) -> DecomposedState:
    async with Redis.from_url(redis_url) as client:
        state: DecomposedState = await state_reached(client, await load(client, job), guarded(task))
    return state


async def test_a_run_survives_a_broken_model_and_ends_with_a_patch(
    world: Environment, clone: tuple[Path, str], redis_url: str
) -> None:
    """Localised, reproduced, patched and verified in a sandbox; what was done before the break is not done again."""

    class Breaks(Repairer):
        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            if "SEARCH" in str(asks[0].prompt):
                raise surefoot.SurefootError("gone for lunch")
            async for each in super().sample(asks):
                yield each

    task = DecomposedTask(instance(clone[1]), world=world, test_command=COMMAND)
    with pytest.raises(surefoot.SurefootError, match="lunch"):
        await surefoot.run(task, K1, model=Breaks([REPAIR]), redis=redis_url, job="a-sum")
    before = await end_of(task, redis_url, "a-sum")
    assert (before.stage, len(before.tests)) == ("patch", 2)
    report = await surefoot.run(task, K1, model=Repairer([REPAIR]), redis=redis_url, job="a-sum")
    state = await end_of(task, redis_url, "a-sum")
    assert (state.ended, report.solved) == ("submitted", True), state.result
    assert state.tests == before.tests and len(state.patches) == 2 and (state.turn, state.calls) == (6, 9)
    assert [place.symbol for place in state.places] == ["add"]
    diff = (await world.diff()).decode()
    assert "+    return a + b" in diff and "test_surefoot" not in diff
    assert sh("git status --porcelain", Path(world.workspace)) == b" M pkg/sums.py\n"


async def test_localisations_are_voted_on_in_one_election(
    world: Environment, clone: tuple[Path, str], redis_url: str
) -> None:
    task = DecomposedTask(instance(clone[1]), world=world, votes=3, test_command=COMMAND)
    paths = ["pkg/sums.py", "pkg/words.py", "./pkg/sums.py", "pkg/sums.py\npkg/sums.py", "pkg/sums.py"]

    class Undecided(Repairer):
        drawn = 0

        async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
            for position, _ in enumerate(asks):
                said = paths[min(self.drawn, 4)] if "```files" in str(asks[0].prompt) else str(self.drawn)
                self.drawn += 1
                yield position, Sample(f"```files\n{said}\n```")

    with pytest.raises(Stalled):
        await surefoot.run(task, Settings(k=1, limit=9), model=Undecided([]), redis=redis_url, job="votes")
    async with Redis.from_url(redis_url) as client:
        found = [record async for record in records(client, await load(client, "votes"))]
    files = next(record for record in found if "files" in str(record.answer)[:200] and record.votes)
    assert (files.votes, [votes for _, votes in files.others]) == (4, [1])
    state = await end_of(task, redis_url, "votes")
    assert (state.stage, state.files) == ("places", ("pkg/sums.py",))

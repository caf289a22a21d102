"""A workspace that is kept: found as it was, made anew where nobody can vouch for it, and never taken for what it is not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.agents.swe.kept_workspace import Act, KeptWorkspace, NotRebuilt, SetUpFailed
from surefoot.agents.swe.recorded import RecordedAct
from surefoot.agents.swe.repository import prepare_workspace
from surefoot.errors import BadInput
from surefoot.models.offers import Call
from surefoot.tests.agents.swe.places import Repo
from surefoot.tools.environments.choosing import choose
from surefoot.tools.environments.environment import Environment


class Run:
    """A run that appends lines to a file: its journal, and the workspace as one process after another has it."""

    def __init__(self, repo: Repo, folder: Path, environment: str = "local", snapshots: bool = False) -> None:
        self._repo, self._folder, self._environment, self._snapshots = repo, folder, environment, snapshots
        self.journal: list[tuple[int, str]] = []
        self.filled = 0
        self.code_again = 0
        self.world = self.process()

    def process(self) -> KeptWorkspace:
        """Begin as a new process does."""

        async def fill(workspace: Path) -> None:
            self.filled += 1
            await prepare_workspace(self._repo.path, self._repo.base, workspace)

        async def set_up(world: Environment) -> bool:
            return (await world.execute("echo made > made.txt")).code == 0

        self.world = KeptWorkspace(
            self._folder,
            seen_as=str(self._folder / "workspace"),
            fill=fill,
            make=lambda workspace, keep: choose(
                self._environment, workspace, trusted=True, keep=keep, shared=True
            ),
            set_up=set_up,
            snapshots=self._snapshots,
        )
        return self.world

    async def acts(self) -> AsyncIterator[Act]:
        """Return what the journal has."""
        for step, line in list(self.journal):
            yield Act(step, _recorded(line), lambda line=line: self._again(line))  # type: ignore[misc]

    async def _again(self, line: str) -> tuple[str, int | None]:
        ran = await self.world.execute(f"echo {line} >> lines.txt")
        return ran.output, ran.code or self.code_again

    async def act(self, step: int, line: str, *, again: bool = False, journaled: bool = True) -> None:
        """Make an act; without `journaled` the process is killed before the journal has it."""
        await self.world.ready(self.acts, step, again=again)
        self.world.begin(step)
        await self.world.execute(f"echo {line} >> lines.txt")
        await self.world.end(step, _recorded(line))
        if journaled:
            self.journal.append((step, line))

    async def lines(self) -> list[str]:
        """Look at what the workspace holds."""
        await self.world.ready(self.acts)
        return (await self.world.read("lines.txt")).decode().split()


def _recorded(line: str) -> RecordedAct:
    return RecordedAct(Call("bash", line), "", 0, "")


@pytest.mark.parametrize("snapshots", [False, True])
async def test_it_is_found_as_it_was_and_made_anew_where_it_is_not(
    repo: Repo, tmp_path: Path, snapshots: bool
) -> None:
    run = Run(repo, tmp_path, snapshots=snapshots)
    await run.act(1, "one")
    await run.act(3, "two")
    await run.world.stop()
    run.process()
    assert await run.lines() == ["one", "two"]
    assert (run.filled, run.world.replayed.total()) == (1, 0)
    await run.act(5, "lost", journaled=False)
    await run.world.stop()
    run.process()
    assert await run.lines() == ["one", "two"]
    assert (run.filled, run.world.replayed["same"]) == (2, 0 if snapshots else 2)
    await run.act(5, "three", again=True)
    assert await run.lines() == ["one", "two", "three"]
    patch = (await run.world.diff()).decode()
    assert "+three" in patch and "made.txt" not in patch
    await run.world.stop()


@pytest.mark.parametrize("snapshots", [False, True])
async def test_a_journal_that_went_back_under_a_live_run_takes_the_workspace_with_it(
    repo: Repo, tmp_path: Path, snapshots: bool
) -> None:
    run = Run(repo, tmp_path, snapshots=snapshots)
    await run.act(1, "one")
    await run.act(3, "two")
    del run.journal[-1]
    await run.act(3, "other")
    assert await run.lines() == ["one", "other"]
    await run.act(5, "three", journaled=False)
    await run.act(5, "three", again=True)
    assert await run.lines() == ["one", "other", "three"]
    await run.world.stop()


async def test_another_history_of_the_same_length_is_not_taken_for_its_own(
    repo: Repo, tmp_path: Path
) -> None:
    run = Run(repo, tmp_path)
    await run.act(1, "one")
    await run.world.stop()
    run.journal[0] = (1, "elsewhere")
    run.process()
    assert await run.lines() == ["elsewhere"]
    await run.world.stop()


async def test_what_ends_otherwise_when_it_is_made_again_leaves_nothing_to_go_on_with(
    repo: Repo, tmp_path: Path
) -> None:
    run = Run(repo, tmp_path)
    await run.act(1, "one")
    await run.act(3, "lost", journaled=False)
    await run.world.stop()
    run.process()
    run.code_again = 3
    for _ in range(2):
        with pytest.raises(NotRebuilt, match=r"at step 1 bash.*ended with 0, and now with 3"):
            await run.world.ready(run.acts)
        with pytest.raises(BadInput, match="not ready"):
            await run.world.diff()
    run.code_again = 0
    assert await run.lines() == ["one"]
    await run.world.stop()


async def test_what_cannot_be_set_up_is_said_and_not_kept(repo: Repo, tmp_path: Path) -> None:
    run = Run(repo._replace(base="0" * 40), tmp_path)
    with pytest.raises(SetUpFailed, match="has no commit"):
        await run.world.ready(run.acts)
    run = Run(repo, tmp_path)
    await run.act(1, "one")
    assert await run.lines() == ["one"]
    await run.world.remove()
    assert not [path for path in tmp_path.iterdir() if path.name != "home"]


async def test_a_pipe_that_an_agent_left_does_not_keep_a_run_from_going_on(
    repo: Repo, tmp_path: Path
) -> None:
    run = Run(repo, tmp_path, "bubblewrap")
    await run.act(1, "one")
    assert (await run.world.execute("mkfifo pipe && echo here > /tmp/scratch")).code == 0
    await run.world.stop()
    run.process()
    assert await run.lines() == ["one"]
    assert (await run.world.execute("cat /tmp/scratch")).output == "here\n"
    assert run.filled == 1
    await run.world.stop()

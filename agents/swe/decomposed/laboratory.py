"""What the world does in a decomposed run: every act finds the workspace as the base is, and leaves it so."""

import re
from collections.abc import Sequence

from surefoot.agents.swe.instances import PYTEST
from surefoot.tools.bounded_text import one_line
from surefoot.tools.environments.environment import Environment
from surefoot.tools.failed import ToolFailed

from . import outcomes
from .reading import THE_TEST
from .sources import listing, shown
from .state import (
    Baseline,
    ChangedTests,
    DecomposedState,
    Defect,
    Edits,
    Lost,
    Opened,
    PatchTried,
    ShownSource,
    StageAnswer,
    Surveyed,
    TestTried,
    WrittenTest,
)
from .workspace import PatchFails, Workspace, WorkspaceLost, folder_for_tests

TEST_S = 120.0
"""Longest time of the reproducing tests."""
RUNNER = re.compile(r"[\s\S]{0,4000}?\bpytest(?=\s|$)")
"""What a command for tests begins with: variables, a folder, an interpreter of its own."""
OPTIONS = "-rA -p no:cacheprovider --tb=native --show-capture=no --color=no"
"""What `outcomes` reads; what a test prints would stand after its traceback."""
TOO_LONG = "the repository's own tests took too long"


class Laboratory:
    """Does the acts of one run."""

    def __init__(self, world: Environment, issue: str, room: int, test_command: str, tests_s: float) -> None:
        self._place = Workspace(world)
        self._issue, self._room = issue, room
        self._tests, self._tests_s = test_command, tests_s
        found = RUNNER.match(test_command)
        self._one_test = f"{found[0] if found else PYTEST} {OPTIONS}"

    async def act(self, state: DecomposedState) -> StageAnswer:
        """Return what the world answers at a state."""
        try:
            if state.stage == "survey":
                return await self._survey()
            base = state.surveyed.base
            await self._place.restore(base)
            answer = await self._acted(state)
            await self._place.restore(base)
            if (
                state.stage == "verify"
                and state.winner
                and isinstance(answer, PatchTried)
                and answer.change == state.winner.change
            ):
                await self._place.apply(state.winner.edits)
            return answer
        except WorkspaceLost as lost:
            return Lost(one_line(str(lost)))

    async def settle(self, state: DecomposedState) -> None:
        """Make the workspace what the state says."""
        if state.surveyed.base:
            await self._place.restore(state.surveyed.base)
        if state.ended == "submitted" and state.winner:
            await self._place.apply(state.winner.edits)

    async def _acted(self, state: DecomposedState) -> StageAnswer:
        match state.candidate, state.stage:
            case WrittenTest(text), _:
                return await self._try_test(state, text)
            case Edits(edits), _:
                return await self._try_patch(state, Edits(edits))
            case _, "verify":
                assert state.winner is not None
                return await self._try_patch(state, Edits(state.winner.edits))
            case _, "baseline":
                return await self._baseline()
            case _:
                return await self._open(state)

    async def _survey(self) -> Surveyed:
        base = await self._place.record()
        files, defined = await self._place.files()
        return Surveyed(base, listing(files, defined, self._issue, self._room), folder_for_tests(files))

    async def _open(self, state: DecomposedState) -> Opened:
        """Show the files, each within its share of the room; what is short leaves its share to the others."""
        texts = {path: await self._place.read(path) for path in state.files}
        found: dict[str, ShownSource] = {}
        left = self._room
        for path in sorted(texts, key=lambda path: len(texts[path] or "")):
            text, share = texts[path], left // (len(texts) - len(found))
            if text is None:
                found[path] = ShownSource(path, "", there=False)
                continue
            symbols = [place.symbol for place in state.places if place.path == path]
            found[path] = shown(path, _clean(text), self._issue, share, symbols)
            left -= len(found[path].text)
        return Opened(tuple(found[path] for path in state.files))

    async def _baseline(self) -> Baseline:
        log = await self._place.run(self._tests, self._tests_s)
        return Baseline(why=TOO_LONG) if log is None else outcomes.baseline(log)

    async def _try_test(self, state: DecomposedState, text: str) -> TestTried:
        try:
            (path,) = await self._place.put_tests(state.surveyed.tests, [text])
        except ToolFailed as failed:
            return TestTried(None, one_line(str(failed)))
        name = path.rpartition("/")[2]
        ran = await self._place.run_files(self._one_test, [path], TEST_S)
        await self._place.remove([path])
        if ran.code is None:
            return TestTried(Defect(outcomes.TIMEOUT, ""))
        match outcomes.came_out(ran.output, [name])[name]:
            case "failed":
                return TestTried(outcomes.failure(ran.output, self._place.path, name))
            case "passed":
                return TestTried(None, "it passes before anything is changed, so it does not show the issue")
            case "broken":
                return TestTried(None, "it cannot be loaded or set up")
        return TestTried(None, f"it did not run: {one_line(ran.output, 200)}")

    async def _try_patch(self, state: DecomposedState, patch: Edits) -> PatchTried:
        try:
            size = await self._place.apply(patch.edits)
        except PatchFails as failed:
            return PatchTried(None, 0, one_line(str(failed)))
        try:
            change = await self._changes(state)
        except ToolFailed as failed:  # the patch is in the way of the tests' files
            return PatchTried(None, size, one_line(str(failed)))
        if isinstance(change, str):
            return PatchTried(None, size, change)
        if change.broken:
            return PatchTried(None, size, one_line(f"it breaks {outcomes.some(change.broken)}"))
        return PatchTried(change, size)

    async def _changes(self, state: DecomposedState) -> ChangedTests | str:
        """Return what the patch that is applied changes; in a sentence why nothing can be said of it."""
        fixed = await self._reproduced(state.surveyed.tests, state.reproducing)
        if not fixed:
            return "no test that shows the issue passes with it"
        if not state.baseline.passing:
            return ChangedTests(fixed)
        log = await self._place.run(self._tests, self._tests_s)
        if log is None:
            return TOO_LONG
        own = outcomes.change(state.baseline, log)
        return ChangedTests((*fixed, *own.fixed), own.broken)

    async def _reproduced(self, folder: str, texts: Sequence[str]) -> tuple[str, ...]:
        """Return which of the reproducing tests pass, by their numbers."""
        paths = await self._place.put_tests(folder, texts)
        ran = await self._place.run_files(self._one_test, paths, TEST_S * len(paths))
        await self._place.remove(paths)
        names = [path.rpartition("/")[2] for path in paths]
        found = outcomes.came_out(ran.output, names)
        return tuple(
            f"{THE_TEST} {number}" for number, name in enumerate(names, 1) if found[name] == "passed"
        )


def _clean(text: str) -> str:
    """Return a file's text as a model can be asked about it."""
    if "\0" in text:
        return f"[no text: a file of {len(text):,} bytes]"
    return text.encode(errors="surrogateescape").decode(errors="replace").replace("\r\n", "\n")

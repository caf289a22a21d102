"""A trajectory made again: in a workspace of its own, act by act, and at the end its patch beside the one that was handed in.

| the trajectory is of | its calls are made by | its outputs are | its patch is |
| --- | --- | --- | --- |
| mini-swe-agent | the environment's shell, or `sh` where its local environment took that | what commands print, every line end being "\\n" | what the last command prints after mini's mark, or else the workspace's |
| surefoot | the tools of its agent | what the model was told | the workspace's |
"""

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from surefoot.agents.agent.state import DecidedCalls, Seen
from surefoot.agents.agent.task import AgentTask
from surefoot.agents.tasks.optional import Attempt
from surefoot.errors import BadInput
from surefoot.models.offers import Call
from surefoot.tools.environments.environment import Environment, Ran
from surefoot.tools.failed import ToolFailed

from .issue_task import TOOLS
from .patches import CheckedPatch, FileChange, PatchRefused, check_patch, encoded
from .recorded import RecordedAct, Recording
from .replaying import Replayed, apart, replayed
from .trajectory import SHELL

MARK = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""The first line that a command of mini-swe-agent's prints to end the run with what follows as its result."""
LEAST_OUTPUT, MOST_OUTPUT = 64 << 10, 64 << 20
"""Bytes of an output that are kept, whatever is recorded."""


class PatchBeside(NamedTuple):
    """The patch of a replay beside the recorded one, both as `check_patch` writes them."""

    verdict: Literal["identical", "differs", "refused"]
    """`refused`: one of them is no patch."""
    why: str = ""
    """What differs, or which is refused and why."""
    expected: str = ""
    """An excerpt of the recorded one from where the two part, if they differ."""
    seen: str = ""


class Replay(NamedTuple):
    """What came of a trajectory that was made again."""

    acts: Replayed
    patch: PatchBeside

    @property
    def faithful(self) -> bool:
        """Whether every act came out as recorded and the patch is identical."""
        return self.acts.faithful and self.patch.verdict == "identical"


async def replay(recording: Recording, repository: Path, commit: str, world: Environment) -> Replay:
    """Make the acts of a recording in a started environment, its workspace being `commit` of a clone or mirror.

    Raises `BadInput` if the recording has no act, or if its commands name a folder of this machine that they could change.
    """
    if not recording.acts:
        raise BadInput("the trajectory has no act: there is nothing to replay")
    _refuse_original(recording, world)
    again = _Again(recording, world)
    acts = await replayed(again.acts(), again.do)
    return Replay(acts, await _patch_beside(recording, again.submitted, repository, commit, world))


def output_bytes(recording: Recording) -> int:
    """Return the limit of output under which nothing that is recorded would be cut."""
    texts = [recording.submission, *(act.output for act in recording.acts if act.output is not None)]
    longest = max(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return min(longest + LEAST_OUTPUT, MOST_OUTPUT)


class _Again:
    """Makes the calls of a recording again, as they were made."""

    def __init__(self, recording: Recording, world: Environment) -> None:
        self._recording, self._world = recording, world
        self._task = AgentTask("Replay a trajectory.", TOOLS, world=world)
        self._by_sh = recording.place.environment.endswith(".LocalEnvironment")
        self.submitted: str | None = None
        """What a command handed in by mini's mark."""

    def acts(self) -> Iterator[RecordedAct]:
        """Return the acts up to the one that hands in: mini makes none after it, though the answer may call for more."""
        for act in self._recording.acts:
            if self.submitted is not None:
                return
            yield act

    async def do(self, call: Call) -> tuple[str, int | None]:
        """Make a call, and return its output and exit code as such a trajectory has them."""
        command = None if self._recording.is_ours else _command(call)
        output, code = await self._by_tool(call) if command is None else await self._by_shell(command)
        here, there = self._world.workspace, self._recording.place.folder
        return (output.replace(here, there) if there.startswith("/") else output), code

    async def _by_shell(self, command: str) -> tuple[str, int | None]:
        try:
            ran = await self._world.execute(
                f"exec /bin/sh -c {shlex.quote(command)}" if self._by_sh else command
            )
        except ToolFailed:
            return "", None  # mini writes so of what no shell can be given
        output = ran.output.replace("\r\n", "\n").replace("\r", "\n")
        self.submitted = _submission(ran._replace(output=output))
        return output, ran.code

    async def _by_tool(self, call: Call) -> tuple[str, int | None]:
        due = self._task.advance(self._task.start(), DecidedCalls((call,), ""))
        seen = await self._task.act(due, Attempt(0))
        assert isinstance(seen, Seen), "nobody is asked: no tool needs a person"
        return seen.text, seen.code if seen.code is not None else int(seen.outcome == "failed")


def _command(call: Call) -> str | None:
    if call.name != SHELL:
        return None
    try:
        found = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return None
    command = found.get("command") if isinstance(found, dict) else None
    return command if isinstance(command, str) else None


def _submission(ran: Ran) -> str | None:
    first, _, rest = ran.output.lstrip().partition("\n")
    return rest if first.strip() == MARK and ran.code == 0 and not ran.left_out else None


def _refuse_original(recording: Recording, world: Environment) -> None:
    """Keep commands that nothing confines from the folder that they once ran in: it may still be somebody's."""
    folder = os.path.normpath(recording.place.folder or ".")
    if world.name != "local" or folder in (".", "/", world.workspace) or not Path(folder).is_dir():
        return
    if any(folder in act.call.arguments for act in recording.acts):
        raise BadInput(
            f"commands of the trajectory name {folder!r}, which is a folder here, and would change it: "
            "replay it in bubblewrap, or move that folder away"
        )


async def _patch_beside(
    recording: Recording, submitted: str | None, repository: Path, commit: str, world: Environment
) -> PatchBeside:
    try:
        expected = await check_patch(encoded(recording.submission), repository, commit)
    except PatchRefused as refused:
        return PatchBeside("refused", f"the recorded submission: {refused}")
    try:
        if submitted is None and not recording.submission and not recording.is_ours:
            found = CheckedPatch("", ())  # nothing was handed in, then as now, whatever lies in the workspace
        else:
            raw = await world.diff() if submitted is None else encoded(submitted)
            found = await check_patch(raw, repository, commit)
    except (PatchRefused, ToolFailed) as refused:
        return PatchBeside("refused", f"the patch of the replay: {refused}")
    if found.text == expected.text:
        return PatchBeside("identical")
    then, now = set(expected.changes), set(found.changes)
    why = [f"only the recorded one has {change.path!r} {change.kind}" for change in _few(then - now)]
    why += [f"only this one has {change.path!r} {change.kind}" for change in _few(now - then)]
    return PatchBeside(
        "differs",
        "; ".join(why) or "the same files are changed otherwise",
        *apart(_without_ids(expected.text), _without_ids(found.text)),
    )


def _without_ids(patch: str) -> str:
    """Return a patch without the ids of what files hold: those differ first, and say nothing to a person."""
    return "\n".join(line for line in patch.split("\n") if not line.startswith("index "))


def _few(changes: set[FileChange], most: int = 5) -> list[FileChange]:
    return sorted(changes)[:most]

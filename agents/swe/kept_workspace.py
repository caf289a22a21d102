"""The workspace of one attempt: made when it is first needed, found again after a kill, made anew where nobody can vouch for it.

A file beside it says which act it has seen last, whether that act had ended, and a digest of all acts so far:

    {"step": 12, "ended": true, "acts": "5f0c..."}

If those are the acts that the journal has, the workspace is as the last of them left it.  If it is not (the runner was killed in the middle of
one, or another machine went on with the run), the workspace is made anew: every recorded act is made in it again, or, where acts must not be
made again, the snapshot is applied that was taken after the last one.
"""

import asyncio
import json
import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from surefoot.errors import BadInput, SurefootError
from surefoot.private_files import replacement
from surefoot.tools.environments.environment import Environment, Ran
from surefoot.tools.failed import ToolFailed

from .recorded import RecordedAct
from .replaying import Kind, compare

PREPARED = -1
"""The step of a workspace that has seen no act."""


class SetUpFailed(SurefootError):
    """The repository or the environment of an instance cannot be prepared."""


class NotRebuilt(SurefootError):
    """A workspace cannot be made again as it was."""


class Act(NamedTuple):
    """An act that the journal has: what came of it, and how it is made again."""

    step: int
    recorded: RecordedAct
    again: Callable[[], Awaitable[tuple[str, int | None]]] | None
    """Makes it, and returns its output and exit code; None for one that changes nothing."""


RecordedActs = Callable[[], AsyncIterator[Act]]
"""The acts that the journal has, in order."""


class KeptWorkspace:
    """An `Environment` that is ready whenever a run goes on: in the first process, in the next one, and on another machine.

    `fill` makes the files in a new folder, `make` an environment of a workspace and of a folder for its own files, `set_up` is run in
    it before the first act.  `seen_as` is the workspace's path as commands see it, known before there is one.  `hosted` says that the workspace
    is a folder of this machine, and not of a container that ends with this process.  With `snapshots` one is taken after every act, as a
    patch: what is ignored by git, and what lies in /tmp, is not in it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seen_as: str,
        fill: Callable[[Path], Awaitable[None]],
        make: Callable[[Path, Path], Environment],
        set_up: Callable[[Environment], Awaitable[bool]],
        hosted: bool = True,
        snapshots: bool = False,
    ) -> None:
        self._folder, self._seen_as = folder, seen_as
        self._hosted, self._snapshots = hosted, snapshots
        self._fill, self._make, self._set_up = fill, make, set_up
        self._world: Environment | None = None
        self._last, self._acts = PREPARED, ""
        self.replayed: Counter[Kind] = Counter()
        """How many acts were made again, by how they came out beside what the journal has."""

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.world.name

    @property
    def workspace(self) -> str:
        """The absolute path of the workspace as commands see it."""
        return self._seen_as

    @property
    def world(self) -> Environment:
        """The environment itself, once it is ready."""
        if self._world is None:
            raise BadInput("the workspace is not ready: no act was begun")
        return self._world

    async def ready(self, acts: RecordedActs, step: int | None = None, *, again: bool = False) -> None:
        """Make it what the journal's last act left behind, for an act at `step` to be made, or to be looked at.

        `again` says that this act may have been made already.  Raises `SetUpFailed`, or `NotRebuilt` if an act that is made again ends with
        another exit code.
        """
        if self._world is not None:
            # A journal that went back under a live run has lost acts that the workspace has seen.
            if not again and (step is None or step > self._last):
                return
            await self.stop()
            self._note_path.unlink(missing_ok=True)
        last, digest = PREPARED, ""
        async for act in acts():
            last, digest = act.step, _digest(digest, act.step, act.recorded)
        try:
            if self._seen() != (last, True, digest):
                await self._anew()
                await (self._restored(last) if self._snapshots else self._again(acts))
            else:
                await self._started()
        except BaseException:
            await self.stop()  # what is made in part is nothing to go on with, or to take a patch of
            raise
        self._last, self._acts = last, digest
        self._note(last, ended=True)

    def begin(self, step: int) -> None:
        """Note that an act begins."""
        self._note(step, ended=False)

    async def end(self, step: int, act: RecordedAct) -> None:
        """Note that it has ended, and what came of it."""
        if self._snapshots:
            await self._take(step)
        self._last, self._acts = step, _digest(self._acts, step, act)
        self._note(step, ended=True)

    def untouched(self) -> None:
        """Note that the act that was begun did nothing after all."""
        self._note(self._last, ended=True)

    async def start(self) -> None:
        """Do nothing: it is made ready for an act, when it is known what the journal has."""

    async def execute(self, command: str, *, timeout_s: float | None = None) -> Ran:
        """Run a command in the workspace."""
        return await self.world.execute(command, timeout_s=timeout_s)

    async def read(self, path: str) -> bytes:
        """Return what a regular file holds."""
        return await self.world.read(path)

    async def write(self, path: str, data: bytes) -> None:
        """Write a file."""
        await self.world.write(path, data)

    async def record(self) -> None:
        """Let `diff` count from here on."""
        await self.world.record()

    async def diff(self) -> bytes:
        """Return what has changed since the set-up."""
        return await self.world.diff()

    async def stop(self) -> None:
        """End whatever still runs; the files stay."""
        world, self._world = self._world, None
        if world is not None:
            await world.stop()

    async def remove(self) -> None:
        """Remove the files, too."""
        await self.stop()
        self._note_path.unlink(missing_ok=True)
        for snapshot in self._folder.glob("snapshot-*.patch"):
            snapshot.unlink()
        await asyncio.to_thread(self._put_away)

    @property
    def is_whole(self) -> bool:
        """Whether the folder is still there, and still a git repository."""
        if not self._hosted:
            return True
        with suppress(OSError):
            return (self._folder / "workspace" / ".git").is_dir()
        return False

    @property
    def _note_path(self) -> Path:
        return self._folder / "workspace.json"

    def _note(self, step: int, *, ended: bool) -> None:
        with replacement(self._note_path) as file:
            json.dump({"step": step, "ended": ended, "acts": self._acts}, file)

    def _seen(self) -> tuple[int, bool, str] | None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads(self._note_path.read_bytes())
            if self._hosted and (self._folder / "workspace").is_dir():
                return found["step"], found["ended"], found["acts"]
        return None

    async def _anew(self) -> None:
        self._note_path.unlink(missing_ok=True)
        await asyncio.to_thread(self._put_away)
        try:
            await self._fill(self._folder / "workspace")
            await self._started()
            if await self._set_up(self.world):
                await self.world.record()  # what the set-up made is no change of the agent's
        except BadInput as error:
            raise SetUpFailed(str(error)) from error

    async def _started(self) -> None:
        workspace, own = self._folder / "workspace", self._folder / "environment"
        own.mkdir(parents=True, exist_ok=True)
        world = self._make(workspace, own)
        try:
            await world.start()
        except BadInput as error:
            raise SetUpFailed(str(error)) from error
        self._world = world

    async def _again(self, acts: RecordedActs) -> None:
        async for act in acts():
            if act.again is None:
                continue
            output, code = await act.again()
            kind = compare(act.recorded, output, code)
            self.replayed[kind] += 1
            if kind == "code":
                call, was = act.recorded.call, act.recorded.code
                raise NotRebuilt(
                    f"the workspace cannot be made again as it was: at step {act.step} {call.name}({call.arguments[:200]}) "
                    f"ended with {was}, and now with {code}"
                )

    async def _take(self, step: int) -> None:
        """Take a snapshot; the one before stays, for it is the one that counts if the journal does not get this act."""
        try:
            patch = await self.world.diff()
        except ToolFailed:
            return  # the act is made and goes into the journal; that there is none of it is said where one is needed
        await asyncio.to_thread(self._snapshot(step).write_bytes, patch)
        for old in self._folder.glob("snapshot-*.patch"):
            if old not in (self._snapshot(step), self._snapshot(self._last)):
                old.unlink()

    async def _restored(self, last: int) -> None:
        if last == PREPARED:
            return
        try:
            patch = await asyncio.to_thread(self._snapshot(last).read_bytes)
        except OSError:
            raise NotRebuilt(
                f"the workspace cannot be made again as it was: there is no snapshot of step {last} on this machine"
            ) from None
        if not patch:
            return
        await self.world.write(".git/surefoot.patch", patch)
        ran = await self.world.execute(
            "git apply --whitespace=nowarn .git/surefoot.patch && rm .git/surefoot.patch"
        )
        if ran.code != 0:
            raise NotRebuilt(
                f"the workspace cannot be made again as it was: the snapshot of step {last} does not apply: {ran.output[:200]!r}"
            )

    def _snapshot(self, step: int) -> Path:
        return self._folder / f"snapshot-{step}.patch"

    def _put_away(self) -> None:
        """Remove the files by way of another name: what is still being ended there writes into nothing that is used."""
        for name in ("workspace", "environment"):
            old = self._folder / f".{name}-{secrets.token_hex(4)}"
            with suppress(FileNotFoundError):
                (self._folder / name).rename(old)
        for old in self._folder.glob(".*-????????"):
            shutil.rmtree(old, ignore_errors=True)


def _digest(before: str, step: int, act: RecordedAct) -> str:
    """Return a digest of all acts so far: after a Redis went back, another act may have the step of one that is lost."""
    said = repr((before, step, act.call.name, act.call.arguments, act.output, act.code))
    return blake2b(said.encode(errors="backslashreplace"), digest_size=16).hexdigest()

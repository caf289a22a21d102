"""What the environments on this machine share: a supervisor, confined files, patches."""

import asyncio
import math
import os
import shlex
import shutil
import stat
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from surefoot.errors import BadInput
from surefoot.printable import encodable
from surefoot.tools.failed import ToolFailed

from .confined import ConfinedFiles
from .environment import Ran
from .limits import LONGEST_COMMAND, Limits
from .patches import patch, record
from .processes import Finished, OpenFile, Supervisor, Waits

USUAL = {
    # As C.UTF-8, which orders by bytes, too; but named by itself it has every shell load a dozen files: a tenth of its start.
    "LANG": "C",
    "LC_CTYPE": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "DEBIAN_FRONTEND": "noninteractive",
    "PYTHONUNBUFFERED": "1",
}
"""Environment variables of every command: nothing asks, pages or paints."""
SHELLS = ("bash", "sh")
WAITS = Waits(text=8, go=9)
# A shell that has the limits waits for the model's command, so that it, and the sandbox around it, can be started while the model thinks
# of one.  A limit that cannot be set is one above that of this process, which then holds.
#
# bash then does with it what `bash -c` does.  Only a trace has one + more, an error of syntax names `eval`, and a single program that a
# signal ends is told of.
BASH = (
    "{{ {limits}; }} 2>/dev/null; IFS= read -r BASH_EXECUTION_STRING <&{go} || exit; "
    'IFS= read -r -d "" BASH_EXECUTION_STRING <&{text}; exec {text}<&- {go}<&-; SECONDS=0; eval -- "$BASH_EXECUTION_STRING"'
)
# Any other becomes the shell that the command is for.
SH = """\
{{ {limits}; }} 2>/dev/null
IFS= read -r surefoot_command <&{go} || exit
surefoot_command=
while IFS= read -r surefoot_line; do surefoot_command="$surefoot_command$surefoot_line
"; done <&{text}
exec {text}<&- {go}<&- {shell} -c -- "$surefoot_command$surefoot_line"
"""
AT_ITS_START = ("BASH_ENV", "SHELLOPTS", "BASH_FUNC_")
"""How environment variables begin that say what bash does first: it is not to do that before it has its limits and a command."""
BLOCK, BLOCK_OF_BASH = 512, 1024
"""Bytes by which a shell counts the size of files: as POSIX has it, and bash where nothing tells it to follow that."""
NO_GIT = 99
BASE = "base"
PATCH = "patch"


class Hosted(ABC):
    """An environment whose workspace is a folder of this machine."""

    def __init__(
        self,
        workspace: str | Path,
        limits: Limits | None,
        environment: Mapping[str, str] | None,
        keep: str | Path | None,
    ) -> None:
        self._limits = limits or Limits()
        self._keep = None if keep is None else Path(keep).absolute()
        self._root = _folder(workspace)
        self._environment = checked(environment or {})
        self._shell = ""
        self._scratch: Path | None = None
        self._supervisor: Supervisor | None = None
        self._patching = asyncio.Lock()
        self._files = ConfinedFiles(self._root, str(self._root))

    @property
    def workspace(self) -> str:
        """The absolute path of the workspace as commands see it."""
        return str(self._root)

    async def start(self) -> None:
        """Make it ready, and write down what the workspace holds, unless `keep` has that; `BadInput` says in a sentence what is missing."""
        if self._supervisor:
            raise BadInput("the environment has been started already")
        # For no other user to open, and named as the kernel names it.
        self._scratch = Path(os.path.realpath(tempfile.mkdtemp(prefix="surefoot-")))  # noqa: ASYNC240
        self._supervisor = Supervisor(self._scratch)
        try:
            await self._prepare(self._scratch)
            if not (self._kept / "git" / BASE).exists():
                await self.record()
        except BaseException:
            await self.stop()
            raise

    async def execute(self, command: str, *, timeout_s: float | None = None) -> Ran:
        """Run a command with `bash -c` (`sh` where there is no bash) in the workspace, standard input empty.

        Everything it started has ended when this returns, whatever it did to live on; cancelling ends it, too.
        """
        check_command(command)
        timeout_s = self._limits.timeout_s if timeout_s is None else timeout_s
        finished = await self._run(command, timeout_s=timeout_s)
        text, left_out = finished.text(self._limits)
        return Ran(text, finished.code, left_out)

    async def read(self, path: str) -> bytes:
        """Return what a regular file holds, within the environment's limit."""
        self._started()
        return await asyncio.to_thread(self._files.read, path, self._limits.read_bytes)

    async def write(self, path: str, data: bytes) -> None:
        """Write a file, making the folders that lead to it; an existing file keeps its mode."""
        self._started()
        await asyncio.to_thread(self._files.write, path, data, self._limits.file_bytes)

    async def record(self) -> None:
        """Let `diff` count from here on."""
        self._started()
        await asyncio.to_thread(_emptied, self._kept / "git")
        await self._git(record(self._own, self.workspace), record=True)

    async def diff(self) -> bytes:
        """Return what has changed since `start`, or since `record`, as a patch that `git apply` takes, new and binary files included."""
        self._started()
        own = self._kept / "git"
        if not (own / BASE).exists():
            raise ToolFailed("there is no patch without git: install git")
        async with self._patching:
            await self._git(patch(self._own, self.workspace), record=False)
            return await asyncio.to_thread(_regular, own / PATCH, self._limits.file_bytes)

    async def stop(self) -> None:
        """End whatever still runs, and remove what lies outside of the workspace, `keep` excepted."""
        supervisor, self._supervisor, self._scratch = self._supervisor, None, None
        if supervisor:
            await supervisor.stop()

    @property
    @abstractmethod
    def _own(self) -> str:
        """The path of git's folder as its commands see it."""

    @abstractmethod
    async def _prepare(self, scratch: Path) -> None:
        """Look for what is needed; raises `BadInput`."""

    @abstractmethod
    async def _run(self, command: str, *, timeout_s: float, git: bool = False) -> Finished:
        """Run a command, one for `git` with `_own` at hand."""

    @property
    def _kept(self) -> Path:
        """Where the files lie that a later start may want to find again."""
        return self._keep or self._started()[1]

    async def _shelled(
        self,
        command: str,
        *,
        timeout_s: float,
        folder: str,
        within: Sequence[str] = (),
        more: Sequence[str] = (),
        stands_on: Sequence[str] = (),
        files: Sequence[OpenFile] = (),
        ahead: bool = True,
        inits: bool = False,
    ) -> Finished:
        """Run a command in a shell that has the limits, and `more` of them, `within` another program."""
        supervisor, _ = self._started()
        limits = self._limits
        plain = not any(name.startswith(AT_ITS_START) for name in self._environment)
        shell = self._shell if plain else shell_in(self._environment["PATH"], "sh")
        is_bash = Path(shell).name == "bash"
        block = BLOCK_OF_BASH if is_bash and "POSIXLY_CORRECT" not in self._environment else BLOCK
        ulimits = (
            "ulimit -c 0",
            f"ulimit -t {math.ceil(limits.cpu_s)}",
            f"ulimit -f {max(int(limits.file_bytes) // block, 1)}",
            f"ulimit -d {max(int(limits.memory_bytes) // 1024, 1)}",
            *more,
        )
        waiting = (BASH if is_bash else SH).format(
            limits="; ".join(ulimits), shell=shlex.quote(self._shell), **WAITS._asdict()
        )
        finished = await supervisor.run(
            [*within, shell, "-c", waiting],
            limits,
            folder=folder,
            environment=self._environment,
            timeout_s=timeout_s,
            files=files,
            waits=WAITS,
            told=command,
            ahead=ahead,
            stands_on=stands_on,
            inits=inits,
        )
        if not (finished.went or finished.ended):
            said = finished.head.decode(errors="replace").strip()
            raise ToolFailed(f"the {'sandbox' if within else 'shell'} cannot be made: {said!r}")
        return finished

    def _started(self) -> tuple[Supervisor, Path]:
        if not self._supervisor or not self._scratch:
            raise BadInput("the environment is not started: `await environment.start()` comes first")
        return self._supervisor, self._scratch

    async def _git(self, script: str, *, record: bool) -> None:
        finished = await self._run(script, timeout_s=self._limits.diff_s, git=True)
        if finished.code == NO_GIT and record:
            return  # `diff` says so: commands and files work without
        if finished.code != 0:
            said = finished.text(self._limits)[0].strip().rpartition("\n")[2]
            why = (
                f"git took more than {self._limits.diff_s:g} s"
                if finished.code is None
                else f"git says {said!r}"
            )
            raise (BadInput if record else ToolFailed)(f"no patch can be made of {self.workspace!r}: {why}")


def checked(environment: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables; raises `BadInput` for what no program can be given."""
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise BadInput(f"{name!r} = {value!r} is no environment variable")
    return dict(environment)


def check_command(command: str) -> None:
    """Raise `ToolFailed` for what no shell can be given."""
    if "\0" in command:
        raise ToolFailed("a command has no NUL character: write a file instead")
    if not encodable(command):
        raise ToolFailed("the command has characters that no text can have (halves of surrogate pairs)")
    if (size := len(command.encode())) > LONGEST_COMMAND:
        raise ToolFailed(
            f"a command has at most {LONGEST_COMMAND} bytes, not {size}: write a file first, and run that"
        )


def _folder(workspace: str | Path) -> Path:
    given = Path(workspace).expanduser()
    if not given.is_dir():
        raise BadInput(f"there is no folder {str(workspace)!r} to work in")
    root = given.resolve()
    if not encodable(str(root)):
        raise BadInput(f"the name of the workspace {str(root)!r} is no text: rename the folder")
    home = Path.home()
    if root == home or root in home.parents:
        raise BadInput(f"{str(root)!r} is no workspace: choose a folder of its own, below your home folder")
    return root


def _emptied(folder: Path) -> None:
    """Make a new folder in the place of what a start that was interrupted may have left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _regular(path: Path, limit: int) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ToolFailed(f"the patch cannot be read: {error.strerror}") from None
    with os.fdopen(file, "rb") as patch:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            raise ToolFailed(
                f"the patch has {found.st_size} bytes, and at most {limit} are taken: remove large files"
            )
        return patch.read(limit)


def shell_in(path: str, *names: str) -> str:
    """Return the shell that commands run in, or the first of these; raises `BadInput` where there is none."""
    for name in names or SHELLS:
        if found := shutil.which(name, path=path):
            return found
    raise BadInput(f"there is no {' and no '.join(names or SHELLS)} in {path!r}")

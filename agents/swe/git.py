"""Git without the user's settings, hooks or network, and the objects of a repository without its own settings.

A repository's `.git/config` can name programs that git starts (file monitors, filters, hooks).  So nothing here runs git in
a folder that an agent has written to: patches are checked in a repository of one's own that borrows the objects alone.
"""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from surefoot.errors import BadInput
from surefoot.printable import printable

LONGEST_S = 900.0
"""Of one command of git's: the history of the largest repositories is copied in less."""
LONGEST_REASON = 300
"""Characters of what git says."""
NO_WORD = "git ended without a word"
SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.autocrlf": "false",
    "core.logAllRefUpdates": "false",
    "core.symlinks": "true",
    "core.protectHFS": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.file.allow": "always",
    "safe.directory": "*",  # others' clones are read, too; what their settings could start is off
    "init.defaultBranch": "main",
}
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": os.devnull,
    "LC_ALL": "C",
}


class GitFailed(Exception):
    """Git said no; its reason is one line."""

    def __init__(self, said: bytes) -> None:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        chosen = next(
            (line for line in lines if line.startswith(("error:", "fatal:"))), lines[0] if lines else ""
        )
        super().__init__(printable(chosen.partition(": ")[2] or chosen)[:LONGEST_REASON] or NO_WORD)


async def git(
    *arguments: str | Path, cwd: Path, stdin: bytes = b"", variables: Mapping[str, str | Path] | None = None
) -> bytes:
    """Run git and return what it prints; raises `GitFailed`, and `BadInput` where there is no git."""
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    # Not by asyncio's own way: where all tasks are cancelled while it starts a process (CPython 3.11.7), as `asyncio.run` does
    # after an error, it waits for ever.
    try:
        process = subprocess.Popen(  # noqa: ASYNC220
            ["git", *settings, *map(str, arguments)],
            cwd=cwd,
            env=_environment(cwd, variables or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        if str(error.filename) == str(cwd):
            raise BadInput(f"{str(cwd)!r} is no folder") from None
        raise BadInput("git is not installed, or not on PATH: install it first") from None
    try:
        printed, said = await asyncio.to_thread(process.communicate, stdin, LONGEST_S)
    except subprocess.TimeoutExpired:
        raise GitFailed(f"git {arguments[0]} took over {LONGEST_S:.0f} s".encode()) from None
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise GitFailed(said)
    return printed


def _environment(cwd: Path, variables: Mapping[str, str | Path]) -> dict[str, str]:
    # A folder inside of somebody's repository is no repository.
    ceiling = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CEILING_DIRECTORIES": str(cwd.absolute().parent),
    }
    return ENVIRONMENT | ceiling | {name: str(value) for name, value in variables.items()}


class Borrowed:
    """A bare repository of one's own that has the objects of another, and nothing else of it."""

    def __init__(self, folder: Path, commit: str) -> None:
        self.folder, self.commit = folder, commit
        self.bare, self.tree = folder / "bare", folder / "tree"

    async def git(self, *arguments: str | Path, stdin: bytes = b"", index: str = "base") -> bytes:
        """Run git with the index of this name, and with `tree`, an empty folder at first, as its working tree."""
        variables = {"GIT_DIR": self.bare, "GIT_WORK_TREE": self.tree, "GIT_INDEX_FILE": self.folder / index}
        return await git(*arguments, cwd=self.tree, stdin=stdin, variables=variables)


@asynccontextmanager
async def borrowed(repository: Path, commit: str) -> AsyncIterator[Borrowed]:
    """Borrow a repository's objects for a while; `BadInput` if there is none, or if it has not this commit.

    `repository` is a clone, a mirror or a bare repository; no file of it is written to.
    """
    objects, shallow = await _places(repository)
    with tempfile.TemporaryDirectory(prefix="surefoot-git-", ignore_cleanup_errors=True) as name:
        found = Borrowed(Path(name), commit)
        found.tree.mkdir()
        await git("init", "-q", "--bare", "--template=", _format(commit), found.bare, cwd=found.folder)
        (found.bare / "objects/info").mkdir(parents=True, exist_ok=True)
        (found.bare / "objects/info/alternates").write_bytes(os.fsencode(objects) + b"\n")
        if shallow.is_file():
            (found.bare / "shallow").write_bytes(shallow.read_bytes())
        try:
            await git("cat-file", "-e", f"{commit}^{{tree}}", cwd=found.bare)
        except GitFailed:
            raise BadInput(
                f"{str(repository)!r} has no commit {commit!r}: fetch it there, or clone the repository again"
            ) from None
        yield found


def _format(commit: str) -> str:
    return f"--object-format={'sha256' if len(commit) == 64 else 'sha1'}"


async def _places(repository: Path) -> tuple[Path, Path]:
    """Return where a repository has its objects, and the list of commits whose parents it lacks."""
    try:
        asked = ("rev-parse", "--path-format=absolute", "--git-path", "objects", "--git-path", "shallow")
        printed = await git(*asked, cwd=repository)
    except GitFailed as failed:
        raise BadInput(
            f"{str(repository)!r} is no git repository: {failed}: clone it there first (git clone --mirror)"
        ) from None
    lines = printed.rstrip(b"\n").split(b"\n")
    if len(lines) != 2:
        raise BadInput(f"{str(repository)!r} has a line break in its path: move it")
    return Path(os.fsdecode(lines[0])), Path(os.fsdecode(lines[1]))


def terminated(names: Iterable[bytes]) -> bytes:
    """Return names as git reads and writes them with `-z`."""
    return b"".join(name + b"\0" for name in names)

"""Files in a workspace that somebody hostile may have filled: no path leads out of it, whatever lies on the way.

Every step of a path is opened by itself, below a folder that is held open and without following links; links are followed by
hand, as far as they stay inside.  Nothing can be exchanged between a look and an open.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from surefoot.tools.failed import ToolFailed

MAX_LINKS = 40
"""As many as Linux follows."""
MAX_STEPS = 100
MAX_QUOTED = 200
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class ConfinedFiles:
    """Reads and writes the regular files below `root`, which commands know as `seen_as`.

    Paths, and the targets of links, are relative, or absolute and below `seen_as`.  Refused, with `ToolFailed`: what leads
    out, and what is no regular file or has a second name, which may lie outside.
    """

    def __init__(self, root: Path, seen_as: str) -> None:
        self._root = root
        self._seen_as = seen_as

    def read(self, path: str, limit: int) -> bytes:
        """Return what a file holds; more than `limit` bytes are refused."""
        with _told(path), self._opened(path, os.O_RDONLY, make=False) as file:
            size = os.fstat(file).st_size
            if size > limit:
                raise ToolFailed(
                    f"{named(path)} holds {size} bytes, and {limit} can be read at a time: read a part with a command"
                )
            data = bytearray()
            while chunk := os.read(file, min(1 << 20, limit + 1 - len(data))):
                data += chunk
                if len(data) > limit:
                    raise ToolFailed(
                        f"{named(path)} has grown beyond the {limit} bytes that can be read at a time"
                    )
            return bytes(data)

    def write(self, path: str, data: bytes, limit: int) -> None:
        """Write a file, making the folders that lead to it; an existing file keeps its mode."""
        if len(data) > limit:
            raise ToolFailed(
                f"{len(data)} bytes for {named(path)} are more than the {limit} that a file may hold"
            )
        with _told(path), self._opened(path, os.O_WRONLY | os.O_CREAT, make=True) as file:
            os.ftruncate(file, 0)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]

    @contextmanager
    def _opened(self, path: str, flags: int, *, make: bool) -> Iterator[int]:
        folders = [os.open(self._root, FOLDER & ~os.O_NOFOLLOW)]
        file = None
        try:
            name = self._walk(path, folders, make=make)
            with suppress(FileNotFoundError):
                # Looked at before it is opened: to open some devices is to act on them.
                _check(path, os.stat(name, dir_fd=folders[-1], follow_symlinks=False))
            file = os.open(name, flags | PLAIN, 0o666, dir_fd=folders[-1])
            _check(path, os.fstat(file))
            yield file
        finally:
            _leave(folders, 0)
            if file is not None:
                os.close(file)

    def _walk(self, path: str, folders: list[int], *, make: bool) -> str:
        """Open the folders down to the last part of a path, each below the one before, and return that part; it is no link."""
        steps = self._steps(path, path)
        links = 0
        while steps:
            if len(steps) > MAX_STEPS:
                raise ToolFailed(f"{named(path)} has too many parts")
            step = steps.pop(0)
            if step == "..":
                _leave(folders, len(folders) - 1)
                if not folders:
                    raise _out(path)
            elif (target := _link(step, folders[-1])) is not None:
                links += 1
                if links > MAX_LINKS:
                    raise ToolFailed(f"{named(path)} leads through too many links")
                if target.startswith("/"):
                    _leave(folders, 1)
                steps = self._steps(target, path) + steps
            elif not steps:
                return step
            else:
                folders.append(_folder(step, folders[-1], make=make))
        raise ToolFailed(f"{named(path)} is a folder, not a file")

    def _steps(self, path: str, asked: str) -> list[str]:
        if path.startswith("/"):
            below = path.removeprefix(self._seen_as.rstrip("/") + "/")
            if below == path and path != self._seen_as:
                raise _out(asked)
            path = "" if below == path else below
        return [step for step in path.split("/") if step not in ("", ".")]


def named(path: str) -> str:
    """Quote a path, its start if it is long: whoever wrote it knows it."""
    return repr(path if len(path) <= MAX_QUOTED else f"{path[:MAX_QUOTED]}...")


def strange(root: Path) -> str:
    """Return the path of the first file below `root` by which commands would reach out of it, or "".

    That is a socket or a pipe, at which another process may listen, a device, and a file with another name outside of `root`.
    """
    names: dict[tuple[int, int], tuple[int, int, str]] = {}
    for folder, _, files, at in os.fwalk(root, follow_symlinks=False):
        for name in files:
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=at, follow_symlinks=False)
                path = str(Path(folder, name).relative_to(root))
                if stat.S_IFMT(found.st_mode) in KINDS:
                    return path
                if found.st_nlink > 1 and stat.S_ISREG(found.st_mode):
                    key = found.st_dev, found.st_ino
                    seen = names.get(key, (0, 0, path))[0]
                    names[key] = seen + 1, found.st_nlink, path
    return next((path for seen, all_of_them, path in names.values() if seen < all_of_them), "")


def _leave(folders: list[int], kept: int) -> None:
    while len(folders) > kept:
        os.close(folders.pop())


def _folder(name: str, below: int, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=below)
    return os.open(name, FOLDER, dir_fd=below)


def _link(name: str, folder: int) -> str | None:
    """Return where a link points, None if it is no link."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None  # what is wrong with it, if anything, is said when it is opened


def _check(path: str, found: os.stat_result) -> None:
    if kind := KINDS.get(stat.S_IFMT(found.st_mode)):
        raise ToolFailed(f"{named(path)} is {kind}, not a file")
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        raise ToolFailed(
            f"{named(path)} has a second name, which may lie outside the workspace: work on a copy of it"
        )


def _out(path: str) -> ToolFailed:
    return ToolFailed(f"{named(path)} leads out of the workspace")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn what the system says about a path into a sentence."""
    try:
        yield
    except OSError as error:
        raise ToolFailed(f"{named(path)} cannot be opened: {error.strerror}") from None
    except ValueError:  # a NUL, or half of a surrogate pair
        raise ToolFailed(f"{named(path)} is no path") from None

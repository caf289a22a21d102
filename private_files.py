"""Files and folders of our own, made by no other user: owner and kind are checked, and no link is followed."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
}


class ForeignFile(OSError):
    """A file at one of our paths is of another kind, or belongs to another user; `strerror` says which and where."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(0, f"{str(path)!r} is {what}")


def exists_as(path: Path, kind: int, found: os.stat_result | None = None) -> bool:
    """Return whether there is anything at `path`; `ForeignFile` if it is not of this kind (`stat.S_IFREG`, ...) or not ours."""
    try:
        found = found or path.lstat()
    except FileNotFoundError:
        return False
    if stat.S_IFMT(found.st_mode) != kind:
        raise ForeignFile(path, f"{_what(found)} where {KINDS[kind]} of surefoot's should be: remove it")
    if found.st_uid != os.geteuid():
        raise ForeignFile(path, f"another user's (user {found.st_uid})")
    if kind == stat.S_IFREG and found.st_nlink > 1:
        raise ForeignFile(path, "a second name of some other file: remove it")
    return True


def _what(found: os.stat_result) -> str:
    return KINDS.get(stat.S_IFMT(found.st_mode), "a device")


def folder(path: Path) -> None:
    """Make a folder that no other user can open, or make the one that is there private; `ForeignFile` or `OSError` if it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError as error:
        raise ForeignFile(Path(error.filename), "not a folder") from None
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_symlink() and path.lstat().st_uid == os.geteuid():
            path = path.resolve()  # a link of one's own making: to another disk, say
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise ForeignFile(path, f"{_what(found)}, not a folder") from None
        exists_as(path, stat.S_IFDIR, found)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)


def open_private(path: Path) -> int:
    """Open a file for writing, made if it is not there, and return its descriptor; what it holds stays.

    Raises `ForeignFile` for a link, a pipe, a device, and for a file of another user's or with a second name.
    """
    exists_as(path, stat.S_IFREG)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError:
        exists_as(path, stat.S_IFREG)  # exchanged since the first look
        raise
    try:
        found = os.fstat(file)
        exists_as(path, stat.S_IFREG, found)
        if found.st_mode & 0o077:
            os.fchmod(file, 0o600)
    except OSError:
        os.close(file)
        raise
    return file


def check_target(path: Path) -> None:
    """Raise `OSError` if a file could not be put at `path` in one go: its folder, or what lies there, does not allow it."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise ForeignFile(path, f"{_what(found)}, not a file")
    with replacement(path, keep=False):
        pass


@contextmanager
def replacement(path: Path, *, keep: bool = True) -> Iterator[TextIO]:
    """Write a text that appears at `path` as a whole when the block ends, and not at all if it fails or not to be kept.

    It is written to a fresh file beside it, whose name cannot be foreseen, and renamed.
    """
    part = path.absolute().with_name(f".surefoot-{secrets.token_hex(12)}")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with os.fdopen(file, "w", encoding="utf-8", errors="backslashreplace") as text:
            yield text
        if keep:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)

"""Files and folders of our own, and of nobody else's making: owner and kind are checked, and no link is followed."""

import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
}


class NotOurs(OSError):
    """What lies at a place of ours is of another kind, or somebody else's; `strerror` says which and where."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(0, f"{str(path)!r} is {what}")


def check(path: Path, kind: int, found: os.stat_result | None = None) -> bool:
    """Return whether there is anything at `path`; `NotOurs` if it is not of this kind (`stat.S_IFREG`, ...) or not ours."""
    try:
        found = found or path.lstat()
    except FileNotFoundError:
        return False
    if stat.S_IFMT(found.st_mode) != kind:
        what = KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        raise NotOurs(path, f"{what} where {KINDS[kind]} of surefoot's should be: remove it")
    if found.st_uid != os.geteuid():
        raise NotOurs(path, f"somebody else's (user {found.st_uid})")
    if kind == stat.S_IFREG and found.st_nlink > 1:
        raise NotOurs(path, "a second name of some other file: remove it")
    return True


def folder(path: Path) -> None:
    """Make a folder that is nobody else's business, or make the one that is there private; `NotOurs` or `OSError` if it cannot be."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_symlink() and path.lstat().st_uid == os.geteuid():
            path = path.resolve()  # a link of one's own making: to another disk, say
        check(path, stat.S_IFDIR)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)


def opened(path: Path) -> int:
    """Open a file for writing, made if it is not there, and return its descriptor; what it holds stays.

    Raises `NotOurs` for a link, a pipe, a device, and for a file of somebody else's or with a second name.
    """
    check(path, stat.S_IFREG)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError:
        check(path, stat.S_IFREG)  # exchanged since the first look
        raise
    try:
        found = os.fstat(file)
        check(path, stat.S_IFREG, found)
        if found.st_mode & 0o077:
            os.fchmod(file, 0o600)
    except OSError:
        os.close(file)
        raise
    return file

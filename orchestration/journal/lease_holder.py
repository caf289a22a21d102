"""Who holds a job: enough to tell a person, and to see that a runner on this machine has died."""

import json
import os
import platform
import secrets
import socket
import time
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from surefoot.printable import printable

PROC = Path("/proc")

_here: set[str] = set()
"""The holders of this process that may hold something."""
_nowhere = secrets.token_hex(8)
"""What a machine is called that cannot be told from others."""


def me() -> str:
    """Return an identity of this runner, a new one at every call; `left` says that it is not used any more."""
    holder = json.dumps(
        {
            "machine": _machine(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "born": _born(os.getpid()),
            "since": time.strftime("%Y-%m-%d %H:%M:%S%z"),
            "nonce": secrets.token_hex(4),
        }
    )
    _here.add(holder)
    return holder


def here() -> str:
    """Name this process for a person and for counts: its host and its number."""
    return f"{printable(socket.gethostname())}:{os.getpid()}"


def left(holder: str) -> None:
    """Say that a holder of this process has given up what it held, whether or not Redis could be told."""
    _here.discard(holder)


def describe(holder: str) -> str:
    """Say who holds, in words; `ValueError` for what is no identity."""
    who = _read(holder)
    return f"process {who['pid']} on {printable(who['host'])}, since {printable(who['since'])}"


def gone(holder: str) -> bool:
    """Whether the holder is certainly gone: a process of this machine that no longer runs, or one of this process that has left.

    Taking its lease at once is safe even if this were wrong, since the fencing token shuts a former holder out.
    `ValueError` for what is no identity.
    """
    who = _read(holder)
    if who["machine"] != _machine():
        return False
    if who["pid"] == os.getpid() and who["born"] == _born(os.getpid()):
        return holder not in _here
    return process_ended(who["pid"], who["born"])


def _read(holder: str) -> dict[str, Any]:
    """Read an identity: it may be any text, nested as deeply as it likes."""
    who = from_json(holder)
    words = ("machine", "host", "born", "since")
    if not isinstance(who, dict) or not all(isinstance(who.get(word), str) for word in words):
        raise ValueError(f"{holder[:60]!r} names no holder")
    if type(who.get("pid")) is not int or not 0 < who["pid"] < 1 << 31:
        raise ValueError(f"{holder[:60]!r} names no process")
    return who


def process_ended(pid: int, born: str, proc: Path = PROC) -> bool:
    """Whether the process of this number that was `born` then runs no longer.


    Not to see it is not enough: /proc may hide the processes of others (hidepid), or be that of another container.  The kernel
    itself is asked; only what it calls alive is looked at for its birth, since another process may have the number by now.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it runs, as another user
    seen = _born(pid, proc)
    return bool(seen and born) and seen != born


def _machine() -> str:
    """Name this machine as far as process numbers mean anything: its boot, its namespaces, and its name.

    Copies of a virtual machine share the first two.  Where Linux tells neither (in some sandboxes), nothing is the same machine.
    """
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [str((PROC / "self/ns" / kind).readlink()) for kind in ("pid", "time")]
    except OSError:
        if platform.system() == "Linux":
            return _nowhere
        return f"{socket.gethostname()} {time.time() - time.monotonic():.0f}"
    return f"{boot} {' '.join(spaces)} {socket.gethostname()}"


def _born(pid: int, proc: Path = PROC) -> str:
    """Return when a process started, in the kernel's own unit; an empty string if that cannot be seen."""
    try:
        if str((proc / "self").readlink()) != str(os.getpid()):
            return ""  # another namespace's, whose numbers mean other processes
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "never, a zombie" if state == "Z" else fields[18]

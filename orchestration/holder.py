"""Who holds a job: enough to tell a person, and to see that a runner on this machine has died."""

import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from ..printable import printable


def me() -> str:
    """Return this runner's identity, a new one at every call."""
    return json.dumps(
        {
            "machine": _machine(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "born": _born(os.getpid()),
            "since": time.strftime("%Y-%m-%d %H:%M:%S%z"),
            "nonce": secrets.token_hex(4),
        }
    )


def describe(holder: str) -> str:
    """Say who holds, in words; `ValueError` for what is no identity."""
    who = _read(holder)
    return f"process {who['pid']} on {printable(who['host'])}, since {printable(who['since'])}"


def gone(holder: str) -> bool:
    """Whether the holder is certainly dead: a process of this machine that no longer runs.

    Taking its lease at once is safe even if this were wrong, since the fencing token shuts a former holder out.
    `ValueError` for what is no identity.
    """
    who = _read(holder)
    return bool(who["machine"] == _machine() and _born(who["pid"]) != who["born"])


def _read(holder: str) -> dict[str, Any]:
    """Read an identity: it may be anybody's word, as deeply nested as it likes."""
    who = from_json(holder)
    words = ("machine", "host", "born", "since")
    if not isinstance(who, dict) or not all(isinstance(who.get(word), str) for word in words):
        raise ValueError(f"{holder[:60]!r} names nobody")
    if type(who.get("pid")) is not int or not 0 < who["pid"] < 1 << 31:
        raise ValueError(f"{holder[:60]!r} names no process")
    return who


def _machine() -> str:
    """Name this machine as far as process ids mean anything: its boot and its process-id namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()} {time.time() - time.monotonic():.0f}"


def _born(pid: int) -> str:
    """Return when a process started, in the kernel's own unit, or an empty string if it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _alive(pid)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _alive(pid: int) -> str:
    """Without /proc a process that answers signal 0 is all there is to see."""
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"

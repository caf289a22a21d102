"""Commands as process trees: one process, `supervisor.py`, starts them, watches them and ends them whole."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from surefoot.errors import BadInput
from surefoot.tools.failed import ToolFailed

from .limits import Limits
from .supervisor import END

SCRIPT = Path(__file__).with_name("supervisor.py")
END_S = 15.0
"""Longest wait for everything to end."""
REASONS = {
    "processes": "it had more than {limits.processes} processes and threads",
    "memory": "its processes held more than {limits.memory_bytes} bytes of memory",
}


class OpenFile(NamedTuple):
    """A file that a command finds open."""

    number: int
    path: str
    flags: int


class Waits(NamedTuple):
    """A program that waits for its command: it is told to go on by a line in one file, and then finds the command in another."""

    text: int
    go: int


class Finished(NamedTuple):
    """What became of a command and all that it had started."""

    code: int | None
    """The exit code, 128 + n where signal n ended it; None where it was ended."""
    ended: str
    """Why it was ended: "time", "processes", "memory", "asked", or "" if it ended by itself."""
    head: bytes
    """The first half of the output, or all of it."""
    tail: bytes
    """The last half, or what follows the head."""
    left_out: int
    """Bytes of output between them."""
    went: bool = True
    """Whether a program that waits for its command has come to that point."""

    def text(self, limits: Limits) -> tuple[str, int]:
        """Return the output as text within the limit, what is missing and why it ended told in it, and the bytes left out."""
        why = REASONS.get(self.ended, "").format(limits=limits)
        last = f"\n[ended: {why}]" if why else ""
        if not self.left_out:
            return (self.head + self.tail).decode(errors="replace") + last, 0
        head, tail = _whole_start(self.head), _whole_end(self.tail)
        left_out = self.left_out + len(self.head) + len(self.tail) - len(head) - len(tail)
        middle = f"\n[{left_out} bytes left out]\n"
        return f"{head.decode(errors='replace')}{middle}{tail.decode(errors='replace')}{last}", left_out


ROOM = 160
"""Bytes of the limit that are kept for what is said about an output."""


class Supervisor:
    """Runs commands one after the other; all that one has started has ended when its `run` returns, or is cancelled.

    If this process ends, however it does, so does everything that runs, and `scratch` is removed.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        self._scratch = scratch
        self._lock = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._late: asyncio.Task[Finished] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(
        self,
        command: Sequence[str],
        limits: Limits,
        *,
        folder: str,
        environment: Mapping[str, str],
        timeout_s: float,
        output_bytes: int | None = None,
        files: Sequence[OpenFile] = (),
        waits: Waits | None = None,
        told: str = "",
        ahead: bool = False,
        stands_on: Sequence[str] = (),
        inits: bool = False,
    ) -> Finished:
        """Run a program, its output and its errors in one stream; raises `ToolFailed` if it cannot be started.

        One that `waits` is `told` its command.  With `ahead` it is started once more when it has ended, for the next call: that takes it up
        if it differs in what is told and how long that may take alone, and if the folders that it `stands_on` are still the same.
        With `inits` all that it starts lives in process namespaces, whose first processes come from the program itself.
        """
        if not 0 < timeout_s < 2**31:
            raise BadInput(f"timeout_s must be a number of seconds above 0, not {timeout_s!r}")
        asked = {
            "command": command,
            "folder": folder,
            "environment": environment,
            "files": [OpenFile(0, "/dev/null", 0), *files],
            "text": waits.text if waits else 0,
            "go": waits.go if waits else 0,
            "told": told,
            "ahead": ahead,
            "stands_on": stands_on,
            "timeout_s": timeout_s,
            "output_bytes": (output_bytes or limits.output_bytes) - ROOM,
            "inits": inits,
            "processes": limits.processes + 2 * inits,  # two are not of the command, but of what confines it
            "memory_bytes": limits.memory_bytes,
        }
        async with self._lock:
            return await self._asked(json.dumps(asked).encode() + b"\n")

    async def stop(self) -> None:
        """End what runs, and the supervisor."""
        process, self._process = self._process, None
        if self._writer:
            self._writer.close()
        if process:
            try:
                await asyncio.to_thread(process.wait, END_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._scratch:
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    async def _asked(self, line: bytes) -> Finished:
        if late := self._late:
            with suppress(ToolFailed):
                await asyncio.shield(late)
            self._late = None
        writer = await self._connected()
        writer.write(line)
        answer = asyncio.ensure_future(self._answer())
        answer.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # seen, if nobody waits for it
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            # Whoever cancels may go on as soon as this returns: by then nothing may run any more.  If it is cancelled while
            # it waits for that, the next command waits.
            writer.write(END + b"\n")
            self._late = answer
            with suppress(ToolFailed, TimeoutError):
                async with asyncio.timeout(END_S):
                    await asyncio.shield(answer)
            raise

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer and self._process and self._process.poll() is None and not self._writer.is_closing():
            return self._writer
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", "-X", "utf8", str(SCRIPT)]
        with theirs:
            # As fast as asyncio's own way, which would start a thread to wait for it.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                command + [str(self._scratch)] * bool(self._scratch),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process to hear, which then cancels
                cwd="/",
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        return self._writer

    async def _answer(self) -> Finished:
        assert self._reader is not None
        try:
            told = json.loads(await self._reader.readuntil())
            head, tail = (
                await self._reader.readexactly(told["head"]),
                await self._reader.readexactly(told["tail"]),
            )
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ToolFailed(
                "the command was ended, and what watches over commands with it: try again"
            ) from None
        if failed := told.get("failed"):
            raise ToolFailed(f"the command could not be started: {failed}")
        code = None if told["ended"] == "time" else told["code"]
        if told["ended"] in REASONS:
            code = 137
        left_out = told["total"] - len(head) - len(tail)
        return Finished(code, told["ended"], head, tail, left_out, told["went"])


def _whole_start(data: bytes) -> bytes:
    """Leave out the start of a character at the end."""
    for back in range(1, min(4, len(data) + 1)):
        if data[-back] >= 0xC0:
            return data[:-back]
        if data[-back] < 0x80:
            break
    return data


def _whole_end(data: bytes) -> bytes:
    """Leave out the end of a character at the start."""
    first = next((at for at, byte in enumerate(data[:4]) if not 0x80 <= byte < 0xC0), 0)
    return data[first:]

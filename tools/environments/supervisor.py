"""Runs commands, one at a time, each with everything that it starts, and ends all of it.

A process of its own, started as a script with the Python standard library alone: `processes.Supervisor` holds the other end of
the socket that is its standard input.  It is a *subreaper*: whatever loses its parent, by a double fork or a session of its own,
becomes its child.  "No child left" therefore means "nothing left", and is what ends a command.  When the other end is gone it
ends what runs, removes its scratch folder and goes.

A request is a line of JSON.  The answer is a line of JSON, then the first and the last bytes of the output.
`end` ends the command that runs.

A program that is given its command as a text, once it is told to go on, can be started before there is one: with `ahead` the
program of the next request is started as soon as this one has been answered.  It is taken if the next request wants the very same.
"""

import array
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
END = b"end"
GO = b"\n"
CHUNK = 1 << 16
LISTED = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110
"""Whether the kernel lists children (CONFIG_PROC_CHILDREN)."""
WATCH_S = 0.1
"""Between two looks at the number of processes and their memory."""
GIVE_UP_S = 10.0
"""After so long, what cannot be killed (it runs as another user) is left."""
LAST = 'chmod -R u+rwX -- "$1" 2>/dev/null; rm -rf -- "$1"'


class Output:
    """The first and the last half of what came, never more than the limit and one chunk."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self.head = bytearray()
        self.tail = bytearray()
        self._first = limit // 2
        self._last = limit - limit // 2

    def add(self, data: bytes) -> None:
        """Take note of what came."""
        self.total += len(data)
        room = self._first - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        self.tail += data
        del self.tail[: -self._last]


class CommandWatch:
    """Why a command and all that it started has to end, looked at now and then."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._deadline: float = time.monotonic() + asked["timeout_s"]
        self._processes: int = asked["processes"]
        self._memory: int = asked["memory_bytes"]
        self._next = time.monotonic() + WATCH_S

    @property
    def wait_s(self) -> float:
        """Seconds until there is something to look at."""
        return max(min(self._deadline, self._next) - time.monotonic(), 0)

    def finds(self) -> str:
        """Return "time", "processes" or "memory", or "" if all is well."""
        now = time.monotonic()
        if now >= self._deadline:
            return "time"
        if now < self._next:
            return ""
        self._next = now + WATCH_S
        tree = list(descendants())
        if sum(map(tasks_of, tree)) > self._processes:
            return "processes"
        # Shared pages count once for every process that maps them: only if that is too much they are told apart.
        if sum(map(resident, tree)) > self._memory and sum(map(proportional, tree)) > self._memory:
            return "memory"
        return ""


def descendants() -> Iterator[int]:
    """Every process below this one; the ends of races are caught by the next look."""
    todo = [os.getpid()]
    while todo:
        for pid in children(todo.pop()):
            todo.append(pid)
            yield pid


def children(pid: int) -> list[int]:
    """Return the children of a process, of all its threads; none if the kernel does not list them."""
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - pathlib takes as long to load as all the rest
            found += map(int, content(f"/proc/{pid}/task/{task}/children").split())
    return found


def orphans() -> list[int]:
    """Children of this process, where the kernel does not list them (CONFIG_PROC_CHILDREN)."""
    me = os.getpid()
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        with suppress(OSError, ValueError, IndexError):
            if int(content(f"/proc/{int(name)}/stat").rpartition(b")")[2].split()[1]) == me:
                found.append(int(name))
    return found


def tasks_of(pid: int) -> int:
    """Return how many threads a process has."""
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    return 0


def resident(pid: int) -> int:
    """Bytes that a process holds in memory, shared ones included."""
    with suppress(OSError, IndexError):
        return int(content(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def proportional(pid: int) -> int:
    """Bytes that a process holds in memory, its part of the shared ones included."""
    with suppress(OSError, IndexError):
        return int(content(f"/proc/{pid}/smaps_rollup").partition(b"\nPss:")[2].split()[0]) * 1024
    return resident(pid)


def content(path: str) -> bytes:
    """Return what a file of /proc holds."""
    file = os.open(path, os.O_RDONLY)
    try:
        data = b""
        while chunk := os.read(file, CHUNK):
            data += chunk
        return data
    finally:
        os.close(file)


class Started:
    """A program that was started: what it writes, and by what it is given a text and told to go on, if it waits for that."""

    WANTED = ("command", "environment", "folder", "files", "text", "go")

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = {name: asked[name] for name in self.WANTED}
        self._grounds = [*map(ground, asked["stands_on"])]
        os.chdir(asked["folder"])
        self.output, writing = os.pipe()
        os.set_blocking(self.output, False)
        self._text = self._go = -1
        self._told = False
        actions: list[Any] = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
        actions += [(os.POSIX_SPAWN_OPEN, file, path, flags, 0o600) for file, path, flags in asked["files"]]
        theirs = [writing]
        try:
            if asked["go"]:
                self._text = above(os.memfd_create("text"))
                going, self._go = os.pipe()
                theirs.append(going := above(going))
                actions += [
                    (os.POSIX_SPAWN_DUP2, self._text, asked["text"]),
                    (os.POSIX_SPAWN_DUP2, going, asked["go"]),
                ]
            self.pid = os.posix_spawn(
                asked["command"][0],
                asked["command"],
                asked["environment"],
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, and what it starts would
            )
        except BaseException:
            self.close()
            raise
        finally:
            for file in theirs:
                os.close(file)

    def fits(self, asked: dict[str, Any]) -> bool:
        """Whether a request wants just this, on the ground that it was started on: a folder may have been replaced meanwhile."""
        same = all(asked[name] == wanted for name, wanted in self._asked.items())
        return same and self._grounds == [*map(ground, asked["stands_on"])]

    def go(self, told: str) -> None:
        """Give it its text, and tell it to go on."""
        if self._go >= 0:
            # Not by `write`: this process and that one share one place in the file, and it reads from the beginning.
            data, place = told.encode(), 0
            while place < len(data):
                place += os.pwrite(self._text, data[place:], place)
            with suppress(BrokenPipeError):  # it has ended before it was told
                os.write(self._go, GO)
                self._told = True

    @property
    def went(self) -> bool:
        """Whether it has heard that."""
        if self._go < 0:
            return True
        left = array.array("i", [0])
        fcntl.ioctl(self._go, termios.FIONREAD, left)
        return self._told and left[0] == 0

    def close(self) -> None:
        """Let go of it."""
        for file in (self.output, self._text, self._go):
            if file >= 0:
                os.close(file)


def above(file: int) -> int:
    """Return the same file under a number that no program is given one under, so that it is not lost before it is handed on."""
    try:
        return fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 64)
    finally:
        os.close(file)


def ground(path: str) -> tuple[int, int] | None:
    """Return what tells a file or folder from another one of its name."""
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib takes as long to load as all the rest
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Server:
    """Takes requests until the other end is gone."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(0))
        self._came = b""
        self._wake, wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._code: int | None = None
        self._pid = 0
        self._ahead: Started | None = None
        """What waits for the next request."""

    def serve(self) -> None:
        """Answer one request after the other."""
        while True:
            while b"\n" not in self._came:
                if not (data := self._socket.recv(CHUNK)):
                    self._drop()
                    return
                self._came += data
            line, _, self._came = self._came.partition(b"\n")
            if line != END:  # else it came too late: the command had ended by itself
                self._answer(json.loads(line))

    def _answer(self, asked: dict[str, Any]) -> None:
        try:
            told, output = self._done(asked)
        except (OSError, ValueError) as error:
            output = Output(0)
            told = {"failed": getattr(error, "strerror", None) or str(error)}
        told |= {"head": len(output.head), "tail": len(output.tail)}
        self._socket.sendall(json.dumps(told).encode() + b"\n" + output.head + output.tail)
        if asked["ahead"] and not self._came:
            with suppress(OSError, ValueError):  # the next request will say it
                self._ahead = self._start(asked)

    def _done(self, asked: dict[str, Any]) -> tuple[dict[str, Any], Output]:
        """Run a program to its end, and return what became of it and its output."""
        ahead = self._ahead
        if ahead is not None:
            self._reap()
            if self._code is None and ahead.fits(asked):
                self._ahead = None
                told, output = self._finish(ahead, asked)
                if told["went"] or told["ended"]:
                    return told, output
                # It was killed before it heard of its command.
        self._drop()
        return self._finish(self._start(asked), asked)

    def _start(self, asked: dict[str, Any]) -> Started:
        program = Started(asked)
        self._code, self._pid = None, program.pid
        return program

    def _finish(self, program: Started, asked: dict[str, Any]) -> tuple[dict[str, Any], Output]:
        output = Output(asked["output_bytes"])
        try:
            program.go(asked["told"])
            ended = self._run(program.output, output, CommandWatch(asked))
        finally:
            self._end(asked["inits"])
            drain(program.output, output)
            went = program.went
            program.close()
        return {"code": self._code, "ended": ended, "total": output.total, "went": went}, output

    def _drop(self) -> None:
        """End what was started ahead: it is not wanted."""
        if self._ahead is not None:
            self._end(inits=False)
            self._ahead.close()
            self._ahead = None

    def _run(self, pipe: int, output: Output, watch: CommandWatch) -> str:
        """Wait until the command has ended by itself, and return "", or until it has to end, and return why."""
        if self._came:
            return "asked"
        poll = select.poll()
        for file in (pipe, self._wake, self._socket.fileno()):
            poll.register(file, select.POLLIN)
        while True:
            for file, _ in poll.poll(watch.wait_s * 1000 + 1):
                if file == self._socket.fileno():
                    return "asked"
                if file == pipe and not (data := read_some(pipe)):
                    poll.unregister(pipe)  # closed by all: the command may go on all the same
                elif file == pipe:
                    output.add(data)
                else:
                    read_some(self._wake)
            self._reap()
            if self._code is not None:
                return ""
            if why := watch.finds():
                return why

    def _reap(self) -> bool:
        """Take note of all that has ended, and return whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            if pid == self._pid:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code

    def _end(self, inits: bool) -> None:
        """Kill all that is left, again and again: what forks meanwhile, and what is handed to us as its parents die.

        With `inits` our children, but for the command, are the first processes of process namespaces, in which all the others
        live.  The kernel takes milliseconds to take down such a namespace after the last of these has gone: nobody waits for that.
        """
        until = time.monotonic() + GIVE_UP_S
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while self._reap() and time.monotonic() < until:
            below = list(descendants()) or orphans()
            for pid in below:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if inits and LISTED and self._code is not None and not any(map(children, below)):
                return
            if poll.poll(5):
                read_some(self._wake)


def read_some(file: int) -> bytes:
    """Read what is there; nothing at the end, or if there is nothing yet."""
    try:
        return os.read(file, CHUNK)
    except BlockingIOError:
        return b""


def drain(pipe: int, output: Output) -> None:
    """Take what is left in the pipe, and no more: somebody else may hold its other end."""
    left = 1 << 20
    while left > 0 and (data := read_some(pipe)):
        output.add(data)
        left -= len(data)


def main() -> None:
    """Serve, then become the shell that removes the scratch folder, if one is named."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no subreaper")
    try:
        Server().serve()
    finally:
        os.chdir("/")
        if len(sys.argv) > 1:
            os.execv("/bin/sh", ["sh", "-c", LAST, "sh", sys.argv[1]])


if __name__ == "__main__":
    main()

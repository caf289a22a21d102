"""Runs commands, one at a time, each with everything that it starts, and ends all of it.

A process of its own, started as a script with the Python standard library alone: `processes.Supervisor` holds the other end of
the socket that is its standard input.  It is a *subreaper*: whatever loses its parent, by a double fork or a session of its own,
becomes its child.  "No child left" therefore means "nothing left", and is what ends a command.  When the other end is gone it
ends what runs, removes its scratch folder and goes.

A request is a line of JSON.  The answer is a line of JSON, then the first and the last bytes of the output.
`end` ends the command that runs.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
END = b"end"
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


class Watch:
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

    def serve(self) -> None:
        """Answer one request after the other."""
        while True:
            while b"\n" not in self._came:
                if not (data := self._socket.recv(CHUNK)):
                    return
                self._came += data
            line, _, self._came = self._came.partition(b"\n")
            if line != END:  # else it came too late: the command had ended by itself
                self._answer(json.loads(line))

    def _answer(self, asked: dict[str, Any]) -> None:
        output = Output(asked["output_bytes"])
        ended = ""
        try:
            pipe = self._spawn(asked)
        except (OSError, ValueError) as error:
            told: dict[str, Any] = {"failed": getattr(error, "strerror", None) or str(error)}
        else:
            try:
                ended = self._run(pipe, output, Watch(asked))
            finally:
                self._end(asked["inits"])
                drain(pipe, output)
                os.close(pipe)
            told = {"code": self._code, "ended": ended, "total": output.total}
        told |= {"head": len(output.head), "tail": len(output.tail)}
        self._socket.sendall(json.dumps(told).encode() + b"\n" + output.head + output.tail)

    def _spawn(self, asked: dict[str, Any]) -> int:
        os.chdir(asked["folder"])
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        actions: list[Any] = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
        actions += [(os.POSIX_SPAWN_OPEN, file, path, flags, 0o600) for file, path, flags in asked["files"]]
        texts = []
        try:
            for number, text in asked["texts"]:
                texts.append(os.memfd_create("text"))
                os.write(texts[-1], text.encode())
                actions.append((os.POSIX_SPAWN_DUP2, texts[-1], number))
            self._pid = os.posix_spawn(
                asked["command"][0],
                asked["command"],
                asked["environment"],
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, and what it starts would
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            for file in (writing, *texts):
                os.close(file)
        self._code = None
        return reading

    def _run(self, pipe: int, output: Output, watch: Watch) -> str:
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

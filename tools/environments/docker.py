"""Commands in a container of an image, by the command line of docker or podman.

Not run on a real engine: no engine is at hand where surefoot is developed.  The command lines are tested against a recording
stand-in that runs what it is given.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence

from surefoot.errors import BadInput
from surefoot.tools.failed import ToolFailed

from .confined import named
from .environment import Ran
from .hosted import NO_GIT, USUAL, check_command, checked
from .limits import Limits
from .patches import patch, record
from .processes import Finished, OpenFile, Supervisor

ENGINES = ("docker", "podman")
ENGINE_VARIABLES = ("PATH", "HOME", "USER", "TMPDIR", "SSH_AUTH_SOCK")
ENGINE_PREFIXES = ("DOCKER_", "CONTAINER_", "CONTAINERS_", "XDG_")
"""What a client takes from the environment: where its engine is."""
ENGINE_S = 600.0
"""Longest wait for the engine: an image may have to be fetched."""
LIFETIME_S = 86400
"""After so long a container ends by itself: nobody else removes it if this process is killed."""
# Process 1 cannot be killed from inside: it takes over orphans, and outlives `kill -9 -1`.
KEEP = f'end=$(( $(date +%s) + {LIFETIME_S} )); while [ "$(date +%s)" -lt "$end" ]; do sleep 60; done'
# The command, then the end of all that it has started: -1 is everything but process 1 and this shell.
RUN = """\
shell=$(command -v bash || command -v sh)
"$shell" -c -- "$1" </dev/null
code=$?
kill -9 -1 2>/dev/null
exit $code
"""
END = "kill -9 -1"
# Links are followed first, then the place is looked at: what leads out, or is no plain file with one name, is refused.
FILE = """\
work=$(readlink -f -- "$1") && folder=$(dirname -- "$2") || exit 90
if [ -n "$3" ]; then
    place=$folder
    while [ ! -e "$place" ] && [ ! -L "$place" ]; do place=$(dirname -- "$place"); done
    place=$(readlink -f -- "$place") || exit 90
    case $place/ in "$work"/*) ;; *) exit 91 ;; esac
    case $folder/ in */../*) exit 91 ;; esac
    mkdir -p -- "$folder" || exit 90
fi
path=$(readlink -f -- "$2") || exit 90
case $path in "$work"/*) ;; *) exit 91 ;; esac
if [ -e "$path" ]; then
    [ -f "$path" ] || exit 92
    [ "$(stat -c %h -- "$path")" = 1 ] || exit 93
fi
"""
READ = (
    FILE + '[ -e "$path" ] || exit 94\n[ "$(stat -c %s -- "$path")" -le "$4" ] || exit 95\ncat -- "$path"\n'
)
WRITE = FILE + 'cat > "$path"\n'
REFUSED = {
    90: "cannot be opened",
    91: "leads out of the workspace",
    92: "is not a file",
    93: "has a second name, which may lie outside the workspace: work on a copy of it",
    94: "cannot be opened: there is no such file",
    95: "holds more than can be read at a time: read a part with a command",
}


class Docker:
    """A folder of a container and a shell in it, by docker or podman, whichever answers.

        Docker("swebench/sweb.eval.x86_64.django_1776_django-11099", "/testbed")
        Docker("python:3.12", "/work", engine="podman", limits=Limits(memory_bytes=2**31))

    The container has no network, no capabilities, and the limits of memory, processes, CPU time and file size.  What commands
    start in it has ended when `execute` returns.  Patches are made by the image's git; a folder of git's lies in the
    container's /tmp, where a hostile command could change it.  The container is removed by `stop`, or ends a day later.

    Not run on a real engine: see the module.
    """

    def __init__(
        self,
        image: str,
        workspace: str = "/testbed",
        *,
        engine: str | None = None,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not image or image.startswith("-") or any(map(str.isspace, image)):
            raise BadInput(f"an image is named like 'python:3.12', not {image!r}")
        if not workspace.startswith("/") or "\0" in workspace:
            raise BadInput(
                f"the workspace of a container is an absolute path in it like '/testbed', not {workspace!r}"
            )
        if engine not in (None, *ENGINES):
            raise BadInput(f"an engine is one of {ENGINES!r}, not {engine!r}")
        self._image = image
        self._workspace = workspace
        self._limits = limits or Limits()
        self._environment = {**USUAL, **checked(environment or {})}
        self._wanted = engine
        self._engine = self._program = ""
        self._container = f"surefoot-{secrets.token_hex(8)}"
        self._own = f"/tmp/.{self._container}"
        self._recorded = False
        self._supervisor: Supervisor | None = None

    @property
    def name(self) -> str:
        """What reports call it: the engine's name."""
        return self._engine or self._wanted or ENGINES[0]

    @property
    def workspace(self) -> str:
        """The absolute path of the workspace in the container."""
        return self._workspace

    async def start(self) -> None:
        """Start the container, fetching the image if need be; `BadInput` says in a sentence what is missing."""
        if self._supervisor:
            raise BadInput("the environment has been started already")
        self._supervisor = Supervisor()
        try:
            self._engine = await self._answering()
            started = await self._client(self._run_line(), timeout_s=ENGINE_S)
            if started.code != 0:
                raise BadInput(f"no container of {self._image!r} starts: {_last(started)!r}")
            await self.record()
        except BaseException:
            await self.stop()
            raise

    async def execute(self, command: str, *, timeout_s: float | None = None) -> Ran:
        """Run a command with `bash -c` (`sh` where there is no bash) in the workspace, standard input empty.

        Everything it started has ended when this returns, whatever it did to live on; cancelling ends it, too.
        """
        check_command(command)
        finished = await self._script(
            command, timeout_s=self._limits.timeout_s if timeout_s is None else timeout_s
        )
        text, left_out = finished.text(self._limits)
        return Ran(text, finished.code, left_out)

    async def read(self, path: str) -> bytes:
        """Return what a regular file holds, within the environment's limit."""
        limit = self._limits.read_bytes
        done = await self._file(READ, path, ("", str(limit)), limit)
        return done.head + done.tail

    async def write(self, path: str, data: bytes) -> None:
        """Write a file, making the folders that lead to it; an existing file keeps its mode."""
        if len(data) > self._limits.file_bytes:
            raise ToolFailed(
                f"{len(data)} bytes for {named(path)} are more than the {self._limits.file_bytes} that a file may hold"
            )
        with _Memory(data) as memory:
            await self._file(WRITE, path, ("make", ""), 4096, memory)

    async def record(self) -> None:
        """Let `diff` count from here on."""
        recorded = await self._script(record(self._own, self._workspace), timeout_s=self._limits.diff_s)
        if recorded.code not in (0, NO_GIT):
            raise BadInput(f"no patch can be made of {self._workspace!r}: {_last(recorded)!r}")
        self._recorded = recorded.code == 0

    async def diff(self) -> bytes:
        """Return what has changed since `start`, or since `record`, as a patch that `git apply` takes, new and binary files included."""
        if not self._recorded:
            raise ToolFailed(f"there is no patch without git: the image {self._image!r} has none")
        made = await self._script(patch(self._own, self._workspace), timeout_s=self._limits.diff_s)
        if made.code != 0:
            raise ToolFailed(f"no patch can be made of {self._workspace!r}: git says {_last(made)!r}")
        limit = self._limits.file_bytes
        done = await self._client(["exec", self._container, "cat", f"{self._own}/patch"], output_bytes=limit)
        if done.code != 0 or done.left_out:
            raise ToolFailed(f"the patch cannot be read: {_last(done)!r}")
        return done.head + done.tail

    async def stop(self) -> None:
        """End whatever still runs, and remove the container."""
        supervisor = self._supervisor
        if supervisor and self._engine:
            try:
                await self._client(["rm", "--force", self._container])
            finally:
                self._engine, self._supervisor = "", None
                await supervisor.stop()
        elif supervisor:
            self._supervisor = None
            await supervisor.stop()

    async def _answering(self) -> str:
        """Return the first engine that answers."""
        said = []
        for engine in [self._wanted] if self._wanted else ENGINES:
            program = shutil.which(engine)
            if not program:
                said.append(f"{engine} is not installed")
                continue
            self._engine, self._program = engine, os.path.abspath(program)  # noqa: ASYNC240, PTH100
            version = await self._client(["version", "--format", "{{.Server.Version}}"], timeout_s=30)
            if version.code == 0:
                return engine
            self._engine = ""
            said.append(f"{engine} says {_last(version)!r}")
        raise BadInput(
            f"no container engine answers: {'; '.join(said)}; start one, or take the environment 'bubblewrap'"
        )

    def _run_line(self) -> Sequence[str]:
        limits = self._limits
        options = {
            "--name": self._container,
            "--network": "none",
            "--cap-drop": "ALL",
            "--security-opt": "no-new-privileges",
            "--pids-limit": str(limits.processes),
            "--memory": str(limits.memory_bytes),
            "--memory-swap": str(limits.memory_bytes),
            "--workdir": self._workspace,
            "--entrypoint": "sh",
        }
        ulimits = (
            "--ulimit",
            "core=0",
            "--ulimit",
            f"cpu={limits.cpu_s}",
            "--ulimit",
            f"fsize={limits.file_bytes}",
        )
        flat = [part for option in options.items() for part in option]
        return ["run", "--detach", "--rm", *flat, *ulimits, self._image, "-c", KEEP]

    async def _script(self, command: str, *, timeout_s: float) -> Finished:
        """Run a command and end what it leaves behind; when it is ended from here, its processes are still to be ended there."""
        variables = [
            part for name, value in self._environment.items() for part in ("--env", f"{name}={value}")
        ]
        line = [
            "exec",
            "--workdir",
            self._workspace,
            *variables,
            self._container,
            "sh",
            "-c",
            RUN,
            "sh",
            command,
        ]
        clean = False
        try:
            finished = await self._client(line, timeout_s=timeout_s)
            clean = finished.code not in (None, 137)
        finally:
            if not clean:
                await asyncio.shield(self._client(["exec", self._container, "sh", "-c", END]))
        return self._checked(finished)

    def _checked(self, finished: Finished) -> Finished:
        # Both engines use exit codes that a command may have, too.
        if finished.code and finished.head.startswith(
            (b"Error response from daemon:", b"Error: no container", b"Cannot connect")
        ):
            raise ToolFailed(f"{self._engine} cannot run the command: {_last(finished)!r}")
        return finished

    async def _file(
        self, script: str, path: str, more: Sequence[str], output_bytes: int, data: "_Memory | None" = None
    ) -> Finished:
        try:
            path.encode()
        except UnicodeEncodeError:
            path = "\0"
        if not path or "\0" in path:
            raise ToolFailed(f"{named(path)} is no path")
        full = path if path.startswith("/") else f"{self._workspace.rstrip('/')}/{path}"
        line = ["exec", *(["--interactive"] if data else []), self._container, "sh", "-c", script, "sh"]
        files = [OpenFile(0, data.path, os.O_RDONLY)] if data else []
        done = await self._client(
            [*line, self._workspace, full, *more], output_bytes=output_bytes, files=files
        )
        if done.code in REFUSED:
            raise ToolFailed(f"{named(path)} {REFUSED[done.code]}")
        if done.code != 0 or done.left_out:
            raise ToolFailed(f"{named(path)} cannot be opened: {_last(done)!r}")
        return done

    async def _client(
        self,
        line: Sequence[str],
        *,
        timeout_s: float = 120.0,
        output_bytes: int | None = None,
        files: Sequence[OpenFile] = (),
    ) -> Finished:
        if not self._supervisor:
            raise BadInput("the environment is not started: `await environment.start()` comes first")
        return await self._supervisor.run(
            [self._program, *line],
            self._limits,
            folder="/",
            environment={
                name: value for name, value in os.environ.items() if name.startswith(ENGINE_VARIABLES)
            },
            timeout_s=timeout_s,
            output_bytes=output_bytes and output_bytes + 4096,
            files=files,
        )


class _Memory:
    """Bytes as a file that another process can open, in no folder."""

    def __init__(self, data: bytes) -> None:
        self._file = os.memfd_create("surefoot")
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"
        with os.fdopen(os.dup(self._file), "wb") as copy:
            copy.write(data)

    def __enter__(self) -> "_Memory":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def _last(finished: Finished) -> str:
    lines = (finished.head + finished.tail).decode(errors="replace").strip().splitlines()
    return lines[-1][:400] if lines else f"exit code {finished.code}"

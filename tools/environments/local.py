"""Commands on this machine as they are, for those that are trusted."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from surefoot.errors import BadInput

from .hosted import LIMITER, USUAL, Hosted, limits_in, shell_in
from .limits import Limits
from .processes import Finished, OpenText

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV")
"""Environment variables that commands see of this process: no keys are among them."""
# bash reads what BASH_ENV names before it does anything else, so that it can be given its limits without another shell to start
# before it, which takes about as long as the rest of a short command.  Neither the variable nor the file is left for the command.
STARTS = "BASH_ENV"
TEXT = 9
LIMITS = """\
{{ ulimit -c 0; ulimit -t {cpu_s}; ulimit -f {file_kib}; ulimit -d {memory_kib}; }} 2>/dev/null
unset {starts}; exec {text}<&-
"""
READ = 77
"""The exit code by which a shell shows that it reads such a text."""
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Local(Hosted):
    """A folder of this machine and a shell in it, with no isolation: a command can do whatever its user can.

        Local("./repo", trusted=True)
        Local("./repo", trusted=True, environment={"MY_VARIABLE": "1"}, limits=Limits(timeout_s=30))

    Limits of time, output, processes, memory and file size hold, and everything that a command starts ends with it: its
    descendants are found although they change their session, and killed.  A program that runs as another user (sudo) cannot
    be, nor can another process be kept from working on behalf of a command (cron, a docker daemon).  `keep` is a folder where what the
    workspace held at the first start is kept, so that after a later start, too, `diff` counts from there.  Linux only.
    """

    name = "local"

    def __init__(
        self,
        workspace: str | Path,
        *,
        trusted: bool = False,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
        keep: str | Path | None = None,
    ) -> None:
        if trusted is not True:
            raise BadInput(
                "commands in the local environment can do whatever you can: "
                "say trusted=True if you trust all of them, or take the environment 'bubblewrap'"
            )
        super().__init__(workspace, limits, environment, keep)
        self._limiting = ""
        """What a shell reads first, if it does."""

    @property
    def _own(self) -> str:
        return str(self._kept / "git")

    async def _prepare(self, scratch: Path) -> None:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._environment = {"PATH": USUAL_PATH, **inherited, **USUAL, **self._environment}
        self._shell = shell_in(self._environment["PATH"])
        if STARTS not in self._environment:
            probe = await self._limited("true", f"exit {READ}", self._limits.timeout_s)
            self._limiting = self._limits_of_bash() if probe.code == READ else ""

    async def _run(self, command: str, *, timeout_s: float, git: bool = False) -> Finished:
        if self._limiting:
            return await self._limited(command, self._limiting, timeout_s)
        return await self._supervised([LIMITER, "-c", self._prelude(), "surefoot", command], timeout_s)

    async def _limited(self, command: str, text: str, timeout_s: float) -> Finished:
        """Run a command in a shell that reads a text first."""
        texts = (OpenText(TEXT, text),)
        return await self._supervised([self._shell, "-c", command], timeout_s, texts)

    async def _supervised(
        self, command: Sequence[str], timeout_s: float, texts: Sequence[OpenText] = ()
    ) -> Finished:
        supervisor, _ = self._started()
        return await supervisor.run(
            command,
            self._limits,
            folder=self.workspace,
            environment={**self._environment, STARTS: f"/dev/fd/{TEXT}"} if texts else self._environment,
            timeout_s=timeout_s,
            texts=texts,
        )

    def _limits_of_bash(self) -> str:
        cpu_s, file_kib, memory_kib = limits_in(self._limits, 1024)
        return LIMITS.format(cpu_s=cpu_s, file_kib=file_kib, memory_kib=memory_kib, starts=STARTS, text=TEXT)

"""Commands on this machine as they are, for those that are trusted."""

import os
from collections.abc import Mapping
from pathlib import Path

from surefoot.errors import BadInput

from .hosted import USUAL, Hosted, shell_in
from .limits import Limits
from .processes import Finished

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TMPDIR", "TZ", "VIRTUAL_ENV")
"""Environment variables that commands see of this process: no keys are among them."""
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

    @property
    def _own(self) -> str:
        return str(self._kept / "git")

    async def _prepare(self, scratch: Path) -> None:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._environment = {"PATH": USUAL_PATH, **inherited, **USUAL, **self._environment}
        self._shell = shell_in(self._environment["PATH"])

    async def _run(self, command: str, *, timeout_s: float, git: bool = False) -> Finished:
        return await self._shelled(
            command, timeout_s=timeout_s, folder=self.workspace, stands_on=[self.workspace]
        )

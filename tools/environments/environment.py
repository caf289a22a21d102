"""The `Environment` seam: where commands run and files lie."""

from typing import NamedTuple, Protocol


class Ran(NamedTuple):
    """What became of a command."""

    output: str
    """Standard output and standard error as they came, no longer than the environment's limit; bytes that are no UTF-8 are replaced."""
    code: int | None
    """The exit code, 128 + n where signal n ended it; None where its time was up."""
    left_out: int = 0
    """Bytes of output that the limit left out, from the middle."""


class Environment(Protocol):
    """A workspace, and a shell in it.

    Paths are relative to the workspace, or absolute and inside of it; what leads out of it, by links too, is refused with
    `ToolFailed`.  Every method but `start` may be called only between `start` and `stop`.
    """

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def workspace(self) -> str:
        """The absolute path of the workspace as commands see it."""
        ...

    async def start(self) -> None:
        """Make it ready; `BadInput` says in a sentence what is missing."""
        ...

    async def execute(self, command: str, *, timeout_s: float | None = None) -> Ran:
        """Run a command with `bash -c` (`sh` where there is no bash) in the workspace, standard input empty.

        Everything it started has ended when this returns, whatever it did to live on; cancelling ends it, too.
        """
        ...

    async def read(self, path: str) -> bytes:
        """Return what a regular file holds, within the environment's limit."""
        ...

    async def write(self, path: str, data: bytes) -> None:
        """Write a file, making the folders that lead to it; an existing file keeps its mode."""
        ...

    async def record(self) -> None:
        """Let `diff` count from here on, as it does from `start`."""
        ...

    async def diff(self) -> bytes:
        """Return what has changed since `start`, or since `record`, as a patch that `git apply` takes, new and binary files included."""
        ...

    async def stop(self) -> None:
        """End whatever still runs."""
        ...

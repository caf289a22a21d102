"""No workspace: for agents whose tools need none."""

from surefoot.tools.failed import ToolFailed

from .environment import Ran

_WHY = "There is no workspace here: no file can be read or written, and no command can be run."


class Nowhere:
    """The environment of an agent that was given none; whatever is tried in it fails in a sentence."""

    name = "nowhere"
    workspace = "/"

    async def start(self) -> None:
        """Do nothing."""

    async def execute(self, command: str, *, timeout_s: float | None = None) -> Ran:
        """Refuse."""
        raise ToolFailed(_WHY)

    async def read(self, path: str) -> bytes:
        """Refuse."""
        raise ToolFailed(_WHY)

    async def write(self, path: str, data: bytes) -> None:
        """Refuse."""
        raise ToolFailed(_WHY)

    async def record(self) -> None:
        """Refuse."""
        raise ToolFailed(_WHY)

    async def diff(self) -> bytes:
        """Refuse."""
        raise ToolFailed(_WHY)

    async def stop(self) -> None:
        """Do nothing."""

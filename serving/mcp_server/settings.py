"""What the tools of an MCP server work with."""

from dataclasses import dataclass, field

import surefoot
from surefoot.errors import BadInput
from surefoot.typed_input import check_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class McpSettings:
    """What the tools of an MCP server work with.  Raises `BadInput` for what cannot be."""

    model: str = "pebble"
    """Who is asked: an address as `surefoot.run` takes it."""
    redis: str | None = None
    """Where jobs are kept; None starts the embedded Redis."""
    options: surefoot.Options | None = field(default=None, repr=False)
    """How a model server is asked; may hold a key."""
    seconds: float = 50.0
    """A call returns after so long at the latest, and its job stands where it is: clients give up after a minute."""
    at_once: int = 4
    """Calls of plan, run and vote that are worked on at a time; one more is refused."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not (self.seconds > 0 and self.at_once > 0):
            raise BadInput(f"seconds and at_once are more than 0, not {self.seconds!r} and {self.at_once!r}")

"""The `Tool` seam: something that an agent may call, with a schema of its arguments and its effect on the world."""

from typing import Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import BaseModel

from .environments.environment import Environment

Effect = Literal["reads", "writes", "irreversible"]
"""What a call does to the world: nothing, something that can be undone, something that cannot."""


class Observed(NamedTuple):
    """What the world answered to a call."""

    text: str
    """What the model is told."""
    code: int | None = None
    """The exit code, where there is one."""
    ends: bool = False
    """Whether the run is over with this call, `text` being its result."""


@runtime_checkable
class Tool(Protocol):
    """Something that an agent may call."""

    @property
    def name(self) -> str:
        """What models call it: letters, digits, `_` and `-`, at most 64 of them."""
        ...

    @property
    def description(self) -> str:
        """What models are told it does."""
        ...

    @property
    def arguments(self) -> type[BaseModel]:
        """The model of its arguments; its JSON schema is what models are shown."""
        ...

    @property
    def effect(self) -> Effect:
        """What it does to the world."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether a call that may have been made already can be made once more with no harm."""
        ...

    async def call(self, arguments: BaseModel, world: Environment) -> Observed:
        """Make the call, with valid arguments; raise `ToolFailed` where it comes to nothing."""
        ...

    def normal(self, arguments: BaseModel, workspace: str = "") -> BaseModel:
        """Return the arguments in the form by which equal calls are equal: paths resolved, commands without idle white space.

        Absolute paths in `workspace`, that of the environment, are equal to those relative to it.
        """
        ...

"""What a request lets a model call, from the tools that it names."""

from collections.abc import Sequence
from typing import Any, Literal

from surefoot.errors import BadInput
from surefoot.models.offers import Offer, ToolSchema, arguments_of

NO_PARAMETERS = {"type": "object", "properties": {}}


def tool_schema(name: str, description: str | None, parameters: dict[str, Any] | None) -> ToolSchema:
    """Return a tool as a model is told of it; `parameters` is the JSON schema of its arguments."""
    return ToolSchema(name, description or "", arguments_of(parameters or NO_PARAMETERS))


def offer_of(
    tools: Sequence[ToolSchema],
    choice: Literal["auto", "required", "none"] = "auto",
    *,
    forced: str | None = None,
    parallel: bool = True,
) -> Offer | None:
    """Return what the model may call, None without tools; one tool that has to be called, `forced`, is the only one that is offered.

    Raises `BadInput` for two tools of one name, and for a call that has to be made and cannot.
    """
    if len({tool.name for tool in tools}) < len(tools):
        raise BadInput("two of the tools have the same name")
    if forced is not None:
        tools, choice = [tool for tool in tools if tool.name == forced], "required"
        if not tools:
            raise BadInput(f"tool_choice names {forced[:64]!r}, which is none of the tools")
    if tools:
        return Offer(tuple(tools), choice, parallel)
    if choice == "required":
        raise BadInput("tool_choice asks for a call, but there are no tools")
    return None

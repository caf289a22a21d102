"""LangChain's tools as tools of an agent; known by what they have, so that the package itself is not needed."""

import inspect
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from surefoot.errors import BadInput

from .bounded_text import one_line, sentence_of
from .environments.environment import Environment
from .failed import ToolFailed
from .function_tool import check_name, observed
from .json_schema import arguments_by_schema
from .tool import Effect, Observed


@dataclass(frozen=True, eq=False)
class LangChainTool:
    """A tool of LangChain."""

    name: str
    description: str
    arguments: type[BaseModel]
    effect: Effect
    repeatable: bool
    tool: Any

    async def call(self, arguments: BaseModel, world: Environment) -> Observed:
        """Invoke it, a blocking one in a thread, as LangChain does; its exception is a `ToolFailed`."""
        given = arguments.model_dump(by_alias=True, exclude_unset=True)
        try:
            return observed(self.name, await self.tool.ainvoke(given))
        except ToolFailed:
            raise
        except (Exception, SystemExit) as error:
            raise ToolFailed(f"{self.name} failed with {sentence_of(error)}") from error

    def normal(self, arguments: BaseModel, workspace: str = "") -> BaseModel:
        """Return the arguments as they are."""
        return arguments


def from_langchain(tool: Any, *, effect: Effect = "writes", repeatable: bool | None = None) -> LangChainTool:
    """Make a tool of one of LangChain's: anything with a name, a description, an args_schema and `ainvoke`.

    effect: what a call does to the world; LangChain's tools do not say.  repeatable: by default where it only reads.
    Raises `BadInput` for what is none, or has no schema that a model can be shown.
    """
    missing = [each for each in ("name", "description", "args_schema", "ainvoke") if not hasattr(tool, each)]
    if missing:
        raise BadInput(
            f"a value of type {type(tool).__name__} is no tool of LangChain: it has no {missing[0]}"
        )
    check_name(tool.name)
    # What LangChain shows to models leaves out the arguments that it fills in itself.
    schema = getattr(tool, "tool_call_schema", None) or tool.args_schema
    if isinstance(schema, dict):
        arguments = arguments_by_schema(tool.name, schema)
    elif inspect.isclass(schema) and issubclass(schema, BaseModel):
        arguments = schema
    else:
        raise BadInput(
            f"the args_schema of tool {tool.name!r} must be a pydantic 2 model or a JSON schema, not {one_line(repr(schema), 120)}"
        )
    return LangChainTool(
        name=tool.name,
        description=tool.description,
        arguments=arguments,
        effect=effect,
        repeatable=effect == "reads" if repeatable is None else repeatable,
        tool=tool,
    )

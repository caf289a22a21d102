"""Our tools as an MCP server over standard input and output, for other people's agents."""

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from pydantic_core import from_json, to_json

from surefoot.errors import BadInput

from .bounded_text import sentence_of
from .checking import checked_call, schema_of
from .environments.environment import Environment
from .failed import ToolFailed
from .tool import Tool

try:
    import mcp.types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server
except ImportError as error:
    # It is an extra, and everything but this works without it: say so only when a server is asked for.
    MISSING: ImportError | None = error
else:
    MISSING = None


async def serve_mcp(tools: Sequence[Tool], environment: Environment, *, name: str = "surefoot") -> None:
    """Offer tools over an environment as an MCP server until standard input ends; starts and stops the environment.

    A call that comes to nothing is an error result with its sentence.  While it serves, what the process prints goes to
    standard error.  Raises `BadInput` for two tools of one name.
    """
    if MISSING is not None:
        raise BadInput(f"MCP needs the package mcp ({MISSING}); install surefoot[mcp]")
    twice = [each for each, times in Counter(tool.name for tool in tools).items() if times > 1]
    if twice:
        raise BadInput(f"two of the tools are called {twice[0]!r}; give one of them another name")
    server = _server({tool.name: tool for tool in tools}, environment, name)
    await environment.start()
    try:
        # Its own diversion is of the descriptor: what Python still holds back would get to the client when that is restored.
        async with stdio_server() as (received, sent):
            with redirect_stdout(sys.stderr):
                await server.run(received, sent, server.create_initialization_options())
    finally:
        await environment.stop()


def _server(tools: dict[str, Tool], environment: Environment, name: str) -> "Server[Any]":
    async def listed(context: Any, params: Any) -> "mcp.types.ListToolsResult":
        return mcp.types.ListToolsResult(tools=list(map(_offered, tools.values())))

    async def called(context: Any, params: "mcp.types.CallToolRequestParams") -> "mcp.types.CallToolResult":
        try:
            tool = tools.get(params.name)
            if tool is None:
                raise ToolFailed(f"there is no tool {params.name[:64]!r}")
            arguments = checked_call(tool, to_json(params.arguments or {}).decode())
            observed = await tool.call(arguments, environment)
        except Exception as error:
            said = error.sentence if isinstance(error, ToolFailed) else sentence_of(error)
            return mcp.types.CallToolResult(content=[mcp.types.TextContent(text=said)], is_error=True)
        return mcp.types.CallToolResult(content=[mcp.types.TextContent(text=observed.text)])

    return Server(name, on_list_tools=listed, on_call_tool=called)


def _offered(tool: Tool) -> "mcp.types.Tool":
    name, description, schema = schema_of(tool)
    return mcp.types.Tool(
        name=name,
        description=description,
        input_schema=from_json(schema),
        annotations=mcp.types.ToolAnnotations(
            read_only_hint=tool.effect == "reads",
            destructive_hint=tool.effect == "irreversible",
            idempotent_hint=tool.repeatable,
        ),
    )

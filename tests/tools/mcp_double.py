"""An MCP server with tools of every kind: `python mcp_double.py` serves over stdio, `app()` over streamable HTTP."""

import asyncio
import os
import sys
from typing import Any

import mcp.types as types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

NUMBERS = {
    "type": "object",
    "title": "Numbers",
    "properties": {
        "a": {"type": "integer", "title": "A"},
        "title": {"type": "string", "pattern": "^(x+x+)+y$"},
    },
    "required": ["a"],
    "additionalProperties": False,
}
ANY = {"type": "object"}
PICTURE = types.ImageContent(data="AAAA", mime_type="image/png")
LINK = types.ResourceLink(name="page", uri="https://example.org/a")
HELD = types.EmbeddedResource(resource=types.TextResourceContents(uri="file:///a", text="held"))
TOOLS: dict[str, tuple[dict[str, Any], types.ToolAnnotations | None]] = {
    "add": (NUMBERS, types.ToolAnnotations(read_only_hint=True)),
    "files.write/all": (ANY, types.ToolAnnotations(idempotent_hint=True, destructive_hint=False)),
    "files_write_all": (ANY, None),
    "drop": (ANY, types.ToolAnnotations(destructive_hint=True)),
    "fail": (ANY, None),
    "break": (ANY, None),
    "blocks": (ANY, None),
    "structured": (ANY, None),
    "long": (ANY, None),
    "wait": (ANY, None),
    "exit": (ANY, None),
    "environment": (ANY, None),
}


async def listed(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    """Give one tool a page."""
    place = int((params.cursor if params else None) or 0)
    name, (schema, hints) = list(TOOLS.items())[place]
    offered = types.Tool(name=name, description=f"Do {name}.", input_schema=schema, annotations=hints)
    more = str(place + 1) if place + 1 < len(TOOLS) else None
    return types.ListToolsResult(tools=[offered], next_cursor=more)


async def called(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    name, given = params.name, params.arguments or {}
    if name == "break":
        raise RuntimeError("not for the client")
    if name == "exit":
        os._exit(3)
    if name == "wait":
        await asyncio.sleep(3600)
    if name == "blocks":
        return types.CallToolResult(content=[types.TextContent(text="text"), PICTURE, LINK, HELD])
    if name == "structured":
        return types.CallToolResult(content=[], structured_content={"n": [1]})
    text = {
        "add": str(given.get("a", 0) + 1),
        "fail": "no such\n\x1b[31m row",
        "long": "x" * 300_000,
        "environment": str(sorted(os.environ)),
    }.get(name, f"{name} {sorted(given)}")
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=name == "fail")


def made() -> Server[Any]:
    return Server("double", on_list_tools=listed, on_call_tool=called)


async def serve() -> None:
    server = made()
    async with stdio_server() as (received, sent):
        await server.run(received, sent, server.create_initialization_options())


if __name__ == "__main__":
    sys.stderr.write("a word on standard error\n")
    asyncio.run(serve())

"""An MCP server made of plain Python functions, as most are: `python mcp_measures.py FILE` notes each call in the file."""

import pathlib
import sys
from typing import Any

from mcp.server.mcpserver import MCPServer

done = pathlib.Path(sys.argv[1])
server = MCPServer("measures")


@server.tool()
def measure(value: str) -> float:
    """Measure."""
    with done.open("a") as file:
        file.write(f"{value}\n")
    return float(value)


@server.tool()
def rows(kind: str) -> Any:
    """List rows."""
    found: dict[str, Any] = {
        "nested": [["a", 1], ["b", None]],
        "empty": [],
        "none": None,
        "text": "two\nlines",
    }
    return found[kind]


@server.tool()
def table() -> list[list[int | None]]:
    """List rows of a declared kind."""
    return [[1, None], [2, 3]]


server.run()

#!/usr/bin/env bash
# mcp 2.3.0, MCPServer: what a model reads of a list that a tool returned is not the list.
#
# A result is sent twice, as structured content for programs and as blocks of text, which an agent puts into the prompt, joined by line
# breaks.  Expected: the text says what the structure says.
# Seen: a list or tuple becomes one block an item, at every depth, and what is None becomes none.  The rows of a table run together; after a
# gap each value stands in the place of the one before it, and the number of values is wrong; a sum beside its parts is three numbers in a
# row.  An empty list and None are both no text at all.  The same list inside a dict is written whole.
# A tool whose list has a meaning beyond its items returns it inside a model or a dict, or as a text of its own.
#
# Seen (Python 3.11.7; what was returned, and the blocks of text):
#   [[1, 2], [3, 4]]: ['1', '2', '3', '4']
#   ['9:00', None, '11:00']: ['9:00', '11:00']
#   (3, [1, 2]): ['3', '1', '2']
#   []: []
#   None: []
#   {'rows': [[1, 2], [3, 4]], 'gap': [None]}: one block, equal to it as JSON
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0

cat > "$folder/lists.py" <<'PY'
import asyncio
import json
from typing import Any

import mcp
from mcp.server.mcpserver import MCPServer

server = MCPServer("lists")
TABLE: list[list[int]] = [[1, 2], [3, 4]]
GAP: list[str | None] = ["9:00", None, "11:00"]
WHOLE = {"rows": TABLE, "gap": [None]}


@server.tool()
def table() -> list[list[int]]:
    """Return rows of two."""
    return TABLE


@server.tool()
def starts() -> list[str | None]:
    """Return when each of three begins; the second does not."""
    return GAP


@server.tool()
def total_and_parts() -> tuple[int, list[int]]:
    """Return a sum, and what it is the sum of."""
    return 3, [1, 2]


@server.tool()
def nobody() -> list[str]:
    """Return an empty list."""
    return []


@server.tool()
def nothing() -> str | None:
    """Return None."""
    return None


@server.tool()
def whole() -> dict[str, Any]:
    """Return lists inside a dict."""
    return WHOLE


async def main() -> None:
    async with mcp.Client(server) as client:
        for tool, returned, expected in (
            ("table", TABLE, ["1", "2", "3", "4"]),
            ("starts", GAP, ["9:00", "11:00"]),
            ("total_and_parts", (3, [1, 2]), ["3", "1", "2"]),
            ("nobody", [], []),
            ("nothing", None, []),
        ):
            answer = await client.call_tool(tool, {})
            blocks = [block.text for block in answer.content]
            print(f"{returned}: {blocks}", flush=True)
            assert not answer.is_error and blocks == expected, answer
            structure = answer.structured_content["result"]
            assert json.dumps(structure) == json.dumps(returned), structure  # the structure is right
        [block] = (await client.call_tool("whole", {})).content
        assert json.loads(block.text) == WHOLE, block
        print(f"{WHOLE}: one block, equal to it as JSON", flush=True)


asyncio.run(main())
PY
timeout 300 "$folder/venv/bin/python" "$folder/lists.py"
echo "mcp 2.3.0: as described"

#!/usr/bin/env bash
# mcp 2.3.0: a tool that returns NaN or infinity has done its work, and its call raises at the client as if it had failed.
#
# A tool is declared to return `float`, and returns NaN: the mean of nothing, a loss that ran off.  JSON has no such number.
# Expected: the server refuses the value, as an error of the tool that the model can read; or the client hands out something for it.
# Seen: the server publishes `{"type": "number"}` and answers `null` beside the text "NaN", without an error.  The client checks the answer
# against the published schema, and `call_tool` raises RuntimeError: not an answer with `is_error`, and no MCPError, which are what a loop of
# tool calls expects.  The work is done; who takes the error for an outage and calls again has it done twice.  A `dict[str, float]`
# with one such value among many is lost as a whole.
# A tool that computes returns `float | None`, or turns what is not finite into an error itself.
#
# Seen (Python 3.11.7, over standard input and output):
#   1.5: answered ['1.5'] {'result': 1.5}, work done 1 time
#   NaN: raised RuntimeError, work done 1 time
#   infinity: raised RuntimeError, work done 1 time
#   NaN among others: raised RuntimeError, work done 1 time
#   what the server sent for NaN: is_error False, ['NaN'] {'result': None}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0

cat > "$folder/server.py" <<'PY'
import pathlib
import sys

from mcp.server.mcpserver import MCPServer

done = pathlib.Path(sys.argv[1])
server = MCPServer("measures")


@server.tool()
def measure(value: str) -> float:
    """Write down that it measured, and return the value."""
    with done.open("a") as file:
        file.write(value + "\n")
    return float(value)


@server.tool()
def measure_all(value: str) -> dict[str, float]:
    """Write down that it measured, and return the value among others."""
    return {"first": 1.0, "second": measure(value)}


server.run("stdio")
PY

cat > "$folder/client.py" <<'PY'
import asyncio
import pathlib
import sys

import mcp
from mcp.client.session import ClientSession

SERVER, DONE = sys.argv[1], pathlib.Path(sys.argv[2])


def told(answer) -> str:
    return f"{[block.text for block in answer.content]} {answer.structured_content}"


async def called(client: mcp.Client, tool: str, value: str) -> tuple[str, int]:
    """Return what a call came to, and how often the tool worked."""
    DONE.write_text("")
    try:
        came = f"answered {told(await client.call_tool(tool, {'value': value}))}"
    except Exception as error:
        assert type(error) is RuntimeError and not isinstance(error, mcp.MCPError), repr(error)
        came = f"raised {type(error).__name__}"
    return came, len(DONE.read_text().split())


async def main() -> None:
    command = mcp.StdioServerParameters(command=sys.executable, args=[SERVER, str(DONE)])
    async with mcp.Client(command) as client:
        for what, tool, value, expected in (
            ("1.5", "measure", "1.5", "answered ['1.5'] {'result': 1.5}"),
            ("NaN", "measure", "nan", "raised RuntimeError"),
            ("infinity", "measure", "inf", "raised RuntimeError"),
            ("NaN among others", "measure_all", "nan", "raised RuntimeError"),
        ):
            came, times = await called(client, tool, value)
            print(f"{what}: {came}, work done {times} time", flush=True)
            assert (came, times) == (expected, 1), (came, times)

        async def unchecked(self: ClientSession, name: str, result: object) -> None:
            """Let an answer through as the server sent it."""

        ClientSession.validate_tool_result = unchecked
        answer = await client.call_tool("measure", {"value": "nan"})
        print(f"what the server sent for NaN: is_error {answer.is_error}, {told(answer)}", flush=True)
        assert not answer.is_error and told(answer) == "['NaN'] {'result': None}", answer


asyncio.run(main())
PY
timeout 300 "$folder/venv/bin/python" "$folder/client.py" "$folder/server.py" "$folder/done"
echo "mcp 2.3.0: as described"

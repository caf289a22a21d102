#!/usr/bin/env bash
# mcp 2.3.0, client over streamable HTTP: one request that cannot be sent ends the whole block of the client.
#
# An open `Client` whose server has gone away is asked to call a tool.  Expected: that call fails, in an exception that the caller can
# catch, and the block of the client goes on, so that the caller may do something else or connect again.
# Seen: the task that opened the client is cancelled.  `except Exception` around the call catches nothing, what follows in the block never
# runs, and the block ends in an ExceptionGroup with the transport's ConnectError.  Over standard input and output the call alone fails.
# Whoever holds many servers in one task loses all of them to one: hold each client in a task of its own.
#
# Seen (Python 3.11.7):
#   http: the call raised CancelledError; the block ended in ExceptionGroup
#   stdio: the call raised MCPError; the block went on
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0 uvicorn==0.38.0

cat > "$folder/server.py" <<'PY'
import os
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


@server.tool()
def ticks() -> int:
    """Say how often it ticked."""
    return 3


@server.tool()
def leave() -> int:
    """Go away without a word, as a server that is killed does."""
    os._exit(0)


if sys.argv[1:]:
    uvicorn.run(server.streamable_http_app(), port=int(sys.argv[1]), log_level="critical")
else:
    server.run("stdio")
PY

cat > "$folder/client.py" <<'PY'
import asyncio
import socket
import subprocess
import sys

import mcp
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

SERVER = sys.argv[1]


async def call_after_the_end(client: mcp.Client, end) -> str:
    """Return what a call raises when the server has gone."""
    assert not (await client.call_tool("ticks", {})).is_error
    await end(client)
    try:
        await asyncio.wait_for(client.call_tool("ticks", {}), 20)
    except BaseException as error:
        print(f"the call raised {type(error).__name__}", flush=True)
        if isinstance(error, asyncio.CancelledError):
            raise
        return type(error).__name__
    return "nothing"


async def over(transport, end) -> tuple[bool, str]:
    """Return whether the block went on after the call, and what it ended in."""
    went_on, ended = False, "nothing"
    try:
        async with mcp.Client(transport) as client:
            await call_after_the_end(client, end)
            went_on = True
    except BaseException as error:
        ended = type(error).__name__
    asyncio.current_task().uncancel()
    return went_on, ended


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def main() -> None:
    port = free_port()
    process = subprocess.Popen([sys.executable, SERVER, str(port)])
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        await asyncio.sleep(0.1)

    async def kill(client) -> None:
        process.kill()
        process.wait()

    http = await over(streamable_http_client(f"http://127.0.0.1:{port}/mcp"), kill)
    print("http: went on, ended in", http, flush=True)

    async def leave(client) -> None:
        try:
            await client.call_tool("leave", {})
        except Exception:
            pass

    command = mcp.StdioServerParameters(command=sys.executable, args=[SERVER])
    stdio = await over(stdio_client(command), leave)
    print("stdio: went on, ended in", stdio, flush=True)
    assert http == (False, "ExceptionGroup"), http
    assert stdio == (True, "nothing"), stdio


asyncio.run(main())
PY
timeout 300 "$folder/venv/bin/python" "$folder/client.py" "$folder/server.py"
echo "mcp 2.3.0: as described"

#!/usr/bin/env bash
# mcp 2.3.0, server over standard input and output: a call that still runs when the input ends is broken off in the middle of its work.
#
# A client writes all that it has to say, closes its end, and reads until the server is done, as a shell pipe does
# (`cat requests.jsonl | server`).  Expected: what came before the end of the input is done and answered, and the server leaves then; its
# output is open, and is read.
# Seen: the tool is cancelled half-way, and the call is answered by the error -32000, "Connection closed", over that very output.
# With the input held open until the answer is there, the same request is done and answered.
# Whoever drives a server by a pipe holds the pipe open until the last answer has come; a tool that changes something has to expect to
# be ended half-way.
#
# Seen (Python 3.11.7):
#   input held open: answered finished, work begun True, work done True, status 0
#   input ended: answered Connection closed, work begun True, work done False, status 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0

cat > "$folder/server.py" <<'PY'
import asyncio
import pathlib
import sys

from mcp.server.mcpserver import MCPServer

folder = pathlib.Path(sys.argv[1])
server = MCPServer("worker")


@server.tool()
async def work() -> str:
    """Work for two seconds."""
    (folder / "begun").touch()
    await asyncio.sleep(2)
    (folder / "done").touch()
    return "finished"


server.run("stdio")
PY

cat > "$folder/client.py" <<'PY'
import json
import pathlib
import subprocess
import sys
import tempfile

SERVER = sys.argv[1]
HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "pipe", "version": "1"},
}


def line(**fields) -> str:
    return json.dumps({"jsonrpc": "2.0", **fields}) + "\n"


def told(answer: dict) -> str:
    """Return the text of a result, or the message of an error."""
    return answer["error"]["message"] if "error" in answer else answer["result"]["content"][0]["text"]


def called(hold_open: bool) -> tuple[str, bool, bool, int]:
    """Return what the call was answered, whether the work was begun and done, and the server's status."""
    folder = pathlib.Path(tempfile.mkdtemp())
    server = subprocess.Popen(
        [sys.executable, SERVER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    server.stdin.write(line(id=1, method="initialize", params=HELLO))
    server.stdin.flush()
    assert json.loads(server.stdout.readline())["id"] == 1
    server.stdin.write(line(method="notifications/initialized"))
    server.stdin.write(line(id=2, method="tools/call", params={"name": "work", "arguments": {}}))
    server.stdin.flush()
    answers = []
    if hold_open:
        answers.append(server.stdout.readline())
    else:
        while not (folder / "begun").exists():
            pass
    server.stdin.close()
    answers += server.stdout
    found = [json.loads(answer) for answer in answers if answer.strip()]
    answered = "; ".join(told(answer) for answer in found if answer.get("id") == 2)
    status = server.wait(60)
    return answered, (folder / "begun").exists(), (folder / "done").exists(), status


for hold_open, expected in ((True, ("finished", True, True, 0)), (False, ("Connection closed", True, False, 0))):
    found = called(hold_open)
    words = "answered {}, work begun {}, work done {}, status {}".format(*found)
    print(f"input {'held open' if hold_open else 'ended'}: {words}", flush=True)
    assert found == expected, found
PY
timeout 300 "$folder/venv/bin/python" "$folder/client.py" "$folder/server.py"
echo "mcp 2.3.0: as described"

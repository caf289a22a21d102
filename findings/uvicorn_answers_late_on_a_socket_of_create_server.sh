#!/usr/bin/env bash
# uvicorn 0.54.0 on CPython 3.11: answers on a socket of `socket.create_server` come some 40 ms late.
#
# `Server.serve(sockets=[...])` takes sockets that are open already, which is how a server learns its port before it is up, or keeps it over
# a restart.  `socket.create_server` is the standard library's way to make one.
# Expected: answers as fast as on a port that uvicorn opens itself.
# Seen: each answer of a kept connection waits for the client's delayed acknowledgement.  asyncio switches Nagle's algorithm off only for a socket whose
# protocol is IPPROTO_TCP; `create_server` makes one with protocol 0, and those that it accepts have the same.  Head and body are two writes, so the
# second waits.  A socket made with the protocol named has no such wait.
#
# Seen (Python 3.11.7, uvicorn 0.54.0, httpx 0.28.1; median of 30 answers over one connection):
#   opened by uvicorn: at once
#   create_server: late
#   the protocol named: at once
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httpx==0.28.1

cat > "$folder/late.py" <<'PY'
import asyncio
import socket
import statistics
import time

import httpx
import uvicorn


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def median_s(own: socket.socket | None) -> float:
    """Serve on a socket, or let uvicorn open one, and return how long an answer takes."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, http="h11", log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=None if own is None else [own]))
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    took = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(30):
            since = time.perf_counter()
            # A body of its own, as of a POST: the server answers in two writes.
            assert (await client.post("/", content=b"x" * 100)).text == "ok"
            took.append(time.perf_counter() - since)
    server.should_exit = True
    await serving
    return statistics.median(took)


def named() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.bind(("127.0.0.1", 0))
    made.listen(100)
    return made


for what, own in (
    ("opened by uvicorn", None),
    ("create_server", socket.create_server(("127.0.0.1", 0))),
    ("the protocol named", named()),
):
    print(f"{what}: {'late' if asyncio.run(median_s(own)) > 0.03 else 'at once'}")
PY
"$folder/venv/bin/python" "$folder/late.py" | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
opened by uvicorn: at once
create_server: late
the protocol named: at once
SEEN

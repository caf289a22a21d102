#!/usr/bin/env bash
# langgraph 1.2.24: `asyncio.timeout` around `ainvoke` does not hold while checkpoints are being written.
#
# With durability "async" (the default) and "exit" a cancelled run waits for its saver, for every checkpoint that is still to be written, however
# long that takes; only a second cancellation ends it at once.  `asyncio.timeout` cancels once.  So with a store that is away, a time-out
# around a graph has no effect until the store is back.  With durability "sync" one cancellation is enough.
#
# Seen (Python 3.11.7, a saver whose every write takes 2 s, a node that sleeps, a time-out of 0.5 s):
#   time-out of 0.5 s: async ended after 4.0 s, exit after 2.5 s, sync after 0.5 s
#   cancelled twice: async ended after 0.1 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langgraph==1.2.24 langgraph-checkpoint==4.3.2

cat > "$folder/timeout.py" <<'PY'
import asyncio
import sys
import time
from typing import TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

WRITE_S, TIMEOUT_S = 2.0, 0.5


class SlowSaver(InMemorySaver):
    async def aput(self, *arguments, **options):
        await asyncio.sleep(WRITE_S)
        return await super().aput(*arguments, **options)


class State(TypedDict):
    n: int


async def think(state: State) -> State:
    await asyncio.sleep(60)
    return state


def run(durability: str):
    graph = StateGraph(State)
    graph.add_node("think", think)
    graph.add_edge(START, "think")
    graph.add_edge("think", END)
    app = graph.compile(checkpointer=SlowSaver())
    return app.ainvoke({"n": 0}, {"configurable": {"thread_id": "1"}}, durability=durability)


async def timed_out_s(durability: str) -> float:
    started = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await run(durability)
    except TimeoutError:
        pass
    return time.monotonic() - started


async def cancelled_twice_s(durability: str) -> float:
    task = asyncio.create_task(run(durability))
    await asyncio.sleep(TIMEOUT_S)
    started = time.monotonic()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.05)
    await asyncio.wait([task])
    return time.monotonic() - started


async def main() -> None:
    took = {durability: await timed_out_s(durability) for durability in ("async", "exit", "sync")}
    twice = await cancelled_twice_s("async")
    print(
        f"time-out of {TIMEOUT_S} s: async ended after {took['async']:.1f} s, exit after {took['exit']:.1f} s, "
        f"sync after {took['sync']:.1f} s"
    )
    print(f"cancelled twice: async ended after {twice:.1f} s")
    waits = took["async"] > WRITE_S and took["exit"] > WRITE_S
    if not waits or took["sync"] > WRITE_S or twice > WRITE_S / 2:
        sys.exit("the behaviour has changed")


asyncio.run(main())
PY
"$folder/venv/bin/python" "$folder/timeout.py"

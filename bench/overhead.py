"""What the engine costs: steps per second with a model that answers at once and is always right, k = 3.

python bench/overhead.py [--disks 14] [--rounds 5]

Six ways to decide the same steps with the same double, prompts and parser, measured in turn in one process:

    engine       surefoot: graph, stride, elections, red flags, and every verdict durable in Valkey (append-only)
    speculating  the same, asking ahead on the leading ballot or on what the draft `recall` remembers: with answers that
                 come at once there is nothing to gain, and the difference is what speculation costs
    notebook     the paper's algorithm as a plain loop in memory: no durability, no flags but the parser's, no audit
    superstep    a LangGraph superstep per step, durability="sync", with surefoot's saver on the same Valkey
    in memory    the same with LangGraph's InMemorySaver

The last two are run for fewer steps: their rate does not depend on the number, their patience does.
"""

import asyncio
import contextlib
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from pages import options, shown
from redis.asyncio import Redis
from rich.console import Console
from servers import redis_server
from ways import K, ahead

import surefoot
from surefoot.models.base import Ask
from surefoot.models.doubles import towers_double
from surefoot.orchestration.checkpoints.saver import RedisSaver

SUPERSTEPS = 1000
double = towers_double()


def towers(disks: int) -> surefoot.Towers:
    """One view, as in the paper: all ways are asked the same prompts."""
    task = surefoot.Towers(disks, "compact")
    task.views = 1
    return task


async def engine(
    task: surefoot.Towers, redis: Redis, rounds: int, speculate: surefoot.Speculation | None = None
) -> float:
    kind = "off" if speculate is None else speculate.draft
    job = f"overhead-{kind}-{rounds}"
    report = await surefoot.run(
        task, surefoot.Settings(k=K), model=double, redis=redis, job=job, speculate=speculate
    )
    assert report.solved
    return report.steps / report.wall_s


def vote(task: surefoot.Towers, state: Any) -> Any:
    """`do_voting` of the paper's notebook: one vote after the other until one is K ahead."""
    votes: Counter[Any] = Counter()
    while True:
        ask = Ask(task.ask(state), 0.1, 750, votes.total())
        ballot = task.read(double.draw(ask).text, state)
        votes[ballot] += 1
        if ahead(votes, ballot):
            return ballot


async def notebook(task: surefoot.Towers, redis: Redis, rounds: int) -> float:
    """`generate_solution` of the paper's notebook."""
    began, state, actions = time.perf_counter(), task.start(), []
    for _ in range(task.steps()):
        ballot = vote(task, state)
        actions.append(ballot[0])
        state = task.advance(state, ballot)
    assert task.solved(state)
    return len(actions) / (time.perf_counter() - began)


class Walk(TypedDict):
    state: Any
    step: int


async def supersteps(task: surefoot.Towers, saver: BaseCheckpointSaver[Any], thread: str) -> float:
    steps = min(SUPERSTEPS, task.steps())

    def decide(state: Walk) -> Walk:
        return {"state": task.advance(state["state"], vote(task, state["state"])), "step": state["step"] + 1}

    def route(state: Walk) -> str:
        return END if state["step"] == steps else "decide"

    graph = StateGraph(Walk)
    graph.add_node("decide", decide)
    graph.add_edge(START, "decide")
    graph.add_conditional_edges("decide", route)
    compiled = graph.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": thread}, "recursion_limit": steps + 10}
    began = time.perf_counter()
    await compiled.ainvoke({"state": task.start(), "step": 0}, config, durability="sync")
    return steps / (time.perf_counter() - began)


async def superstep(task: surefoot.Towers, redis: Redis, rounds: int) -> float:
    return await supersteps(task, RedisSaver(redis, keep=2), f"superstep-{rounds}")


async def in_memory(task: surefoot.Towers, redis: Redis, rounds: int) -> float:
    return await supersteps(task, InMemorySaver(), f"memory-{rounds}")


WAYS: dict[str, Callable[[surefoot.Towers, Redis, int], Awaitable[float]]] = {
    "engine": engine,
    "engine, speculating (leading)": partial(engine, speculate=surefoot.Speculation("leading")),
    "engine, speculating (recall)": partial(engine, speculate=surefoot.Speculation("recall")),
    "notebook": notebook,
    "superstep": superstep,
    "in memory": in_memory,
}


async def measure(disks: int, rounds: int) -> dict[str, list[float]]:
    """Steps per second of every way, round by round."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    with redis_server() as url:
        async with contextlib.aclosing(Redis.from_url(url)) as redis:
            for number in range(rounds):
                for way, run in WAYS.items():
                    rates[way].append(await run(towers(disks), redis, number))
    return rates


def figures(rates: dict[str, list[float]]) -> Iterator[list[str]]:
    for way, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["engine"], found, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        three = (f"{value:,.0f}" for value in (min(found), statistics.median(found), max(found)))
        yield [way, *three, "" if way == "engine" else spread]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--disks", type=int, default=14)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rates = asyncio.run(measure(arguments.disks, arguments.rounds))
    title = f"{2**arguments.disks - 1:,} steps, zero-latency double, k = {K}; steps/s"
    columns = ("", "lowest", "median", "highest", "engine / this (round by round)")
    Console().print(shown(title, columns, figures(rates)))


if __name__ == "__main__":
    main()

"""The checkpoint saver on real servers: conformance, growth, atomicity, back-pressure, isolation."""

import asyncio
import contextlib
import operator
import pickle
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES
from langgraph.checkpoint.conformance.test_utils import (
    generate_checkpoint,
    generate_config,
    generate_metadata,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import MaxConnectionsError, RedisError

from surefoot.errors import BadInput, SurefootError
from surefoot.orchestration.checkpoints.codec import CheckpointAddress, CheckpointRecord
from surefoot.orchestration.checkpoints.layout import Layout
from surefoot.orchestration.checkpoints.saver import (
    KEEP,
    AsyncOnly,
    DamagedCheckpoint,
    RedisSaver,
    UntrustedValue,
)
from surefoot.orchestration.checkpoints.store import LostValue


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


class State(TypedDict):
    i: int
    until: int
    ballast: str


def counting_graph(saver: BaseCheckpointSaver[str], step: Any = lambda state: {"i": state["i"] + 1}) -> Any:
    builder = StateGraph(State)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: END if state["i"] >= state["until"] else "step")
    return builder.compile(checkpointer=saver)


def thread(name: str = "t") -> RunnableConfig:
    return {"configurable": {"thread_id": name}, "recursion_limit": 100_000}


async def everything(saver: RedisSaver, config: RunnableConfig | None) -> list[CheckpointTuple]:
    return [saved async for saved in saver.alist(config)]


async def put(saver: BaseCheckpointSaver[str], name: str = "t", **values: Any) -> RunnableConfig:
    """One checkpoint with these channel values, all new."""
    versions = {channel: saver.get_next_version(None, None) for channel in values}
    checkpoint = generate_checkpoint(channel_values=values, channel_versions=dict(versions))
    return await saver.aput(generate_config(name), checkpoint, generate_metadata(), versions)


async def audit(client: Redis, name: str = "t", prefix: str = "surefoot") -> None:
    """Check the store's own laws: each value is held, counted right, and nothing is left over."""
    ids, checkpoints, blobs, refs, writes, runs, owned, deltas = Layout(prefix).thread(name)
    records = {k: CheckpointRecord.load(v) for k, v in (await client.hgetall(checkpoints)).items()}
    assert set(await client.zrange(ids, 0, -1)) == set(records)
    holders: Counter[bytes] = Counter()
    for address, record in records.items():
        ns = CheckpointAddress.parse(address).ns
        holders.update(f"{ns}\0{held}".encode() for held in record.header["held"])
    assert set(await client.hkeys(blobs)) == set(holders)
    counted = {blob: int(count) for blob, count in (await client.hgetall(refs)).items()}
    assert counted == {blob: count - 1 for blob, count in holders.items() if count > 1}
    for write in await client.zrange(writes, 0, -1):
        assert b"\0".join(write.split(b"\0", 2)[:2]) in records
    for run in await client.zrange(runs, 0, -1):
        assert run.split(b"\0", 1)[1] in records
    for link in await client.zrange(owned, 0, -1):
        assert link.split(b"\0", 2)[2] in records
    assert set(await client.hkeys(deltas)) <= set(records)


# --- the contract -----------------------------------------------------------------------------------


async def test_it_passes_the_official_conformance_suite_with_every_capability(client: Redis) -> None:
    @checkpointer_test(name="RedisSaver")
    async def saver() -> AsyncIterator[BaseCheckpointSaver[str]]:
        yield RedisSaver(client)

    report = await validate(saver)
    assert {name for name, result in report.results.items() if result.detected} == {
        capability.value for capability in ALL_CAPABILITIES
    }
    assert [failure for result in report.results.values() for failure in result.failures] == []


def free_cluster_port() -> int:
    """A free port whose bus port, 10,000 above, is free as well."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            if port + 10_000 > 65_535:
                continue
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 10_000)):
                return port


async def test_it_passes_the_suite_through_a_cluster_client(start_server: Callable[..., Any]) -> None:
    port = free_cluster_port()
    server = start_server("--port", str(port), "--cluster-enabled", "yes")
    async with Redis.from_url(server.url) as node:
        await node.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        async with asyncio.timeout(20):
            while True:
                if "cluster_state:ok" in str(await node.execute_command("CLUSTER", "INFO")):
                    break
                await asyncio.sleep(0.02)

    async with RedisCluster(host="127.0.0.1", port=port) as cluster:

        @checkpointer_test(name="RedisSaver on a cluster")
        async def saver() -> AsyncIterator[BaseCheckpointSaver[str]]:
            yield RedisSaver(cluster)

        report = await validate(saver)
    assert [failure for result in report.results.values() for failure in result.failures] == []
    assert sum(result.tests_passed for result in report.results.values()) > 70


async def test_it_answers_like_the_in_memory_saver_after_any_history(client: Redis) -> None:
    seeds = random.Random(7)
    for round_ in range(20):
        rng = random.Random(seeds.random())
        savers = (RedisSaver(client, keep=None), InMemorySaver())
        stored: list[RunnableConfig] = []
        for _ in range(30):
            ns = rng.choice(["", "sub", "sub|deeper"])
            config = generate_config(f"t{round_}", checkpoint_ns=ns)
            parents = [c for c in stored if c["configurable"]["checkpoint_ns"] == ns]
            if parents and rng.random() < 0.4:
                target, writes = rng.choice(parents), [("a", rng.random()), (INTERRUPT, rng.random())]
                task, path = rng.choice(["t1", "t2"]), rng.choice(["", "p"])
                for saver in savers:
                    await saver.aput_writes(target, writes, task, path)
                continue
            if parents:
                config = rng.choice(parents)
            versions = {
                c: f"{rng.randint(1, 9)}.{rng.random()}" for c in rng.sample("abc", rng.randint(0, 3))
            }
            values = {c: rng.random() for c in versions if rng.random() < 0.8}
            checkpoint = generate_checkpoint(channel_values=values, channel_versions=versions)
            for saver in savers:
                done = await saver.aput(
                    config, checkpoint.copy(), generate_metadata(step=len(stored)), versions
                )
            stored.append(done)
        for ns in ("", "sub", "sub|deeper"):
            ours, theirs = [
                [saved async for saved in saver.alist(generate_config(f"t{round_}", checkpoint_ns=ns))]
                for saver in savers
            ]
            assert ours == theirs
            assert await savers[0].aget_tuple(generate_config(f"t{round_}", checkpoint_ns=ns)) == (
                theirs[0] if theirs else None
            )
        await audit(client, f"t{round_}")


async def test_listing_without_a_config_walks_every_thread_and_without_a_namespace_the_whole_thread(
    client: Redis,
) -> None:
    saver = RedisSaver(client)
    for name in ("a", "b"):
        for ns in ("", "sub"):
            await saver.aput(
                generate_config(name, checkpoint_ns=ns), generate_checkpoint(), generate_metadata(), {}
            )
    assert [s.config["configurable"]["thread_id"] for s in await everything(saver, None)] == [
        "a",
        "a",
        "b",
        "b",
    ]
    namespaces = [s.config["configurable"]["checkpoint_ns"] for s in await everything(saver, thread("a"))]
    assert namespaces == ["sub", ""]
    assert len([s async for s in saver.alist(None, limit=3)]) == 3


async def test_a_long_listing_pages_without_gaps(client: Redis) -> None:
    saver = RedisSaver(client, keep=None)
    ids = [(await put(saver, n=n))["configurable"]["checkpoint_id"] for n in range(100)]
    listed = [
        s.config["configurable"]["checkpoint_id"] for s in await everything(saver, generate_config("t"))
    ]
    assert listed == ids[::-1]


async def test_synchronous_methods_say_what_to_use_instead(client: Redis) -> None:
    saver = RedisSaver(client)
    with pytest.raises(AsyncOnly, match=r"run the graph with ainvoke"):
        counting_graph(saver).invoke({"i": 0, "until": 1}, thread())
    with pytest.raises(AsyncOnly, match=r"await aprune instead"):
        saver.prune(["t"])
    with pytest.raises(SurefootError, match=r"aget_state_history"):
        saver.list(thread())


# --- graphs -----------------------------------------------------------------------------------------


async def test_an_interrupted_graph_resumes_in_another_saver(client: Redis) -> None:
    def ask(state: State) -> dict[str, int]:
        return {"i": interrupt("how far?")}

    first = await counting_graph(RedisSaver(client, keep=1), ask).ainvoke({"i": 0, "until": 5}, thread())
    assert first["__interrupt__"][0].value == "how far?"
    final = await counting_graph(RedisSaver(client, keep=1), ask).ainvoke(Command(resume=7), thread())
    assert final == {"i": 7, "until": 5}
    await audit(client)


async def test_a_run_that_dies_in_a_node_goes_on_from_its_last_superstep(client: Redis) -> None:
    calls: list[int] = []

    def step(state: State) -> dict[str, int]:
        calls.append(state["i"])
        if calls == [0, 1, 2]:
            raise RuntimeError("power cut")
        return {"i": state["i"] + 1}

    graph = counting_graph(RedisSaver(client, keep=2), step)
    with pytest.raises(RuntimeError, match="power cut"):
        await graph.ainvoke({"i": 0, "until": 5}, thread(), durability="sync")
    assert (await graph.ainvoke(None, thread(), durability="sync"))["i"] == 5
    assert calls == [0, 1, 2, 2, 3, 4]


async def test_history_can_be_read_and_forked(client: Redis) -> None:
    graph = counting_graph(RedisSaver(client))
    await graph.ainvoke({"i": 0, "until": 4}, thread())
    history = [s async for s in graph.aget_state_history(thread())]
    assert [s.values.get("i") for s in history] == [4, 3, 2, 1, 0, None]
    fork = await graph.aupdate_state(history[3].config, {"i": 2, "ballast": "forked"})
    assert await graph.ainvoke(None, fork) == {"i": 4, "until": 4, "ballast": "forked"}
    assert [s async for s in graph.aget_state_history(thread())][-6:] == history
    await audit(client)


# --- growth -----------------------------------------------------------------------------------------


async def footprint(client: Redis) -> tuple[int, int]:
    """Keys, and bytes that they take."""
    keys = await client.keys()
    return len(keys), sum([await client.memory_usage(key, samples=0) for key in keys])


async def test_with_keep_the_store_stays_flat_however_many_supersteps_run(client: Redis) -> None:
    graph = counting_graph(RedisSaver(client, keep=3))
    sizes = []
    for until in (50, 100, 400):
        await graph.ainvoke({"i": 0, "until": until, "ballast": "x" * 1000}, thread(), durability="sync")
        sizes.append(await footprint(client))
        assert len(await everything(RedisSaver(client), generate_config("t"))) == 3
    assert len({keys for keys, _ in sizes}) == 1
    assert max(size for _, size in sizes) - min(size for _, size in sizes) < 600
    await audit(client)


async def test_without_keep_a_thread_grows_in_bytes_but_not_in_keys(client: Redis) -> None:
    graph = counting_graph(RedisSaver(client, keep=None))
    await graph.ainvoke({"i": 0, "until": 20}, thread())
    keys, _ = await footprint(client)
    await graph.ainvoke({"i": 0, "until": 200}, thread())
    assert (await footprint(client))[0] == keys <= 8


async def test_an_unchanged_value_is_stored_once(client: Redis) -> None:
    graph = counting_graph(RedisSaver(client))
    await graph.ainvoke({"i": 0, "until": 100, "ballast": "x" * 500_000}, thread())
    # Three copies: the value, the input's write to START, and the START channel's own value.
    assert (await footprint(client))[1] < 4 * 500_000


async def test_checkpoints_of_finished_subgraph_calls_go_with_the_superstep_that_called_them(
    client: Redis,
) -> None:
    saver = RedisSaver(client, keep=2)
    inner = StateGraph(State)
    inner.add_node("plus", lambda state: {"i": state["i"] + 1})
    inner.add_edge(START, "plus")
    graph = counting_graph(saver, inner.compile())
    sizes = []
    for until in (10, 60):
        await graph.ainvoke({"i": 0, "until": until}, thread(), durability="sync")
        sizes.append(await footprint(client))
    assert sizes[0][0] == sizes[1][0]
    assert abs(sizes[0][1] - sizes[1][1]) < 600
    await audit(client)


async def test_a_subgraph_with_memory_of_its_own_keeps_it(client: Redis) -> None:
    class Memory(TypedDict):
        i: int
        calls: Annotated[int, operator.add]

    inner = StateGraph(Memory)
    inner.add_node("count", lambda state: {"calls": 1})
    inner.add_edge(START, "count")
    remembering = inner.compile(checkpointer=True)
    seen: list[int] = []

    async def step(state: State) -> dict[str, int]:
        if state["i"] in (0, 9):
            seen.append((await remembering.ainvoke({"i": state["i"]}))["calls"])
        return {"i": state["i"] + 1}

    await counting_graph(RedisSaver(client, keep=1), step).ainvoke({"i": 0, "until": 10}, thread())
    assert seen == [1, 2]


async def test_a_delta_channel_survives_keep_and_its_old_ancestors_do_not(client: Redis) -> None:
    def extend(log: list[int], news: list[list[int]]) -> list[int]:
        return [*log, *chain.from_iterable(news)]

    class Log(TypedDict):
        i: int
        until: int
        log: Annotated[list[int], DeltaChannel(extend, list, snapshot_frequency=5)]
        slow: Annotated[list[int], DeltaChannel(extend, list, snapshot_frequency=7)]

    def build(saver: RedisSaver) -> Any:
        builder = StateGraph(Log)
        builder.add_node("step", lambda s: {"i": s["i"] + 1, "log": [s["i"]], "slow": [-s["i"]]})
        builder.add_edge(START, "step")
        builder.add_conditional_edges("step", lambda s: END if s["i"] >= s["until"] else "step")
        return builder.compile(checkpointer=saver)

    for until in (3, 17, 18, 19, 20, 21, 22, 60):
        graph = build(RedisSaver(client, keep=2))
        name = f"t{until}"
        await graph.ainvoke({"i": 0, "until": until}, thread(name), durability="sync")
        state = await build(RedisSaver(client)).aget_state(thread(name))
        assert state.values["log"] == list(range(until))
        assert state.values["slow"] == [-i for i in range(until)]
        assert len(await everything(RedisSaver(client), generate_config(name))) <= 2 + 7
        await RedisSaver(client).aprune([name])
        assert (await graph.aget_state(thread(name))).values["log"] == list(range(until))
        await audit(client, name)


async def test_writes_that_come_after_their_checkpoint_was_trimmed_are_swept(client: Redis) -> None:
    saver = RedisSaver(client, keep=1)
    first = await put(saver, n=1)
    await put(saver, n=2)
    await saver.aput_writes(first, [("late", 1)], "task")
    await put(saver, n=3)
    await audit(client)


async def test_a_long_past_is_trimmed_a_batch_at_a_time_and_pruned_to_the_end(client: Redis) -> None:
    hoarder = RedisSaver(client, keep=None)
    for n in range(400):
        await put(hoarder, n=n)
    await put(RedisSaver(client, keep=1), n=400)
    assert 1 < len(await everything(hoarder, generate_config("t"))) < 400
    await audit(client)
    await hoarder.aprune(["t"])
    assert [s.checkpoint["channel_values"] for s in await everything(hoarder, generate_config("t"))] == [
        {"n": 400}
    ]
    await audit(client)


@pytest.mark.parametrize("way", ["thread", "runs", "prune"])
async def test_deleting_a_thread_leaves_no_key_behind(client: Redis, way: str) -> None:
    saver = RedisSaver(client)
    config = thread() | {"metadata": {"run_id": "r1"}}
    await counting_graph(saver).ainvoke({"i": 0, "until": 200}, config)
    if way == "thread":
        await saver.adelete_thread("t")
    elif way == "runs":
        await saver.adelete_for_runs(["r0", "r1"])
    else:
        await saver.aprune(["t"], strategy="delete")
    assert await client.dbsize() == 0


async def test_deleting_a_run_spares_the_values_that_later_runs_share(client: Redis) -> None:
    graph = counting_graph(RedisSaver(client))
    for run in ("r1", "r2"):
        config = thread() | {"metadata": {"run_id": run}}
        start = {"i": 0, "until": 3, "ballast": "kept"} if run == "r1" else {"i": 0}
        await graph.ainvoke(start, config)
    await RedisSaver(client).adelete_for_runs(["r1"])
    assert (await graph.aget_state(thread())).values == {"i": 3, "until": 3, "ballast": "kept"}
    await audit(client)


# --- atomicity and repetition -----------------------------------------------------------------------


async def test_kill_9_of_the_server_loses_nothing_acknowledged_and_leaves_nothing_half_done(
    start_server: Callable[..., Any],
) -> None:
    server = start_server("--appendfsync", "always")
    saved: list[str] = []
    for kill_after in (5, 40, 90):
        async with Redis.from_url(server.url) as client:
            saver = RedisSaver(client, keep=4)

            ready, target = asyncio.Event(), len(saved) + kill_after

            async def work(saver: RedisSaver, ready: asyncio.Event, target: int) -> None:
                while True:
                    config = await put(saver, n=len(saved), ballast="x" * 5000)
                    saved.append(config["configurable"]["checkpoint_id"])
                    await saver.aput_writes(config, [("n", len(saved))], "task")
                    if len(saved) == target:
                        ready.set()

            async def crash(ready: asyncio.Event) -> None:
                await ready.wait()
                server.kill()

            outcome = await asyncio.gather(work(saver, ready, target), crash(ready), return_exceptions=True)
            assert isinstance(outcome[0], RedisError | OSError)
        server.start()
        async with Redis.from_url(server.url) as client:
            found = [
                s.config["configurable"]["checkpoint_id"] for s in await everything(RedisSaver(client), None)
            ]
            assert set(saved[-3:]) <= set(found)
            assert len(found) == 4
            await audit(client)


async def test_doing_everything_twice_leaves_the_same_store(client: Redis) -> None:
    """What a client sees that lost the reply to a call which had been carried out."""

    class Stutterer(RedisSaver):
        async def aput(self, *args: Any) -> RunnableConfig:
            await super().aput(*args)
            return await super().aput(*args)

        async def aput_writes(self, *args: Any) -> None:
            await super().aput_writes(*args)
            await super().aput_writes(*args)

    await counting_graph(Stutterer(client, keep=3)).ainvoke({"i": 0, "until": 30}, thread())
    await audit(client)
    await RedisSaver(client).acopy_thread("t", "copy")
    await RedisSaver(client).acopy_thread("t", "copy")
    await audit(client, "copy")
    originals, copies = [
        await everything(RedisSaver(client), generate_config(name)) for name in ("t", "copy")
    ]
    assert [c.checkpoint for c in copies] == [o.checkpoint for o in originals]
    assert [c.pending_writes for c in copies] == [o.pending_writes for o in originals]


async def test_a_checkpoint_whose_unchanged_values_were_deleted_sends_them_again(client: Redis) -> None:
    saver = RedisSaver(client)
    version = saver.get_next_version(None)
    checkpoint = generate_checkpoint(channel_values={"a": 1}, channel_versions={"a": version})
    await saver.aput(generate_config("t"), checkpoint, generate_metadata(), {"a": version})
    await saver.adelete_thread("t")
    newer = generate_checkpoint(channel_values={"a": 1}, channel_versions={"a": version})
    stored = await saver.aput(generate_config("t"), newer, generate_metadata(), {})
    found = await saver.aget_tuple(stored)
    assert found is not None and found.checkpoint["channel_values"] == {"a": 1}
    await audit(client)


async def test_a_value_lost_from_the_store_is_named_and_not_passed_over(client: Redis) -> None:
    saver = RedisSaver(client)
    await put(saver, verdict=1)
    await client.delete(Layout("surefoot").thread("t")[2])
    with pytest.raises(LostValue, match=r"of thread 't' lacks the value of channel 'verdict'"):
        await saver.aget_tuple(generate_config("t"))
    with pytest.raises(LostValue, match="restore it or delete the thread"):
        await saver.acopy_thread("t", "copy")


async def test_a_server_that_forgot_its_scripts_is_taught_again(client: Redis) -> None:
    saver = RedisSaver(client)
    await put(saver, n=1)
    await client.script_flush()
    await put(saver, n=2)
    assert len(await everything(saver, generate_config("t"))) == 2


# --- back-pressure ----------------------------------------------------------------------------------


async def test_async_durability_runs_on_a_pool_of_two_connections(redis_url: str) -> None:
    async with Redis.from_url(redis_url, max_connections=2) as client:
        with pytest.raises(MaxConnectionsError):
            await asyncio.gather(*(client.ping() for _ in range(50)))
        final = await counting_graph(RedisSaver(client, keep=5)).ainvoke(
            {"i": 0, "until": 1000}, thread(), durability="async"
        )
        assert final["i"] == 1000


async def test_a_thousand_writes_at_once_queue_for_a_few_connections(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        saver = RedisSaver(client, connections=3)
        config = await put(saver, n=0)
        await asyncio.gather(*(saver.aput_writes(config, [("n", n)], f"task {n}") for n in range(1000)))
        found = await saver.aget_tuple(config)
        assert found is not None and len(found.pending_writes or []) == 1000
        assert (await client.info("clients"))["connected_clients"] <= 3


async def test_it_waits_while_others_hold_every_connection_of_a_shared_pool(redis_url: str) -> None:
    async with Redis.from_url(redis_url, max_connections=2) as client:
        held = [await client.connection_pool.get_connection() for _ in range(2)]
        waiting = asyncio.create_task(put(RedisSaver(client), n=1))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        for connection in held:
            await client.connection_pool.release(connection)
        assert (await waiting)["configurable"]["thread_id"] == "t"


# --- isolation --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["t", "a{b}c", "}{", "{}", "100%", "naïve ✓", "a\0b", "*", "x" * 500, "a/b:c"]
)
async def test_all_keys_of_a_thread_share_a_slot_and_its_name_comes_back(client: Redis, name: str) -> None:
    saver = RedisSaver(client)
    await counting_graph(saver).ainvoke({"i": 0, "until": 3}, thread(name) | {"metadata": {"run_id": "r"}})
    keys = await client.keys()
    assert len(keys) == 6
    assert len({key_slot(key) for key in keys}) == 1
    assert {s.config["configurable"]["thread_id"] for s in await everything(saver, None)} == {name}
    await saver.adelete_for_runs(["r"])
    assert await client.dbsize() == 0


async def test_savers_with_different_prefixes_do_not_see_each_other(client: Redis) -> None:
    one, other = RedisSaver(client, prefix="one"), RedisSaver(client, prefix="one.more")
    await put(one, a=1)
    await put(other, a=2)
    await other.adelete_for_runs(["r"])
    await other.adelete_thread("t")
    assert await everything(other, None) == []
    assert [s.checkpoint["channel_values"] for s in await everything(one, None)] == [{"a": 1}]


async def test_versions_differ_between_processes_that_seed_random_alike(client: Redis) -> None:
    saver = RedisSaver(client)
    made = []
    for _ in range(2):
        random.seed(0)
        made.append(saver.get_next_version("000000000041.aaaaaaaaaaaa"))
    assert made[0] != made[1]
    assert all(version.startswith("000000000042.") for version in made)
    assert saver.get_next_version("9" * 3) > saver.get_next_version(None)


@dataclass
class Point:
    x: int


async def test_nothing_is_pickled_and_only_named_types_are_rebuilt(client: Redis) -> None:
    saver = RedisSaver(client)
    config = await put(saver, point=Point(3))
    found = await saver.aget_tuple(config)
    assert found is not None and not isinstance(found.checkpoint["channel_values"]["point"], Point)
    trusting = RedisSaver(client, serde=JsonPlusSerializer(allowed_msgpack_modules=[Point]))
    found = await trusting.aget_tuple(config)
    assert found is not None and found.checkpoint["channel_values"]["point"] == Point(3)
    with pytest.raises(TypeError):
        await put(saver, handle=object())
    for key in await client.hgetall(Layout("surefoot").thread("t")[2]):
        assert not key.startswith(pickle.dumps(Point(3))[:2])


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keep": 0}, r"cannot keep 0 checkpoints"),
        ({"keep": -3}, r"cannot keep -3 checkpoints"),
        ({"connections": 0}, r"with 0 connections"),
        ({"prefix": ""}, r"prefix '' cannot be used"),
        ({"prefix": "a{b}"}, r"prefix 'a\{b\}' cannot be used"),
        ({"prefix": "a*"}, r"prefix 'a\*' cannot be used"),
    ],
)
async def test_options_that_cannot_work_are_refused(client: Redis, options: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        RedisSaver(client, **options)


async def test_a_client_that_decodes_replies_is_refused(redis_url: str) -> None:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        with pytest.raises(BadInput, match="without decode_responses"):
            RedisSaver(client)


async def test_names_that_cannot_be_stored_are_refused(client: Redis) -> None:
    saver = RedisSaver(client)
    with pytest.raises(BadInput, match="thread id ''"):
        await saver.aget_tuple(generate_config("t") | {"configurable": {"thread_id": ""}})
    with pytest.raises(BadInput, match="names no thread"):
        await saver.aget_tuple({"configurable": {}})
    with pytest.raises(BadInput, match=r"'a\\x00b' cannot be stored"):
        await saver.aget_tuple(generate_config("t", checkpoint_ns="a\0b"))
    with pytest.raises(BadInput, match="strategy 'newest' is unknown"):
        await saver.aprune(["t"], strategy="newest")


# --- what a thread takes --------------------------------------------------------------------------------


class NoCipher:
    """A cipher that hides nothing: only what goes past it matters here."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "none", plaintext

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        return ciphertext


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def chat_graph(saver: BaseCheckpointSaver[str]) -> Any:
    """A chat whose messages grow by two a turn, of 600 and 900 characters."""
    builder = StateGraph(Chat)
    builder.add_node("agent", lambda state: {"messages": [AIMessage("b" * 900)]})
    builder.add_edge(START, "agent")
    builder.add_edge("agent", END)
    return builder.compile(checkpointer=saver)


async def chat_bytes(client: Redis, saver: RedisSaver, turns: int) -> int:
    """The memory that a chat of so many turns takes, in bytes."""
    graph = chat_graph(saver)
    for _ in range(turns):
        await graph.ainvoke(
            {"messages": [HumanMessage("a" * 600)]}, thread(f"chat-{turns}"), durability="sync"
        )
    sizes = [await client.memory_usage(key, samples=0) for key in Layout("surefoot").thread(f"chat-{turns}")]
    return sum(size or 0 for size in sizes)


async def test_a_thread_whose_messages_grow_takes_linear_room_as_the_saver_comes(client: Redis) -> None:
    """Z13: 25, 50, 100, 200 turns took 1.7, 6.3, 24, 94 MB."""
    short, long = [await chat_bytes(client, RedisSaver(client), turns) for turns in (60, 120)]
    assert long < 2.6 * short  # quadratic: 4
    assert len(await everything(RedisSaver(client), generate_config("chat-120"))) == KEEP


@pytest.mark.parametrize("before", [1, 10, 15], ids=lambda before: f"Z13 {before} turns back")
async def test_a_chat_can_be_looked_back_at_and_forked_as_the_saver_comes(client: Redis, before: int) -> None:
    await chat_bytes(client, RedisSaver(client), 60)
    graph = chat_graph(RedisSaver(client))
    past = [state async for state in graph.aget_state_history(thread("chat-60")) if not state.next]
    found = past[before]
    assert len(found.values["messages"]) == 2 * (60 - before)
    forked = await graph.ainvoke({"messages": [HumanMessage("again")]}, found.config)
    assert [message.content for message in forked["messages"][-2:]] == ["again", "b" * 900]
    assert len(forked["messages"]) == 2 * (60 - before) + 2


# --- what others wrote ----------------------------------------------------------------------------------

HUMAN = b'{"lc": 2, "type": "constructor", "id": ["langchain_core", "messages", "human", "HumanMessage"], "kwargs": {"content": "x"}}'


async def with_blob(client: Redis, packed: bytes) -> None:
    """A thread whose value was written by another program."""
    await put(RedisSaver(client), n=1)
    blobs = Layout("surefoot").thread("t")[2]
    (name,) = await client.hkeys(blobs)
    await client.hset(blobs, name, packed)


@pytest.mark.parametrize(
    "packed",
    [
        b"json\0" + HUMAN,
        b"json\0[1]",
        b"json\0" + HUMAN.replace(b'"lc": 2', b'"lc": 1'),
        b"json\0" + HUMAN.replace(b"human", b"ai"),
    ],
    ids=lambda packed: f"Z18 {packed[:30]!r}",
)
@pytest.mark.parametrize(
    "serde",
    [
        None,
        JsonPlusSerializer(allowed_msgpack_modules=None),
        JsonPlusSerializer(),
        EncryptedSerializer(NoCipher()),
    ],
    ids=["as it comes", "strict", "LangGraph's default", "encrypted"],
)
async def test_a_value_of_the_kind_json_is_refused_unless_it_was_allowed(
    client: Redis, packed: bytes, serde: Any
) -> None:
    await with_blob(client, packed)
    saver = RedisSaver(client, serde=serde)
    with pytest.raises(UntrustedValue, match="kind 'json'"):
        await saver.aget_tuple(generate_config("t"))
    with pytest.raises(UntrustedValue, match="kind 'json'"):
        await everything(saver, generate_config("t"))


async def test_a_value_of_the_kind_json_is_read_if_it_was_allowed(client: Redis) -> None:
    await with_blob(client, b"json\0" + HUMAN)
    module = ("langchain_core", "messages", "human", "HumanMessage")
    saver = RedisSaver(client, serde=JsonPlusSerializer(allowed_json_modules=[module]))
    found = await saver.aget_tuple(generate_config("t"))
    assert found is not None
    assert found.checkpoint["channel_values"] == {"n": HumanMessage("x")}


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"msgpack\0",
        b"msgpack\0\xc1",
        b"pickle\0x",
        b"\xff\0x",
        b"surprise\0x",
        b"msgpack\0" + b"\x91" * 100_000,
    ],
    ids=lambda packed: repr(packed[:12]),
)
async def test_a_value_that_cannot_be_read_is_named(client: Redis, packed: bytes) -> None:
    await with_blob(client, packed)
    with pytest.raises(DamagedCheckpoint, match=r"Checkpoint '.*' of thread 't' cannot be read"):
        await RedisSaver(client).aget_tuple(generate_config("t"))

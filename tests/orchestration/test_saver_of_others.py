"""What others met in their savers and journals, by the public thread (docs/robustness.md), on real servers."""

import asyncio
import operator
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from typing import Annotated, Any, TypedDict

import numpy as np
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance.test_utils import (
    generate_checkpoint,
    generate_config,
    generate_metadata,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from redis.asyncio import Redis

from surefoot import Settings
from surefoot.agents.tasks.towers import Towers
from surefoot.errors import BadInput, SurefootError
from surefoot.models.doubles import towers_double
from surefoot.orchestration import deletion
from surefoot.orchestration.checkpoints.layout import Layout
from surefoot.orchestration.checkpoints.saver import RedisSaver, Unstorable
from surefoot.orchestration.journal import jobs
from surefoot.orchestration.journal.jobs import Keys
from surefoot.orchestration.run import resume, run


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


class State(TypedDict):
    found: Any


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


def graph(saver: BaseCheckpointSaver[str], node: Callable[[Any], Any], schema: Any = State) -> Any:
    builder = StateGraph(schema)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return builder.compile(checkpointer=saver)


def thread(name: Any) -> Any:
    return {"configurable": {"thread_id": name}}


async def put(saver: RedisSaver, name: str, **values: Any) -> Any:
    """Store a checkpoint with its own writes before it, as an interrupted graph may."""
    versions: Any = {channel: saver.get_next_version(None, None) for channel in values}
    checkpoint = generate_checkpoint(channel_values=values, channel_versions=versions)
    config = generate_config(name)
    at = {"configurable": {**config["configurable"], "checkpoint_id": checkpoint["id"]}}
    await saver.aput_writes(at, [(INTERRUPT, "stop?"), ("found", 2)], "task")
    await saver.aput(config, checkpoint, generate_metadata(), versions)
    return at


async def test_writes_that_were_stored_before_their_checkpoint_are_pending(redis: Redis) -> None:
    """langchain-ai/langgraphjs 1996: the put that followed hid them, and with them the interrupt."""
    saver = RedisSaver(redis)
    await put(saver, "t", found=1)
    saved = await saver.aget_tuple(thread("t"))
    assert saved and saved.pending_writes == [("task", INTERRUPT, "stop?"), ("task", "found", 2)]


@pytest.mark.parametrize("keep", [None, 1])
async def test_an_older_checkpoint_that_arrives_late_is_not_the_newest(
    redis: Redis, keep: int | None
) -> None:
    """langchain-ai/langgraph 8810: a put that was cancelled reached the store after the next one."""
    saver = RedisSaver(redis, keep=keep)
    older = generate_checkpoint(channel_values={"found": 1}, channel_versions={"found": "1"})
    newer = generate_checkpoint(channel_values={"found": 2}, channel_versions={"found": "2"})
    for checkpoint in (newer, older):
        config = generate_config("t")
        await saver.aput(config, checkpoint, generate_metadata(), checkpoint["channel_versions"])
    saved = await saver.aget_tuple(thread("t"))
    assert saved and saved.checkpoint["channel_values"] == {"found": 2}
    assert len([each async for each in saver.alist(thread("t"))]) == (1 if keep else 2)


async def test_what_arrives_after_a_thread_was_deleted_is_no_checkpoint_and_goes_with_the_next_deletion(
    redis: Redis,
) -> None:
    """langchain-ai/langgraph 7206."""
    saver = RedisSaver(redis)
    at = await put(saver, "t", found=1)
    await saver.adelete_thread("t")
    await saver.aput_writes(at, [("found", 3)], "task")
    assert await saver.aget_tuple(thread("t")) is None
    assert [each async for each in saver.alist(None)] == []
    await saver.adelete_thread("t")
    assert await redis.keys("*") == []


UNSTORABLE = {
    "a number of numpy": np.float64(1.5),
    "a fraction": Fraction(1, 3),
    "a number that is too large": 1 << 70,
    "a range": range(3),
    "an object within": {"deep": [object()]},
    "an array of dates": np.array(["2026-11-28"], dtype="datetime64[D]"),
    "an array of objects": np.array(["a", None], dtype=object),
    "an array of objects within": {"deep": HumanMessage("x", artifact=[np.array([{}], dtype=object)])},
}


@pytest.mark.parametrize("name", UNSTORABLE)
async def test_a_value_that_cannot_be_stored_is_named_by_channel_and_thread_and_the_run_goes_on_after_it(
    redis: Redis, name: str
) -> None:
    """langchain-ai/langgraph 8705, 8689, 8185, 8326 and 8606: only the type was told, not where it is; some were lost without a word."""
    values = [UNSTORABLE[name], "mended"]
    made = graph(RedisSaver(redis), lambda state: {"found": values.pop(0)})
    with pytest.raises(
        Unstorable, match=r"^A value of channel 'found' of thread 't' cannot be stored \("
    ) as told:
        await made.ainvoke({"found": None}, thread("t"), durability="sync")
    assert isinstance(told.value, TypeError), "as LangGraph's own savers raise"
    assert (await made.aget_state(thread("t"))).next == ("node",)
    assert await made.ainvoke(None, thread("t")) == {"found": "mended"}


@pytest.mark.parametrize(
    "value", [np.arange(6.0).reshape(2, 3), "|O", {"|O": [b"|O", ("|O", 1)]}, HumanMessage("|O", id="1")]
)
async def test_what_only_looks_like_an_array_of_objects_is_stored(redis: Redis, value: Any) -> None:
    saver = RedisSaver(redis)
    await put(saver, "t", found=value)
    saved = await saver.aget_tuple(thread("t"))
    assert saved is not None
    np.testing.assert_equal(saved.checkpoint["channel_values"]["found"], value)


async def test_metadata_that_cannot_be_stored_is_named(redis: Redis) -> None:
    metadata: Any = {**generate_metadata(), "who": np.float64(1)}
    with pytest.raises(Unstorable, match="A value of the metadata of thread 't'"):
        await RedisSaver(redis).aput(generate_config("t"), generate_checkpoint(), metadata, {})
    assert await redis.keys("*") == []


async def test_the_checkpoints_of_a_run_whose_id_is_no_text_can_be_deleted(redis: Redis) -> None:
    saver, run_id = RedisSaver(redis), uuid.uuid4()
    metadata: Any = {**generate_metadata(), "run_id": run_id}
    await saver.aput(generate_config("t"), generate_checkpoint(), metadata, {})
    await saver.adelete_for_runs([str(run_id)])
    assert await saver.aget_tuple(thread("t")) is None


async def answers(saver: BaseCheckpointSaver[str]) -> list[Any]:
    """Answer two interrupts, then the first of them twice more, then ask again for nothing."""
    made = graph(saver, lambda state: {"log": [interrupt("one?"), interrupt("two?")]}, Log)
    seen = [await made.ainvoke({"log": []}, thread("t"))]
    first = (await made.aget_state(thread("t"))).config
    given = [(Command(resume=word), thread("t")) for word in "AB"]
    given += [(Command(resume=word), first) for word in "CD"] + [(None, thread("t"))]
    seen += [await made.ainvoke(command, config) for command, config in given]
    return [(state["log"], [each.value for each in state.get("__interrupt__", ())]) for state in seen]


async def test_an_interrupt_that_is_answered_again_and_again_goes_as_in_memory(redis: Redis) -> None:
    """langchain-ai/langgraph 6663 and 8837."""
    found = await answers(RedisSaver(redis))
    assert found == await answers(InMemorySaver())
    assert found[:3] == [([], ["one?"]), ([], ["two?"]), (["A", "B"], [])]


async def test_two_answers_at_once_fork_the_thread_and_lose_no_checkpoint(redis: Redis) -> None:
    """redis-developer/langgraph-redis PR 79: of two writers one is the thread's head, and the other can still be read."""
    both = asyncio.Barrier(2)

    async def node(state: Log) -> Any:
        word = interrupt("which?")
        await both.wait()  # neither goes on before the other was begun
        return {"log": [word]}

    made = graph(RedisSaver(redis), node, Log)
    await made.ainvoke({"log": []}, thread("t"))
    seen = await asyncio.gather(*(made.ainvoke(Command(resume=word), thread("t")) for word in "XY"))
    assert [state["log"] for state in seen] == [["X"], ["Y"]]
    ends = [state.values["log"] async for state in made.aget_state_history(thread("t")) if not state.next]
    assert sorted(ends) == [["X"], ["Y"]] and (await made.aget_state(thread("t"))).values["log"] in ends


@pytest.mark.parametrize(
    ("name", "sentence"),
    [(None, "names no thread"), ("", "thread id '' cannot"), ("a\ud800", r"thread id 'a\\ud800' cannot")],
)
async def test_a_name_that_is_none_is_refused_and_not_shared(redis: Redis, name: Any, sentence: str) -> None:
    """dbos-inc/dbos-transact-py 759: an empty id made a job without an owner."""
    made = graph(RedisSaver(redis), lambda state: {"found": 1})
    with pytest.raises(BadInput, match=sentence):
        await made.ainvoke({"found": 0}, thread(name))
    with pytest.raises(BadInput):
        await RedisSaver(redis).adelete_thread(name)
    assert await redis.keys("*") == []


async def test_a_job_s_name_that_is_no_text_is_refused_wherever_it_is_given(redis: Redis) -> None:
    """dbos-inc/dbos-transact-py 759."""
    model = towers_double()
    for work in (
        run(Towers(2, "compact"), Settings(k=1), model=model, job="\udcff", redis=redis),
        resume("\udcff", model=model, redis=redis),
        deletion.delete(redis, "\udcff"),
        jobs.load(redis, "\udcff"),
    ):
        with pytest.raises(BadInput, match=r"name '\\udcff' (for a job holds|cannot be used)"):
            await work
    assert await redis.keys("*") == []


async def test_a_deletion_that_was_cut_short_anywhere_gives_a_new_job_nothing_of_the_old_one(
    redis: Redis,
) -> None:
    """dbos-inc/dbos-transact-py 769: the steps of a job that was half deleted were taken for those of the next of its name."""
    keys, of = Keys("j"), (3, 4)

    async def solve(disks: int) -> int:
        model = towers_double(error=0.2)
        task = Towers(disks, "compact")
        return (await run(task, Settings(k=3, segment=2), model=model, job="j", redis=redis)).steps

    await solve(of[0])
    held = {key: await redis.dump(key) for key in await redis.keys("*")}
    # In the order of `deletion.delete`.
    order = [keys.log(segment) for segment in range(5)] + Layout("surefoot").thread("j")
    order += [keys.segments, keys.kept, keys.contested, keys.lease, keys.meta]
    for cut in range(len(order) + 1):
        await redis.flushall()
        for key, value in held.items():
            await redis.restore(key, 0, value)
        await deletion._close(redis, "j")
        await redis.unlink(*order[:cut], "none")
        if await redis.exists(keys.meta):
            with pytest.raises(Exception, match="was cancelled"):
                await solve(of[1])
            await deletion.delete(redis, "j")
        assert await solve(of[1]) == 15


RUNS = """
import asyncio, surefoot, sys
from redis.asyncio import Redis
from surefoot.models.doubles import towers_double
from surefoot.agents.tasks.towers import Towers
from surefoot.orchestration.run import run
task = Towers(8, "compact")
model = towers_double(error=0.2, latency=0.01)
asyncio.run(run(task, surefoot.Settings(k=3), model=model, job="j", redis=Redis.from_url(sys.argv[1])))
"""


async def test_of_two_that_take_up_a_killed_job_at_once_one_solves_it_and_one_is_refused(
    redis: Redis, redis_url: str
) -> None:
    """dbos-inc/dbos-transact-ts 1205: two recoveries of one job saw different results."""
    runner = subprocess.Popen([sys.executable, "-c", RUNS, redis_url])
    while int(await redis.hget(Keys("j").meta, "next") or 0) == 0:
        assert runner.poll() is None
        await asyncio.sleep(0.001)
    runner.kill()
    runner.wait()
    both = (resume("j", model=towers_double(error=0.2), redis=redis) for _ in range(2))
    reports = await asyncio.gather(*both, return_exceptions=True)
    (solved,) = [report for report in reports if not isinstance(report, BaseException)]
    (refused,) = [report for report in reports if isinstance(report, SurefootError)]
    assert solved.solved and solved.steps == 255 and "is being run by" in str(refused)
    assert (await resume("j", redis=redis)).steps == 255

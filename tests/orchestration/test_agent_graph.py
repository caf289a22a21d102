"""An agent in a graph: questions are interrupts, an answer belongs to its question, and a crash goes on where the run was."""

from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from redis.asyncio import Redis

import surefoot
from surefoot import Agent
from surefoot.models import Call, write_calls
from surefoot.models.doubles import Scripted
from surefoot.orchestration import StepDecided, agent_graph
from surefoot.orchestration.checkpoints.saver import RedisSaver


class Shop:
    def __init__(self) -> None:
        self.ordered: list[str] = []

        @surefoot.tool(effect="irreversible")
        async def order(what: str) -> str:
            """Order something."""
            self.ordered.append(what)
            return f"{what} is ordered"

        said = [write_calls("", [Call("order", f'{{"what":"{what}"}}')]) for what in ("tea", "cake", "milk")]
        self.agent = Agent(Scripted([*said, "All is ordered."]), [order], votes={"irreversible": "person"})


def config(thread: str = "1") -> Any:
    return {"configurable": {"thread_id": thread}}


def reply(question: dict[str, Any], answer: str) -> Command[Any]:
    return Command(resume={"id": question["id"], "answer": answer})


async def test_every_question_is_an_interrupt_and_an_answer_belongs_to_its_question(redis_url: str) -> None:
    shop = Shop()
    async with Redis.from_url(redis_url) as client:
        graph = agent_graph(shop.agent, redis=redis_url).compile(checkpointer=RedisSaver(client))
        state = await graph.ainvoke({"goal": "Order tea, cake and milk."}, config())
        first = state["__interrupt__"][0].value
        assert first["question"] == 'turn 1: may order({"what":"tea"}) be called?'
        state = await graph.ainvoke(reply(first, "perhaps"), config())
        assert state["__interrupt__"][0].value == first
        state = await graph.ainvoke(reply(first, "yes"), config())
        second = state["__interrupt__"][0].value
        assert (second["question"], shop.ordered) == (
            'turn 2: may order({"what":"cake"}) be called?',
            ["tea"],
        )
        # Delivered twice, or said to nobody in particular: it answers nothing.
        for late in (reply(first, "yes"), Command(resume="yes")):
            state = await graph.ainvoke(late, config())
            assert (state["__interrupt__"][0].value, shop.ordered) == (second, ["tea"])
        state = await graph.ainvoke(reply(second, "no"), config())
        state = await graph.ainvoke(reply(state["__interrupt__"][0].value, "yes"), config())
        assert (state["status"], state["result"]) == ("answered", "All is ordered.")
        assert shop.ordered == ["tea", "milk"]


async def test_it_fits_as_a_subgraph_and_streams_its_events(redis_url: str) -> None:
    class Outer(TypedDict, total=False):
        goal: str
        result: str
        job: str
        shouted: str

    shop = Shop()
    inner = agent_graph(Agent(Scripted(["It is done."])), redis=redis_url).compile()
    outer = StateGraph(Outer)
    outer.add_node("agent", inner)
    outer.add_node("shout", lambda state: {"shouted": state["result"].upper()})
    outer.add_edge(START, "agent")
    outer.add_edge("agent", "shout")
    outer.add_edge("shout", END)
    graph = outer.compile(checkpointer=InMemorySaver())
    events = [
        event
        async for _, event in graph.astream(
            {"goal": "Do it."}, config(), stream_mode="custom", subgraphs=True
        )
    ]
    assert [event.answer for event in events if isinstance(event, StepDecided)]
    found = (await graph.aget_state(config())).values
    assert found["shouted"] == "IT IS DONE."
    assert (await surefoot.report(found["job"], redis=redis_url)).solved
    assert not shop.ordered


async def test_a_graph_that_lost_its_place_takes_the_same_run_up(redis_url: str) -> None:
    """Its saver forgets everything; the run under the job's name does not."""
    shop = Shop()
    given = {"goal": "Order tea, cake and milk.", "job": "shopping"}
    for thread, ordered in (("1", []), ("2", ["tea"]), ("3", ["tea", "cake"])):
        graph = agent_graph(shop.agent, redis=redis_url).compile(checkpointer=InMemorySaver())
        state = await graph.ainvoke(given, config(thread))  # type: ignore[arg-type]
        assert shop.ordered == ordered
        await surefoot.decide("shopping", "yes", question=state["question"]["id"], redis=redis_url)

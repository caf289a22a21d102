"""An agent as a compiled LangGraph: alone, or as a subgraph of one's own.

    graph = agent_graph(agent, redis="redis://db:6379").compile(checkpointer=RedisSaver(...))
    config = {"configurable": {"thread_id": "1"}}
    state = await graph.ainvoke({"goal": "Order tea.", "workspace": "./shop"}, config)
    question = state["__interrupt__"][0].value                     # a person has to decide
    state = await graph.ainvoke(Command(resume={"id": question["id"], "answer": "yes"}), config)

LangGraph gives an answer that is delivered twice to the next, unseen question.  Here an answer names its question: one that
names another is not taken, and the question is asked again.
"""

from typing import Any, NotRequired, TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from redis.asyncio import Redis

from surefoot.errors import BadInput
from surefoot.tools.environments.environment import Environment

from .agent import Agent
from .decision import decide
from .journal.jobs import new_id


class AgentState(TypedDict):
    """What the graph reads and writes; a graph of one's own has these keys among others."""

    goal: str
    workspace: NotRequired[str | None]
    job: NotRequired[str]
    """The run's name; a new one is made if there is none."""
    status: NotRequired[str]
    result: NotRequired[str]
    question: NotRequired[dict[str, Any] | None]
    """What a person has to decide: id, step, question and choices."""


def agent_graph(
    agent: Agent, *, redis: str | Redis | None = None, environment: str | Environment | None = None
) -> StateGraph[AgentState]:
    """Return the graph of an agent, to be compiled; every question is an interrupt of its own.

    Its events are streamed with `stream_mode="custom"`.  The run itself is in Redis under the job's name, whatever saver the graph has: a
    node that is run again goes on where the run stands.
    """

    async def begin(state: AgentState) -> dict[str, Any]:
        # Checkpointed before anything is done, so that after a crash the same run is taken up.
        return {"job": state.get("job") or new_id("agent"), "question": None}

    async def work(state: AgentState) -> dict[str, Any]:
        report = await agent.run(
            state["goal"],
            state.get("workspace"),
            environment=environment,
            redis=redis,
            job=state["job"],
            on_event=get_stream_writer(),
        )
        return {"status": report.status.value, "result": report.result, "question": report.question}

    async def ask(state: AgentState) -> dict[str, Any]:
        question = state["question"]
        assert question is not None
        said = interrupt({**question, "job": state["job"]})
        if not isinstance(said, dict) or said.get("id") != question["id"]:
            return {}  # of another question, or of none: asked again
        try:
            await decide(state["job"], str(said.get("answer", "")), question=question["id"], redis=redis)
        except BadInput:
            return {}  # none of the choices, or the job went on: asked again if it still asks
        return {"question": None}

    graph = StateGraph(AgentState)
    for node in (begin, work, ask):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "work")
    graph.add_conditional_edges("work", _asks, {True: "ask", False: END})
    graph.add_edge("ask", "work")
    return graph


def _asks(state: AgentState) -> bool:
    return state.get("question") is not None

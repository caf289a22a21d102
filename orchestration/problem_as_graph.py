"""A problem as a graph of LangGraph, to be compiled: alone, or as a subgraph of one's own; in the end a person is asked.

    graph = problem_graph("What is 734 * 902?", job="product", model=..., redis=...).compile(checkpointer=RedisSaver(...))
    config = {"configurable": {"thread_id": "1"}}
    state = await graph.ainvoke({}, config)
    question = state["__interrupt__"][0].value                  # nothing was agreed on: job, place, problem and tally
    state = await graph.ainvoke(Command(resume={"answer": "66060"}), config)      # or {"hint": "..."}
    state["answer"]

Which nodes there are: `surefoot.orchestration.solving`.
"""

from typing import Any

from langgraph.graph import StateGraph
from redis.asyncio import Redis

from surefoot.agents.planner.goal import Goal
from surefoot.agents.planner.outlines import Outline
from surefoot.agents.tasks.task import Task
from surefoot.models.base import Model
from surefoot.models.openai.options import Options
from surefoot.tools.answers.normal_forms import Kind
from surefoot.typed_input import checked

from .journal.jobs import check_name
from .report import Report
from .run import run
from .settings import Settings
from .solving import Check, Solving, SolvingState, check_counts


@checked
def problem_graph(
    problem: str,
    *,
    job: str,
    model: str | Model,
    kind: Kind = "any",
    votes: int = 3,
    depth: int = 5,
    outline: Outline | None = None,
    branches: int = 1,
    replans: int = 1,
    check: Check | None = None,
    limit: int = 100,
    redis: str | Redis | None = None,
    options: Options | None = None,
) -> StateGraph[SolvingState]:
    """Return the graph of a problem; the arguments are those of `surefoot.solve`.

    Once the replans are spent a stall is an interrupt.  It takes `{"answer": ...}`, the answer of the problem that it names, or `{"hint": ...}`, which
    that problem is made smaller with; it asks again for anything else.  The jobs are in Redis under the names that begin with `job`, whatever
    saver the graph has: a node that is run again goes on where they stand.
    """
    check_name(job)
    check_counts(branches, replans)
    goal = Goal(problem, kind, votes, depth, outline)

    async def start(task: Task[Any, Any], name: str) -> Report:
        settings = Settings(k=1, limit=limit)
        return await run(task, settings, model=model, redis=redis, job=name, options=options)

    def wrapped(task: Goal) -> Task[Any, Any]:
        return task

    return Solving(
        goal, job, start, wrapped, redis, branches=branches, replans=replans, check=check, asks=True
    ).graph()

"""How the job of a goal has made its problem smaller, and what each part has cost: read from its journal."""

from redis.asyncio import Redis

from surefoot.agents.planner.goal import Goal, Outlining
from surefoot.agents.planner.mermaid import NodeCost
from surefoot.agents.planner.state import GoalState
from surefoot.agents.planner.trees import Branch, Place, place_of, tree
from surefoot.agents.tasks.around import innermost, outer_layer
from surefoot.agents.tasks.codec import read_back
from surefoot.agents.tasks.guarded import guarded
from surefoot.errors import BadInput

from .journal.jobs import Job, load
from .reporting import records
from .task_of_job import task_again


async def goal_of(redis: Redis, job: str) -> tuple[Job, Goal]:
    """Return a job of `solve` with its task, that inside where there is something in front of its prompts; `BadInput` if it is one of another task."""
    known = await load(redis, job)
    own = known.task in (Goal.name, Outlining.name) or outer_layer(known.task, known.spec)
    task = innermost(task_again(known)) if own else None
    if not isinstance(task, Goal):
        name = known.task if task is None else task.name
        raise BadInput(
            f"job {job!r} is of task {name!r}, not of {Goal.name!r}: only a problem in plain words is made smaller by vote"
        )
    return known, task


async def decomposition(redis: Redis, job: str) -> tuple[Branch, dict[Place, NodeCost]]:
    """Return the tree of a job, as far as it is decided, and what the steps of each of its problems have cost."""
    known, task = await goal_of(redis, job)
    own = guarded(task)
    state: GoalState = read_back(own.state_codec, known.start.state)
    costs: dict[Place, NodeCost] = {}
    async for record in records(redis, known):
        place = place_of(state.nodes)
        votes, usage = costs.get(place, NodeCost())
        costs[place] = NodeCost(votes + record.votes + record.against, usage + record.usage)
        state = own.advance(state, read_back(own.answer_codec, record.answer))
    return tree(state), costs

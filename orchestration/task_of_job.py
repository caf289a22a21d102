"""The task of a job that is in a journal: given, or made again where its code is known here."""

from typing import Any

from surefoot.agents.tasks.around import surrounded
from surefoot.agents.tasks.catalogue import made, task_named
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput, SurefootError

from .journal.jobs import Job

AGENT, ISSUE = "agent", "issue"
"""The names of agents' tasks, whose tools and world no journal has: of one by itself, and of an attempt at an instance of SWE-bench."""
AGENTS = (AGENT, ISSUE)
LARGE = 1_000_000
"""Tokens of a window in which everything fits."""
Given = Task[Any, Any] | type[Task[Any, Any]] | None
"""A task, or its class, which is made with the arguments that the journal has; None if neither is given."""


def task_again(job: Job, task: Given = None) -> Task[Any, Any]:
    """Return the task of a job: the one given, or made from the journal by its class or by the name that it is known by.

    Of a job with behaviours, a user's description or a pattern in front of its prompts the task inside is given as it would be without.

    Raises `BadInput` if it is not given and its name is not known here; the journal's word alone never imports anything.
    """
    if task is not None:
        task = surrounded(task, job.task, job.spec)
    if task is not None and task.name != job.task:
        raise BadInput(f"job {job.id!r} is of task {job.task!r}, not of {task.name!r}")
    if isinstance(task, Task):
        return task
    if task is None and job.task in AGENTS:
        raise BadInput(
            f"job {job.id!r} is an agent's, whose tools are Python: {agent_again(job.id, job.task)}"
        )
    try:
        return made(task or task_named(job.task), job.spec)
    except BadInput as error:
        came = f"; the job {job.id!r} was begun with {job.code!r}" if job.code and task is None else ""
        raise BadInput(f"{error}{came}") from error


def task_known(job: Job, task: Given = None) -> Task[Any, Any] | None:
    """Return the task of a job, or None where it is not given and cannot be made here: what was decided can be read without."""
    try:
        return _to_read(job) if task is None and job.task in AGENTS else task_again(job, task)
    except SurefootError:
        if task is not None:
            raise
        return None


def agent_again(job: str, task: str) -> str:
    """Say how an agent's run is taken up."""
    if task == ISSUE:
        return "go on with its run, `surefoot swe resume RUN`"
    return f"go on from there, `Agent(model, tools, ...).run(goal, workspace, job={job!r})`"


def _to_read(job: Job) -> Task[Any, Any]:
    """Return an agent's task as it can be made without its tools: enough to read what was decided and seen."""
    # Here, because most jobs are no agent's, and it loads much.
    from surefoot.agents.agent.task import AgentTask
    from surefoot.tools.environments.nowhere import Nowhere

    goal = str(job.spec.get("goal"))
    return AgentTask(goal, world=Nowhere(), window=LARGE + len(goal))

"""The tasks that a job can be taken up with by name, from what the journal says."""

from collections.abc import Mapping
from typing import Any

from ..errors import BadInput
from .task import Task
from .towers import Towers

TASKS: Mapping[str, type[Task[Any, Any]]] = {task.name: task for task in (Towers,)}


def task_of(name: str, spec: Mapping[str, Any]) -> Task[Any, Any]:
    """Make a task again; `BadInput` if surefoot does not know it, since a task of one's own must be handed in."""
    if name not in TASKS:
        raise BadInput(
            f"task {name!r} is not part of surefoot: resume it from Python with surefoot.resume(job, task=...)"
        )
    return TASKS[name](**spec)

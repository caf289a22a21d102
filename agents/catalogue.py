"""The tasks that a job can be taken up with by name, from what the journal says."""

from collections.abc import Mapping
from typing import Any

from ..errors import BadInput
from .columns import Columns
from .task import Task
from .towers import Towers

TASKS: Mapping[str, type[Task[Any, Any]]] = {task.name: task for task in (Towers, Columns)}


def task_of(name: str, spec: Mapping[str, Any]) -> Task[Any, Any]:
    """Make a task again; `BadInput` if surefoot does not know it, since a task of one's own must be handed in."""
    if name not in TASKS:
        raise BadInput(
            f"task {name!r} is not part of surefoot, which has {', '.join(TASKS)}; a job with a task of your own is "
            "taken up from Python with surefoot.resume(job, task=...)"
        )
    try:
        return TASKS[name](**spec)
    except TypeError as error:
        raise BadInput(f"task {name!r} cannot be made from {dict(spec)!r}: {error}") from None

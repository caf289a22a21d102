"""Whether a task has a check of its own for its decided steps."""

from typing import Any

from .around import Around
from .guarded import Guarded
from .task import Task


def has_audit(task: Task[Any, Any]) -> bool:
    """Return whether `audit` is the task's own, be it guarded or inside another; the usual one finds nothing wrong in any step."""
    if isinstance(task, Guarded):
        return has_audit(task._task)
    if isinstance(task, Around) and type(task).audit is Around.audit:
        return has_audit(task.task)
    return type(task).audit is not Task.audit

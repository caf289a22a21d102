"""The task of a job that is in a journal: given, or made again where its code is known here."""

from typing import Any

from surefoot.agents.tasks.catalogue import made, task_named
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput, SurefootError

from .journal.jobs import Job

Given = Task[Any, Any] | type[Task[Any, Any]] | None
"""A task, or its class, which is made with the arguments that the journal has; None if neither is given."""


def task_again(job: Job, task: Given = None) -> Task[Any, Any]:
    """Return the task of a job: the one given, or made from the journal by its class or by the name that it is known by.

    Raises `BadInput` if it is not given and its name is not known here; the journal's word alone never imports anything.
    """
    if isinstance(task, Task):
        return task
    if task is not None and task.name != job.task:
        raise BadInput(f"job {job.id!r} is of task {job.task!r}, not of {task.name!r}")
    try:
        return made(task or task_named(job.task), job.spec)
    except BadInput as error:
        came = f"; the job {job.id!r} was begun with {job.code!r}" if job.code and task is None else ""
        raise BadInput(f"{error}{came}") from error


def task_known(job: Job, task: Given = None) -> Task[Any, Any] | None:
    """Return the task of a job, or None where it is not given and cannot be made here: what was decided can be read without."""
    try:
        return task_again(job, task)
    except SurefootError:
        if task is not None:
            raise
        return None

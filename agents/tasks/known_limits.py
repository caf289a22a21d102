"""What the embedded models are known not to know: said before anything is asked, let alone calibrated."""

from typing import Any

from surefoot.errors import BadInput
from surefoot.models.base import Model, check_model
from surefoot.models.connect import AND, SAME
from surefoot.models.embedded import PEBBLES

from .catalogue import TASKS
from .part_of import PartOf
from .task import Task
from .towers import Towers

PONDER = "ponder"
TRAINED_DISKS = 20


def check_known(model: str | Model, task: Task[Any, Any]) -> None:
    """Raise `BadInput` if the model of this name or address is one of surefoot's own and was trained for something else.

    Nothing is known of other models, nor of ponder and a task of one's own, nor of a planner and a perceiver: which steps each of them gets only the
    task knows.
    """
    if isinstance(task, PartOf):
        task = task.task  # its steps are asked as they are without parts
    check_model(model)
    if isinstance(model, str) and AND not in model:
        model = model.partition(SAME)[0]  # it answers, the other one compares
    if model in PEBBLES and (why := _not_for_pebble(task)):
        raise BadInput(
            f"{model} knows one procedure, Towers of Hanoi of up to 20 disks in the compact style: {why}"
        )
    if model == PONDER and isinstance(task, tuple(TASKS.values())):
        raise BadInput(
            f"{model} knows sums of small numbers and nothing else, not task {task.name!r}: give the address of a model that does"
        )


def _not_for_pebble(task: Task[Any, Any]) -> str:
    if not isinstance(task, Towers):
        return f"for task {task.name!r} give the address of a model that knows it"
    if task.style != "compact":
        return f"choose it instead of style {task.style!r}, or give the address of another model"
    if task.disks > TRAINED_DISKS and task.form == "full":
        return f"for {task.disks} disks give the address of another model"
    return ""

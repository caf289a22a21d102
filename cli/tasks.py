"""The task that a command line names: surefoot's own, an installed package's, or a class at an address."""

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from surefoot.agents.patterns import WithPattern
from surefoot.agents.tasks.arguments import arguments
from surefoot.agents.tasks.catalogue import TASKS, made, task_at
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.embedded import PEBBLES

from .options import PatternNames, TaskAddress, by_stage

OWN = {
    "towers": {"disks": "--disks", "style": "--style", "form": "--answers", "checked": "--checked"},
    "columns": {"factors": "--factors"},
}
"""Which arguments of a task have an option of their own; all others are given by --arg."""
OPTIONS = {argument: option for options in OWN.values() for argument, option in options.items()}


@dataclass(frozen=True)
class TaskOptions:
    """Which task, and its arguments."""

    name: Annotated[
        str | None,
        Argument(metavar="TASK", help=f"{', '.join(TASKS)}, or the name of an installed task."),
    ] = None
    task: TaskAddress = None
    arg: Annotated[
        list[str] | None,
        Option(metavar="NAME=VALUE", help="An argument of the task, as JSON or text; may be repeated."),
    ] = None
    disks: Annotated[int | None, Option(help="towers: how many disks (10).")] = None
    factors: Annotated[tuple[str, str] | None, Option(help="columns: the two whole numbers to multiply.")] = (
        None
    )
    style: Annotated[
        str | None, Option(help="`verbose` chat prompts or `compact` text; compact for pebble.")
    ] = None
    form: Annotated[
        str | None, Option("--answers", help="towers: `full` (move and next board) or `move`.")
    ] = None
    checked: Annotated[
        bool | None, Option(help="towers: let the board red-flag illegal and inconsistent answers.")
    ] = None
    pattern: PatternNames = None

    def made(self, model: str) -> Task[Any, Any]:
        """Make the task that TASK or --task names, one of which has to be given; an option of another task is refused."""
        kind = at_address(self.name if self.task is None else self.task)
        if kind is None or (self.name is not None and self.task is not None):
            raise BadInput(
                f"a job takes one task: {', '.join(TASKS)}, the name of an installed one, or --task package.module:Class"
            )
        given = {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}
        if strange := sorted(set(given) - set(OWN.get(kind.name, ()))):
            raise BadInput(f"task {kind.name!r} has no option {OPTIONS[strange[0]]}: give --arg name=value")
        given |= arguments(kind, self.arg or ())
        if kind.name == "towers":
            given.setdefault("style", "compact" if model in PEBBLES else "verbose")
        task = made(kind, given)
        return WithPattern(task, by_stage(self.pattern)) if self.pattern else task


def at_address(address: str | None) -> type[Task[Any, Any]] | None:
    """Return the class at an address that the user has typed, if any; a module in the folder where they stand is found, too.

    That folder comes last in the search, so that no file of it takes the place of an installed module.
    """
    if address is None:
        return None
    if ":" in address:
        with suppress(FileNotFoundError):  # the folder has been deleted meanwhile
            here = str(Path.cwd())
            if here not in sys.path:
                sys.path.append(here)
    return task_at(address)

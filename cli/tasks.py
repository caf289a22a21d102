"""The task that a command line names: surefoot's own, an installed package's, or a class at an address."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from surefoot.agents.tasks.arguments import arguments
from surefoot.agents.tasks.catalogue import made, task_at
from surefoot.agents.tasks.task import Task
from surefoot.errors import BadInput
from surefoot.models.embedded import PEBBLES

OWN = {
    "towers": {"disks": "--disks", "style": "--style", "form": "--answers", "checked": "--checked"},
    "columns": {"factors": "--factors"},
}
"""Which arguments of a task have an option of their own; all others are given by --arg."""
OPTIONS = {argument: option for options in OWN.values() for argument, option in options.items()}


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


def task_from(
    name: str | None, address: str | None, typed: Sequence[str] | None, model: str, **options: Any
) -> Task[Any, Any]:
    """Make the task that TASK or --task names, one of which has to be given, with the values of --arg in `typed`.

    `options` are those that belong to one task; an option of another task is refused.
    """
    kind = at_address(name if address is None else address)
    if kind is None or (name is not None and address is not None):
        raise BadInput(
            "a job takes one task: `towers`, `columns`, the name of an installed one, or --task package.module:Class"
        )
    given = {option: value for option, value in options.items() if value is not None}
    if strange := sorted(set(given) - set(OWN.get(kind.name, ()))):
        raise BadInput(f"task {kind.name!r} has no option {OPTIONS[strange[0]]}: give --arg name=value")
    given |= arguments(kind, typed or ())
    if kind.name == "towers":
        given.setdefault("style", "compact" if model in PEBBLES else "verbose")
    return made(kind, given)

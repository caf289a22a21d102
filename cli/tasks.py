"""The task that a command line names: surefoot's own, an installed package's, or a class at an address."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..agents.arguments import arguments
from ..agents.catalogue import made, task_at
from ..agents.pebble import PEBBLES
from ..agents.task import Task
from ..errors import BadInput

OWN = {"towers": {"disks", "style", "form", "checked"}, "columns": {"factors"}}
"""Which options belong to which task; the arguments of any other one are given by --arg."""


def task_class(name: str | None, address: str | None) -> type[Task[Any, Any]]:
    """Return the class of the task that TASK or --task names, one of which has to be given."""
    found = at_address(name if address is None else address)
    if found is None or (name is not None and address is not None):
        raise BadInput(
            "a job takes one task: `towers`, `columns`, the name of an installed one, or --task package.module:Class"
        )
    return found


def at_address(address: str | None) -> type[Task[Any, Any]] | None:
    """Return the class at an address that the user has typed, if any; a module in the folder where they stand is found, too.

    That folder comes last in the search, so that no file of it takes the place of an installed module.
    """
    if address is None:
        return None
    here = str(Path.cwd())
    if ":" in address and here not in sys.path:
        sys.path.append(here)
    return task_at(address)


def task_from(kind: type[Task[Any, Any]], typed: Sequence[str], model: str, **options: Any) -> Task[Any, Any]:
    """Make the task from the options that belong to it and from --arg; an option of another task is refused."""
    given = {option: value for option, value in options.items() if value is not None}
    if strange := sorted(set(given) - OWN.get(kind.name, set())):
        raise BadInput(f"task {kind.name!r} has no option --{strange[0]}: give --arg name=value")
    given |= arguments(kind, typed)
    if kind.name == "towers":
        given.setdefault("style", "compact" if model in PEBBLES else "verbose")
    return made(kind, given)

"""From a name, or from the address of a class, to a task.

    towers, columns, ...         surefoot's own
    countdown                    a task of an installed package: entry point `countdown` in the group `surefoot.tasks`
    package.module:Class         any class, by its address

A journal holds a task's name and arguments.  Names lead to what is part of surefoot or was installed, and nowhere else: a
writer to Redis must not choose what is imported.  So an address is taken from a user alone, never from a journal.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePath
from typing import Any

from surefoot.errors import BadInput, SurefootError

from .columns import Columns
from .failures import said
from .puzzles import Blocks, Checkers, Crossing
from .sorting import Sorting
from .task import Task
from .towers import Towers

GROUP = "surefoot.tasks"
TASKS: Mapping[str, type[Task[Any, Any]]] = {
    task.name: task for task in (Towers, Columns, Sorting, Checkers, Crossing, Blocks)
}


def installed() -> dict[str, EntryPoint]:
    """Return the tasks of installed packages by name; none of them takes the place of surefoot's own."""
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in TASKS}


def task_named(name: str) -> type[Task[Any, Any]]:
    """Return the class of a task that is known by this name; `BadInput` if there is none, or it cannot be imported."""
    if name in TASKS:
        return TASKS[name]
    packages = installed()
    if name not in packages:
        own = [*TASKS, *(each for each, entry in packages.items() if entry.value.startswith("surefoot."))]
        foreign = [each for each in packages if each not in own]
        others = f", and installed packages have {', '.join(foreign)}" if foreign else ""
        raise BadInput(
            f"task {name!r} is not part of surefoot, which has {', '.join(own)}{others}; a task of your own is given by its "
            "address, `--task package.module:Class`, or from Python with `task=`"
        )
    found = _imported(packages[name].value)
    if found.name != name:
        raise BadInput(f"the entry point {name!r} leads to a task named {found.name!r}: call both the same")
    return found


def task_at(address: str) -> type[Task[Any, Any]]:
    """Return the class at `package.module:Class`, or the task known by a name without a colon."""
    return _imported(address) if ":" in address else task_named(address)


def task_of(name: str, spec: Mapping[str, Any]) -> Task[Any, Any]:
    """Make a task again from what a journal says of it; `BadInput` if its name is not known here."""
    return made(task_named(name), spec)


def made(task: type[Task[Any, Any]], arguments: Mapping[str, Any]) -> Task[Any, Any]:
    """Call the class; `BadInput` if it does not take these arguments."""
    try:
        return task(**arguments)
    except SurefootError:
        raise
    except Exception as error:
        raise BadInput(
            f"task {task.name!r} cannot be made from {dict(arguments)!r}: {_said(error)}"
        ) from error


def address_of(task: Task[Any, Any]) -> str:
    """Return where a task's class can be imported from, as `task_at` takes it."""
    return f"{type(task).__module__}:{type(task).__qualname__}"


def _imported(address: str) -> type[Task[Any, Any]]:
    module, _, path = address.partition(":")
    if "/" in module or module.endswith(".py"):
        name = PurePath(module).name.removesuffix(".py")
        raise BadInput(f"task {address!r} names a file: write {name}:{path}, in the folder of that file")
    try:
        found: Any = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except Exception as error:
        # Whatever the module does while it is imported: it is the user's code.
        raise BadInput(f"task {address!r} cannot be imported: {_said(error)}") from error
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise BadInput(f"{address!r} is not a class derived from surefoot.Task")
    if not isinstance(getattr(found, "name", None), str):
        raise BadInput(f"the task {address!r} has no name: give its class a `name`, a text")
    return found


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {said(error, str)}"

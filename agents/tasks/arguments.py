"""Arguments of a task as a person types them, `name=value`, turned into what its constructor takes."""

import inspect
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, get_type_hints

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic_core import from_json

from surefoot.errors import BadInput
from surefoot.printable import encodable

from .task import Task

SHOWN = 100
"""Characters of a value in a sentence."""


def arguments(task: type[Task[Any, Any]], typed: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` pairs for the constructor of `task`.

    A value is read as JSON, lists as tuples, and as the text that it is where it is no JSON.  Where the constructor says what type
    it takes, the value is made one: `first=50` is a text for `first: str`.  Raises `BadInput` for a name that the constructor does
    not have, a value that does not fit, and an argument that is missing.
    """
    known = inspect.signature(task).parameters
    hints = _hints(task)
    open_ended = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    found: dict[str, Any] = {}
    for pair in typed:
        name, equals, text = pair.partition("=")
        if not equals:
            raise BadInput(f"an argument is written name=value, not {pair!r}")
        if not encodable(pair):
            raise BadInput(f"an argument is text in UTF-8, not {pair!r}")
        if name in found:
            raise BadInput(f"the argument {name!r} is given twice")
        if name not in known and not open_ended:
            has = ", ".join(known) or "no arguments"
            raise BadInput(f"task {task.name!r} has no argument {name!r}; it has {has}")
        found[name] = _value(name, text, hints.get(name, Any))
    return found


def _hints(task: type[Task[Any, Any]]) -> dict[str, Any]:
    try:
        return get_type_hints(task.__init__)
    except Exception:
        return {}  # a name that is only there for type checkers: the values are taken as they read


def _value(name: str, text: str, hint: Any) -> Any:
    readings: list[Any] = [text]
    with suppress(ValueError):  # no JSON: a text without quotes
        readings.insert(0, _tuples(from_json(text, allow_inf_nan=False)))
    if hint is Any:
        return readings[0]
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticSchemaGenerationError:
        return readings[0]
    said = ""
    for reading in readings:
        try:
            return adapter.validate_python(reading)
        except ValidationError as error:
            said = said or error.errors()[0]["msg"]
    raise BadInput(f"argument {name!r} cannot be {text[:SHOWN]!r}: {said}")


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

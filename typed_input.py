"""What a user gives is of the type that is written beside its name, or it is refused in one sentence.

By the standard library alone: settings are made by the command line, whose pages of help load no pydantic, and pydantic
would quote the value, which may hold a key.
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from surefoot.errors import BadInput

P = ParamSpec("P")
T = TypeVar("T")


def check_fields(given: Any) -> None:
    """Raise `BadInput` for a field of a dataclass that is not of its type.  An int is a float, too; a bool is neither."""
    types = _types(type(given))
    _check(type(given).__name__, {each.name: getattr(given, each.name) for each in fields(given)}, types)


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function refuse arguments that are not of their types, as `check_fields` does."""

    owner = function.__name__
    if owner == "__init__":
        owner = function.__qualname__.split(".")[-2]  # the class, which is what is called

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        _check(owner, given, _types(function))
        return function(*args, **kwargs)

    return called


_types: Callable[[Any], dict[str, Any]] = functools.cache(get_type_hints)


def _check(owner: str, given: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name in types and not _fits(value, types[name]):  # `self` has no type
            raise BadInput(f"{name} of {owner} must be of type {_words(types[name])}, not {_shown(value)}")


def _fits(value: Any, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is type:
        return isinstance(value, type) and issubclass(value, get_origin(parts[0]) or parts[0])
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, parts[0]) for each in value)
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


def _words(kind: Any) -> str:
    """Write a type as it stands in the code, without the modules' names."""
    if get_origin(kind) in (Union, UnionType):
        return " | ".join(map(_words, get_args(kind)))
    return "None" if kind is NoneType else re.sub(r"\b[\w.]+\.(?=\w)|~", "", inspect.formatannotation(kind))


def _shown(value: Any) -> str:
    """Quote what is short and hold back the rest: there may be a key in it."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return (
        f"the class {value.__name__}"
        if isinstance(value, type)
        else f"a value of type {type(value).__name__}"
    )

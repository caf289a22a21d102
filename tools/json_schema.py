"""Arguments that somebody else's JSON schema describes: a server's, or another library's."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Self

from pydantic import BaseModel, RootModel, model_validator
from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator, ValidationError, core_schema

from surefoot.errors import BadInput

from .bounded_text import one_line, sentence_of
from .checking import BY_SCHEMA, canonical

try:
    from jsonschema import exceptions, validators
    from referencing import Registry
except ImportError as error:
    # They come with an extra: say so only when a schema is to be checked.
    MISSING: ImportError | None = error
else:
    MISSING = None

Mistakes = Iterator[Any]


def arguments_by_schema(name: str, schema: dict[str, Any]) -> type[BaseModel]:
    """Return a model of arguments that a JSON schema accepts; its own schema is that one.

    Nothing is fetched, and no pattern is run by an engine that may take for ever: what cannot be checked here is left to
    whoever is called.  Raises `BadInput` with a sentence for what is no schema of an object.
    """
    check = _checker(name, schema)

    class Arguments(RootModel[dict[str, Any]]):
        @model_validator(mode="after")
        def fits(self) -> Self:
            if said := check(self.root):
                raise PydanticCustomError(BY_SCHEMA, "{said}", {"said": said})
            return self

        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return deepcopy(schema)

    Arguments.__name__ = Arguments.__qualname__ = name
    return Arguments


def _checker(name: str, schema: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    if MISSING is not None:
        raise BadInput(
            f"the JSON schema of tool {name!r} cannot be checked: {MISSING}; install surefoot[mcp]"
        )
    known: Any = validators.validator_for(schema, default=validators.validator_for({}))
    extend: Callable[..., Any] = validators.extend
    try:
        # Its patterns are not looked at: most of the world's are JavaScript's.
        known.check_schema(schema, format_checker=None)
        made = extend(known, OWN)(schema, registry=Registry())
    except Exception as error:
        words = error.message if isinstance(error, exceptions.SchemaError) else sentence_of(error)
        raise BadInput(
            f"the arguments of tool {name!r} have no usable JSON schema: {one_line(words, 200)}"
        ) from error

    def mistake(given: dict[str, Any]) -> str:
        try:
            found = next(made.iter_errors(given), None)
        except Exception:  # a reference into nothing, or around in a circle: whoever is called knows better
            return ""
        if found is None:
            return ""
        where = ".".join(map(str, list(found.absolute_path)[:8]))
        return f"{one_line(where, 120) + ': ' if where else ''}{one_line(found.message, 300)}"

    return mistake


def _pattern(validator: Any, pattern: str, given: Any, schema: Any) -> Mistakes:
    """Check a pattern with Rust's engine, which takes linear time; what that cannot read is not checked."""
    if isinstance(given, str) and isinstance(pattern, str):
        try:
            SchemaValidator(
                core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
            ).validate_python(given)
        except ValidationError:
            yield exceptions.ValidationError(f"{given!r} does not match {pattern!r}")
        except (SchemaError, ValueError):
            pass


def _unique(validator: Any, wanted: bool, given: Any, schema: Any) -> Mistakes:
    if wanted is True and isinstance(given, list) and len({canonical([each]) for each in given}) < len(given):
        yield exceptions.ValidationError("it has an item twice")


def _additional(validator: Any, allowed: Any, given: Any, schema: Any) -> Mistakes:
    if isinstance(given, dict) and "patternProperties" not in schema:
        more = [name for name in given if name not in schema.get("properties", {})]
        if allowed is False and more:
            yield exceptions.ValidationError(
                f"there is no argument {more[0]!r}, only {', '.join(schema.get('properties', {})) or 'none'}"
            )
        elif isinstance(allowed, dict):
            for name in more:
                yield from validator.descend(given[name], allowed, path=name)


def _unchecked(validator: Any, value: Any, given: Any, schema: Any) -> Mistakes:
    return iter(())


OWN: dict[str, Callable[..., Mistakes]] = {
    "pattern": _pattern,
    "patternProperties": _unchecked,
    "additionalProperties": _additional,
    "uniqueItems": _unique,
}
"""Keywords that the library checks with Python's `re`, or in quadratic time."""

_UNFIT = re.compile("[^A-Za-z0-9_-]")


def callable_name(name: str, taken: set[str]) -> str:
    """Return a name that models can call for one that they perhaps cannot, and that is not taken; it is taken then."""
    fit = _UNFIT.sub("_", name)[:64] or "_"
    number = 2
    while fit in taken:
        fit = f"{_UNFIT.sub('_', name)[:58]}_{number}"
        number += 1
    taken.add(fit)
    return fit

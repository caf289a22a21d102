"""What models are shown of a tool's arguments, and what becomes of the text that they write for them."""

from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json, to_jsonable_python

from .bounded_text import one_line, quoted, sentence_of
from .failed import ToolFailed
from .tool import Tool

LONGEST_ARGUMENTS = 4_000_000
"""Characters of arguments that are read: a file that a model writes is far below."""
BY_SCHEMA = "json_schema"
"""The type of a mistake whose words say everything: where, and what it was."""
MISTAKES = 3
"""How many mistakes one sentence tells of."""
LISTED = 10_000
"""Of more mistakes only the number is told: to look at each takes five times as long as to find it, and blocks the event loop."""
NAMES = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
"""Where a JSON schema has schemas by name: a name may be `title`."""
VALUES = ("default", "const", "enum", "examples", "example", "required", "dependentRequired")
"""Where a JSON schema has plain values."""


def schema_of(tool: Tool) -> tuple[str, str, str]:
    """Return what models are told of a tool: its name, its description, and its arguments' JSON schema as canonical JSON.

    The titles that pydantic makes up of the names are left out: they say nothing and cost tokens.
    """
    return tool.name, tool.description, canonical(_untitled(tool.arguments.model_json_schema()))


def checked_call(tool: Tool, arguments_text: str) -> BaseModel:
    """Return the valid arguments of a call; no text at all means no arguments.

    Raises `ToolFailed` with one sentence for the model: which argument, what was expected, what it was.
    """
    if len(arguments_text) > LONGEST_ARGUMENTS:
        raise ToolFailed(
            f"The arguments of {tool.name} are {len(arguments_text):,} characters long; at most {LONGEST_ARGUMENTS:,} are read"
        )
    try:
        value = from_json(arguments_text if arguments_text.strip() else "{}", allow_inf_nan=False)
    except (ValueError, TypeError) as error:  # the latter for a text with half of a surrogate pair
        raise ToolFailed(
            f"The arguments of {tool.name} are not JSON ({_where(error)}): {quoted(arguments_text)}; write one JSON object"
        ) from None
    if not isinstance(value, dict):
        raise ToolFailed(f"The arguments of {tool.name} must be one JSON object, not {quoted(value)}")
    try:
        return tool.arguments.model_validate_json(arguments_text if arguments_text.strip() else "{}")
    except ValidationError as error:
        raise ToolFailed(_refusal(tool, error)) from None
    except Exception as error:  # a validator of the tool's own
        raise ToolFailed(
            f"The arguments of {tool.name} cannot be checked: {sentence_of(error)}; try others"
        ) from error


def normalised(tool: Tool, arguments_text: str, workspace: str = "") -> str:
    """Return the arguments of a call as canonical JSON by which equal calls are equal; invalid ones as they stand.

    What it returns means the same to the tool: a model whose values do not survive being written is not normalised, only
    its JSON is.  `workspace` is the environment's.
    """
    try:
        arguments = checked_call(tool, arguments_text)
    except ToolFailed:
        return arguments_text
    with suppress(Exception):  # of a tool's own types, or of its normal form
        normal = tool.normal(arguments, workspace)
        text = canonical(plain(normal))
        if tool.arguments.model_validate_json(text) == normal:
            return text
    return canonical(from_json(arguments_text if arguments_text.strip() else "{}"))


def canonical(value: Any) -> str:
    """Return plain JSON as text: keys in order, no white space."""
    return to_json(_sorted(value)).decode()


def plain(value: Any) -> Any:
    """Return a model, or a value of a field of one, as plain JSON; sets become lists in the order of their items' JSON."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(by_alias=True))
    if isinstance(value, dict):
        return {next(iter(to_jsonable_python({key: None}))): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=canonical)
    return to_jsonable_python(value)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _untitled(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_untitled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in NAMES and isinstance(value, dict):
            kept[key] = {name: _untitled(each) for name, each in value.items()}
        elif key in VALUES:
            kept[key] = value
        elif key != "title":
            kept[key] = _untitled(value)
    return kept


def _refusal(tool: Tool, invalid: ValidationError) -> str:
    if invalid.error_count() > LISTED:
        return f"The arguments of {tool.name} are wrong in {invalid.error_count():,} places: too many to look at one by one"
    found = invalid.errors(include_url=False, include_context=False)
    more = len(found) - MISTAKES
    said = "; ".join(_mistake(tool, error) for error in found[:MISTAKES])
    rest = f"; and {more:,} more mistake{'s' * (more > 1)}" if more > 0 else ""
    return f"The arguments of {tool.name} are wrong: {said}{rest}"


def _mistake(tool: Tool, error: ErrorDetails) -> str:
    where = one_line(".".join(map(str, error["loc"][:8])), 120)
    if error["type"] == "missing":
        return f"{where} is missing"
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        known = ", ".join(tool.arguments.model_json_schema().get("properties", {})) or "none"
        return f"there is no argument {where!r}, only {one_line(known, 300)}"
    if error["type"] == BY_SCHEMA:
        return error["msg"]
    words = one_line(error["msg"][:1].lower() + error["msg"][1:], 200)
    return f"{where + ': ' if where else ''}{words}, not {quoted(error['input'])}"


def _where(error: Exception) -> str:
    if isinstance(error, TypeError):
        return "half of a surrogate pair"
    return one_line(str(error), 120)

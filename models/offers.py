"""What a model may call, and its calls: one form for every server and for the journal.

A call travels natively where a server has function calling and in a fenced block where it has not.  Whatever the wire, a
`Sample` has it in its text, after the prose, in this one form, so that nobody above the client reads two:

    I look at the failing test first.
    ```tool_call
    {"name": "read_file", "arguments": {"path": "tests/test_sum.py"}}
    ```

In a prompt an assistant's `Message` has its calls in the same form, and what they came to follows as messages of the role `tool`,
one a call, in the order of the calls.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from pydantic_core import PydanticSerializationError, from_json, to_json

OPENS = "```tool_call"
CLOSES = "```"


class ToolSchema(NamedTuple):
    """A tool as a model is told of it."""

    name: str
    description: str
    parameters: str
    """The JSON schema of its arguments, an object, as canonical JSON."""


class Offer(NamedTuple):
    """What one ask lets the model call."""

    tools: tuple[ToolSchema, ...]
    choice: Literal["auto", "required", "none"] = "auto"
    """Whether it may, must or must not call one of them."""
    parallel: bool = True
    """Whether one answer may hold several calls."""
    thinking: float = 1.0
    """What share of its usual thinking the model is left; only a `surefoot.agents.reasoning.Reasoner` has a hand on that."""


class Call(NamedTuple):
    """A call that a model wants to be made."""

    name: str
    arguments: str
    """Canonical JSON of an object; where the model wrote something else, that, as it stands."""


def arguments_of(value: object) -> str:
    """Return the arguments of a call in the form of `Call.arguments`; `value` is a parsed JSON value or the model's own text."""
    if isinstance(value, str):
        try:
            value = from_json(value, allow_inf_nan=False)
        except (ValueError, TypeError):
            return str(value)
        if not isinstance(value, dict):
            return str(value)
    return _json(_sorted(value))


def write_calls(prose: str, calls: Iterable[Call]) -> str:
    """Return the text of an answer: its prose, then one block a call."""
    blocks = [f"{OPENS}\n{_block(call)}\n{CLOSES}" for call in calls]
    return "\n".join([prose.rstrip("\n"), *blocks] if prose.strip() else blocks) if blocks else prose


def read_calls(text: str) -> tuple[str, tuple[Call, ...]]:
    """Return the prose of an answer and its calls, in order; linear in the length of the text.

    A block that is quoted in another one, with longer fences or tildes, is no call.  One that is not closed ends with the text.  One that holds no call is
    a call without a name whose arguments are what it holds: whoever acts on it can tell the model so.
    """
    if OPENS not in text:
        return text, ()
    prose: list[str] = []
    calls: list[Call] = []
    for block, lines in _stretches(text):
        if block:
            calls.append(_call("\n".join(lines)))
        else:
            prose += lines
    return "\n".join(prose), tuple(calls)


def without_thoughts(text: str, opens: str, closes: str) -> str:
    """Return what of an answer is no thought, the tags being those of the model; what stands in a call is never taken for one.

    A closing tag ends a thought even if nothing has opened it: a chat template may have.  One that is never closed goes on to the end.
    """
    if opens not in text and closes not in text:
        return text
    said: list[str] = []
    thinks = False
    for block, lines in _stretches(text):
        if block:
            if not thinks:
                said += [OPENS, *lines, CLOSES]
            continue
        for line in lines:
            _, tag, rest = line.rpartition(closes)
            if tag:  # all up to here was thought
                said, thinks, line = [], False, rest
            if not thinks:
                start, tag, _ = line.partition(opens)
                thinks = bool(tag)
                said.append(start)
    return "\n".join(said)


def _stretches(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield the stretches of a text: the lines of a call's block without its fences, or lines of prose."""
    prose: list[str] = []
    block: list[str] | None = None
    fence = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if block is not None:
            if stripped == CLOSES:
                yield True, block
                block = None
            else:
                block.append(line)
        elif not fence and stripped == OPENS:
            yield False, prose
            prose, block = [], []
        else:
            prose.append(line)
            # Only these can hold three marks; three may be what is left of a call that was cut off.
            if stripped.startswith(("````", "~~~")):
                marks = stripped[: len(stripped) - len(stripped.lstrip(stripped[0]))]
                if not fence:
                    fence = marks
                elif marks == stripped and marks[0] == fence[0] and len(marks) >= len(fence):
                    fence = ""
    yield (False, prose) if block is None else (True, block)


def _block(call: Call) -> str:
    try:
        arguments = from_json(call.arguments)
    except ValueError:
        arguments = call.arguments
    return _json({"name": call.name, "arguments": arguments})


def _call(block: str) -> Call:
    try:
        found = from_json(block, allow_inf_nan=False)
    except (ValueError, TypeError):  # the latter for a text with half of a surrogate pair
        return Call("", block.strip())
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return Call("", block.strip())
    return Call(found["name"], arguments_of(found.get("arguments", {})))


def _json(value: object) -> str:
    try:
        return to_json(value).decode()
    except PydanticSerializationError:  # half of a surrogate pair, which JSON can write as an escape
        return json.dumps(value, separators=(",", ":"))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value

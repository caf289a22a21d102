"""Plain values: what can be compared, hashed and written down, and comes back from the journal as it was.

None, bool, int, str, and tuples of these, named tuples included.  A list would come back as a tuple, a dataclass as a mapping, an
enum's member as its value: a run that was resumed would go on with something else than one that was not.
"""

from typing import Any

import orjson
from pydantic_core import to_json

_ATOMS = frozenset({type(None), bool, int, str})
_KNOWN: set[type] = {*_ATOMS, tuple}
"""Types that are plain; named tuples join them when they are first met."""

DEEPEST = 100
"""Tuples in one another.  JSON is read back to 200 levels, and a record has some of its own around a value."""


def is_plain(value: Any, depth: int = DEEPEST) -> bool:
    """Whether a value is plain.  Looked at by exact type, level by level and without a call: a run asks this at every step."""
    level = [] if type(value) in _ATOMS else [value]
    while level and depth >= 0:
        below: list[Any] = []
        for each in level:
            kind = type(each)
            if kind not in _KNOWN and not _named(kind):
                return False
            for item in each:
                if type(item) not in _ATOMS:
                    below.append(item)  # a comprehension would be a call of its own
        level, depth = below, depth - 1
    return not level


def _named(kind: type) -> bool:
    """Whether a type is a named tuple's; it is known from then on."""
    found = issubclass(kind, tuple) and hasattr(kind, "_fields")
    if found:
        _KNOWN.add(kind)
    return found


def comes_back(plain: object) -> bool:
    """Whether a plain value is sure to come back: whole texts, and numbers of no more than 64 bits."""
    try:
        orjson.dumps(plain, _as_tuple)
    except TypeError:
        return False
    return True


def canonical(plain: object) -> bytes:
    """Return the one JSON text of a plain value; equal values give equal bytes.  `ValueError` for half a character."""
    try:
        return orjson.dumps(plain, _as_tuple)
    except TypeError:
        return to_json(
            plain
        )  # knows numbers of any length, and writes all else alike at four times the price


def _as_tuple(named: object) -> tuple[object, ...]:
    if isinstance(named, tuple):
        return tuple(named)
    raise TypeError


def part_not_plain(value: object, place: str = "", depth: int = DEEPEST) -> tuple[str, object]:
    """Return the first part of a value that is not plain, or is a tuple too deep in others, and where it is: `[0][2]`."""
    if depth and isinstance(value, tuple) and type(value) in _KNOWN:
        for number, item in enumerate(value):
            if not is_plain(item, depth - 1):
                return part_not_plain(item, f"{place}[{number}]", depth - 1)
    return place, value


def instead(part: object) -> str:
    """Say what to write in place of a part that is not plain."""
    match part:
        case tuple() if type(part) in _KNOWN:
            return f"tuples may lie in one another {DEEPEST} deep: write the value flatter, or as a text"
        case list():
            return "write it as a tuple: states, answers and arguments are None, bool, int, str and tuples of these"
        case float():
            return "write it as a whole number of a smaller unit, or as a text"
        case _:
            return (
                "states, answers and arguments are None, bool, int, str and tuples of these; for richer states and answers give "
                "the task a codec, surefoot.Typed"
            )

"""One line of outside text, for a prompt or as JSON: what is none is refused in one sentence."""

import json
from collections import Counter
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from surefoot.errors import BadInput
from surefoot.printable import encodable, printable

from .sanitise import clean

T = TypeVar("T")


def check_text(what: str, given: Any) -> None:
    """Raise `BadInput` for what is no text, or no whole one; `what` is what the sentence calls it, as in the functions below."""
    if not isinstance(given, str) or not encodable(given):
        raise BadInput(f"{what} is a text, not {printable(repr(given)[:100])}")


def one_clean_line(what: str, given: Any, shortest: int, longest: int) -> str:
    """Return a line of so many characters as `clean` writes it.

    Raises `BadInput` for one from which `clean` would take something out, be it a hidden character, a control token or a role marker, and for
    what is no line.  Plain words pass, whatever they say.
    """
    check_text(what, given)
    text = given.strip()
    cleaned = clean(text[: longest + 1])
    line = cleaned.text.strip()
    if cleaned.removed:
        kinds = ", ".join(removed.kind for removed in cleaned.removed)
        raise BadInput(f"{what} holds what no prompt may hold ({kinds}): write it without")
    if not shortest <= len(line) <= longest or len(text) > longest or "\n" in line or printable(line) != line:
        raise BadInput(
            f"{what} has to be one line of {shortest} to {longest} characters, not {given[:100]!r}"
        )
    return line


def read_json_line(kind: TypeAdapter[T], line: str | bytes, what: str) -> T:
    """Read a value of this kind, whose fields are given once each, from a line of JSON; raises `BadInput`, the value's own where it has one."""
    try:
        found = kind.validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if isinstance(cause := first.get("ctx", {}).get("error"), BadInput):
            raise cause from None
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise BadInput(f"not a line of {what} ({printable(said[:200])})") from None
    pairs = json.loads(line, object_pairs_hook=list, parse_int=str, parse_float=str)
    times = Counter(field for field, _ in pairs)
    if twice := sorted(field for field in times if times[field] > 1):
        raise BadInput(f"not a line of {what} ({printable(', '.join(twice)[:200])}: given twice)")
    return found

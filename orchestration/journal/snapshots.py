"""Snapshots, and what is common to all reading: a value that is not what was written is named, never a traceback."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json
from redis.exceptions import ResponseError

from surefoot.agents.tasks.plain_values import canonical
from surefoot.printable import printable

from .records import CorruptJournal, frozen, is_head


class Snapshot(NamedTuple):
    """The end of a sealed segment: audited, never touched again."""

    step: int
    """The first step after the segment."""
    head: str
    state: Any
    k: int


def encode_snapshot(end: Snapshot) -> bytes:
    """Write a snapshot with a checksum: of all that a journal holds, the hash chain covers everything but states."""
    return canonical([*end, _checksum(end)])


def decode_snapshot(raw: bytes | str, where: str) -> Snapshot:
    """Read a snapshot back; `where` names it in the `CorruptJournal` raised when it is damaged."""
    try:
        step, head, state, k, *checksum = from_json(raw)
        found = Snapshot(step, head, frozen(state), k)
        if not (type(step) is type(k) is int and step >= 0 < k and is_head(head)):
            raise ValueError("a value is of another form")
    except (ValueError, TypeError):
        raise CorruptJournal(f"{where} cannot be read: {raw[:60]!r}") from None
    if checksum and checksum != [_checksum(found)]:  # before there was a checksum, four values were written
        raise CorruptJournal(f"{where} fails its checksum")
    return found


def _checksum(end: Snapshot) -> int:
    return zlib.crc32(canonical(list(end)))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raise `CorruptJournal` for what a value of another type or form makes of the reading of `what`."""
    try:
        yield
    except ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        raise CorruptJournal(f"{what} is not of the type that was written") from None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptJournal(f"{what} cannot be read ({_why(error)})") from None


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return printable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200])
    return printable(f"{type(error).__name__}: {error}"[:200])


def text(raw: bytes | str) -> str:
    """Return a reply of Redis as text, however the client was told to decode replies."""
    return raw.decode() if isinstance(raw, bytes) else raw


def whole_number(raw: str) -> int:
    """Read a whole number as the scripts write it; `ValueError` for anything else."""
    if not re.fullmatch("[0-9]{1,15}", raw):
        raise ValueError(f"{raw!r} is no count")
    return int(raw)

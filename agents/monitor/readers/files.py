"""Opening a file from outside: an ordinary one, of a bounded size and a bounded number of values, or a sentence why not."""

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from surefoot.errors import BadInput

MOST_BYTES = 32 << 20
"""Of a file; decoded and parsed it takes five times that at worst, as text with one emoji does."""
MOST_BRACKETS, MOST_COMMAS = 1 << 20, 4 << 20
"""Of a file: `[],[],[],...` takes thirty times its size once it is parsed."""
SAYS = re.compile(rb"[^\0 \t\r\n]")
"""A byte that is more than space, or than what a crashed system leaves of a file."""
PACKED = (b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")
"""How ZIP, gzip, zstd, bzip2 and xz begin."""
KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
)


@contextmanager
def opened(path: Path, most: int) -> Iterator[BinaryIO]:
    """Open an ordinary file to read; raises `OSError`, and `BadInput` for what is none or has over `most` bytes."""
    # Opening a pipe without a writer would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            found = next((name for is_one, name in KINDS if is_one(status.st_mode)), "something else")
            raise BadInput(
                f"expected an ordinary file, but found {found}: copy what comes out of it into a file first"
            )
        _check_size(status.st_size, most)
        yield file


def contents(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return what an ordinary file holds; raises `OSError`, and `BadInput` for what is none or has over `most` bytes, without reading it."""
    with opened(path, most) as file:
        held = file.read(most + 1)
    _check_size(len(held), most)  # it has grown, or is one of those that say they are empty
    return held


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise BadInput(f"expected at most {most >> 20} MiB, but found {size / (1 << 20):,.0f} MiB")


def decoded(path: Path) -> Any:
    """Return the JSON that a file holds; raises as `contents` and `json_in` do."""
    return json_in(contents(path))


def json_in(held: bytes) -> Any:
    """Decode JSON; raises `BadInput` for what is none, or too much of it."""
    brackets, commas = held.count(b"[") + held.count(b"{"), held.count(b",")
    if brackets > MOST_BRACKETS or commas > MOST_COMMAS:
        raise BadInput(
            f"expected at most {MOST_BRACKETS:,} lists and objects and {MOST_COMMAS:,} commas, but found {brackets:,} and {commas:,}"
        )
    try:
        return json.loads(held)
    except RecursionError:
        raise BadInput("expected JSON, but it is nested too deeply") from None
    except ValueError as error:
        raise BadInput(f"expected JSON, but {_why(held, error)}") from None


def _why(held: bytes, error: ValueError) -> str:
    """Return what is wrong with a file in words that say what to do, for what people do give."""
    if not SAYS.search(held):
        return "the file is empty"
    if held.startswith(PACKED):
        return "the file is packed: unpack it first"
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if error.msg == "Extra data" and "\n" in error.doc[error.pos - 1 : error.pos]:
        return "the file holds one value a line: make a list of one run's messages first, as `jq -s .` does"
    # No copy of a text that may take a hundred megabytes.
    rest = len(error.doc) - error.pos
    if error.msg.startswith("Unterminated string") or (rest < 64 and not error.doc[error.pos :].strip()):
        return f"the file breaks off in the middle: {error}"
    return str(error)

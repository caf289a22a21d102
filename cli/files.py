"""Files that a user names: lines of JSON to read, a text to write."""

import codecs
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from surefoot.errors import BadInput
from surefoot.printable import printable
from surefoot.private_files import check_target, replacement

from .common import INTERRUPTED
from .terminal import fail

T = TypeVar("T")

MOST_BYTES = 64 * 2**20
"""Of a file of lines."""


def early(read: Callable[[], T], as_json: bool) -> T:
    """Read what a user gives before there is an event loop, whose handlers would keep Ctrl-C from what waits for a pipe."""
    try:
        return read()
    except BadInput as error:
        fail(error.sentence, as_json, error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", as_json, INTERRUPTED)


def lines_of(file: Path, read: Callable[[bytes], T]) -> list[T]:
    """Read every line that says something, in UTF-8; `-` is standard input.  Raises `BadInput`, which names the line, for the first bad one."""
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{str(file)!r} cannot be read ({error.strerror})") from None
    if len(raw) > MOST_BYTES:
        raise BadInput(f"{str(file)!r} has more than {MOST_BYTES >> 20} MiB: give it in parts")
    found = []
    for number, line in enumerate(raw.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        try:
            if line.strip():
                found.append(read(line))
        except BadInput as error:
            raise BadInput(f"{printable(str(file))}, line {number}: {error}") from None
    return found


def put(text: str, out: Path | None) -> None:
    """Write a text in UTF-8: to a file, which appears as a whole or not at all, or, whatever the terminal's encoding is, to standard output."""
    if out is None:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    try:
        check_target(out)
        with replacement(out) as file:
            file.write(text)
    except OSError as error:
        fail(f"{str(out)!r} cannot be written ({error.strerror})", as_json=False, code=BadInput.exit_code)

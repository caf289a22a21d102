"""Server-sent events: how an answer comes piece by piece, read from network blocks of any size."""

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import NamedTuple

from .limits import MOST_BYTES, ResponseTooLarge, in_mb

ByteStream = AsyncGenerator[bytes, None]
"""Blocks; whoever stops before their end closes it, or else each generator on the way costs a task of its own."""
_MARK = b"\xef\xbb\xbf"
"""A byte order mark, which the standard lets a stream begin with."""
_NOTHING_YET = re.compile(rb"(?:[ \t\r\n]|:[^\n]*\n)*+")
"""Blanks and comments, by which servers and gateways keep a connection open before an answer of either kind."""


class ServerSentEvent(NamedTuple):
    """What one `data:` line says, or the end of an event."""

    data: bytes
    """Without the blanks around it; b"" at the end of an event."""
    name: str = ""
    """`error`, `message`, ... where the server names its events."""


class EventReader:
    """Tells the events in the blocks of a body.

    By the standard the lines of one event belong together; but many servers end theirs with a single line feed, so a
    reader tries a line alone first.  Lines end at line feeds, for JSON may hold the other separators of Unicode as they are.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun: list[bytes] = []
        self._length = self._count = 0
        self._name = ""

    def read(self, block: bytes) -> Iterator[ServerSentEvent]:
        """Yield each line of data that a block ends, and an event without data where a blank line ends one; pass over the rest.

        Raises `ResponseTooLarge` for a line that is longer than any token, and after `most` lines.
        """
        first, *others = block.split(b"\n")
        self._count += len(others)
        if self._count > self._most:
            raise ResponseTooLarge(f"its stream goes on after {self._most:,} lines")
        self._begun.append(first)
        self._length += len(first)
        if self._length > MOST_BYTES:
            raise ResponseTooLarge(f"one line of its stream goes on after {in_mb(MOST_BYTES)}")
        if not others:
            return
        others.insert(0, b"".join(self._begun))
        self._begun = [others.pop()]
        self._length = len(self._begun[0])
        for line in others:
            if line.startswith(b"data:"):
                yield ServerSentEvent(line[5:].strip(), self._name)
            elif line.startswith(b"event:"):
                self._name = line[6:].strip().decode(errors="replace")
            elif not line.strip():
                self._name = ""
                yield ServerSentEvent(b"")


async def json_or_events(body: ByteStream, most: int) -> tuple[bool, ByteStream]:
    """Return whether a body is JSON rather than a stream of events, by how it begins, and all of it from there on, its last line ended.

    Content types do not tell: servers stream unasked, answer in one piece although asked to stream, and name either wrongly.
    Raises `ResponseTooLarge` after `most` lines of comments.
    """
    begun = b""
    count = 0
    marked: bool | None = None
    async for block in body:
        begun += block
        if marked is None and (len(begun) >= len(_MARK) or not _MARK.startswith(begun)):
            marked = begun.startswith(_MARK)
            begun = begun.removeprefix(_MARK)
        if marked is not None:
            begun, more = _without_comments(begun)
            count += more
            if count > most:
                raise ResponseTooLarge(f"its answer has not begun after {most:,} lines")
            if begun and not begun.startswith(b":"):
                break

    async def all_of_it() -> ByteStream:
        async with aclosing(body):
            yield begun
            async for block in body:
                yield block
            yield b"\n"

    return begun[:1] in (b"{", b"["), all_of_it()


def _without_comments(begun: bytes) -> tuple[bytes, int]:
    """Return what follows the blanks and comments, and their lines.

    Of a comment that has not ended only its first sign is kept, for it may never end.
    """
    found = _NOTHING_YET.match(begun)
    end = found.end() if found else 0
    rest = begun[end:]
    return b":" if rest.startswith(b":") else rest, begun.count(b"\n", 0, end)

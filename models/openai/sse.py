"""Server-sent events: how an answer comes piece by piece, read from network blocks of any size."""

import re
from collections.abc import AsyncIterator
from typing import NamedTuple

from .limits import MOST_BYTES, ResponseTooLarge, in_mb

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


async def lines(body: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Yield the lines of a body: they end at line feeds, for JSON may hold the other separators of Unicode as they are.

    Raises `ResponseTooLarge` for a line that is longer than any token, and after `most` lines.
    """
    begun: list[bytes] = []
    length = count = 0
    async for block in body:
        first, *others = block.split(b"\n")
        count += len(others)
        if count > most:
            raise ResponseTooLarge(f"its stream goes on after {most:,} lines")
        begun.append(first)
        length += len(first)
        if length > MOST_BYTES:
            raise ResponseTooLarge(f"one line of its stream goes on after {in_mb(MOST_BYTES)}")
        if others:
            yield b"".join(begun)
            for line in others[:-1]:
                yield line
            begun, length = [others[-1]], len(others[-1])
    if length:
        yield b"".join(begun)


async def sse_events(body: AsyncIterator[bytes], most: int) -> AsyncIterator[ServerSentEvent]:
    """Yield each line of data at once, and an event without data where a blank line ends one; the rest is passed over.

    By the standard the lines of one event belong together; but many servers end theirs with a single line feed, so a
    reader tries a line alone first.
    """
    name = ""
    async for line in lines(body, most):
        if line.startswith(b"data:"):
            yield ServerSentEvent(line[5:].strip(), name)
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode(errors="replace")
        elif not line.strip():
            name = ""
            yield ServerSentEvent(b"")


async def json_or_events(body: AsyncIterator[bytes], most: int) -> tuple[bool, AsyncIterator[bytes]]:
    """Return whether a body is JSON rather than a stream of events, by how it begins, and all of it from there on.

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

    async def all_of_it() -> AsyncIterator[bytes]:
        yield begun
        async for block in body:
            yield block

    return begun[:1] in (b"{", b"["), all_of_it()


def _without_comments(begun: bytes) -> tuple[bytes, int]:
    """Return what follows the blanks and comments, and their lines.

    Of a comment that has not ended only its first sign is kept, for it may never end.
    """
    found = _NOTHING_YET.match(begun)
    end = found.end() if found else 0
    rest = begun[end:]
    return b":" if rest.startswith(b":") else rest, begun.count(b"\n", 0, end)

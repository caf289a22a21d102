"""How much of what a server sends is taken in: every limit on outside data of the client, and why it is what it is."""

import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import NamedTuple

import httpx

MOST_BYTES = 16 << 20
"""One body, or one line of a stream.  128 samples of 30,000 tokens fit; parsed, it is some 100 MB at most."""
BYTES_A_TOKEN = 8 << 10
"""What a stream may send for each token that was asked for, on top of MOST_BYTES: twenty alternatives take half of it."""
MOST_LINES = 1 << 16
"""Lines of a stream, of which empty ones take more time than bytes."""
LINES_A_TOKEN = 64
"""What a stream may send on top of MOST_LINES for each token that was asked for."""
MOST_VALUES = 1 << 19
"""Values in one JSON text: empty objects would take thirty times as much memory as on the wire."""
VALUES_A_LOGPROB = 16
"""Values that a token takes with its log-probability: its name, its bytes one by one, and a list of alternatives."""
MANY_BYTES = 1 << 20
"""Shorter texts need no count of their values."""
ERROR_BYTES = 64 << 10
"""The body of an error: a few hundred characters of it are quoted."""
INFLATED_BYTES = 256 << 10
"""What is decompressed at a time."""
MOST_TOKENS = 1 << 31
"""A count of tokens; a million of them still fit into the 63 bits that Redis adds up in."""
MOST_CHARACTERS = 40
"""A server's name or word, as it is quoted."""

_INFLATED = ("gzip", "x-gzip", "deflate")
_BETWEEN = (b",", b"[", b"{")
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)', re.DOTALL)


class ResponseTooLarge(Exception):
    """A server sends more than any answer can be long."""


class Room(NamedTuple):
    """How long an answer may be."""

    bytes: int = MOST_BYTES
    lines: int = MOST_LINES


def room_for(tokens: int) -> Room:
    """Return how long an answer of so many tokens may be, those of all its samples together."""
    return Room(MOST_BYTES + BYTES_A_TOKEN * tokens, MOST_LINES + LINES_A_TOKEN * tokens)


async def poured(response: httpx.Response, most: int) -> AsyncGenerator[bytes, None]:
    """Yield the body of a response block by block, decompressed if it is; raises `ResponseTooLarge` after `most` bytes.

    Servers are asked not to compress, but some gateways do.  A block may inflate a thousandfold, hence in small steps.
    """
    length = 0
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    blocks = response.aiter_raw()
    async with aclosing(blocks):  # type: ignore[type-var]  # httpx does not say that it is a generator
        async for block in blocks if encoding in ("identity", "") else _inflated(blocks, encoding):
            length += len(block)
            if length > most:
                raise ResponseTooLarge(f"its answer goes on after {in_mb(most)}")
            yield block


async def read_whole(response: httpx.Response, most: int = MOST_BYTES) -> bytes:
    """Return a body in one piece; raises `ResponseTooLarge` above `most` bytes."""
    return b"".join([block async for block in poured(response, most)])


async def beginning(response: httpx.Response, most: int = ERROR_BYTES) -> bytes:
    """Return the first bytes of a body, `most` and a block at most."""
    found = b""
    try:
        async for block in poured(response, most):
            found += block
    except (ResponseTooLarge, ValueError):
        return found
    return found


def few_values(text: bytes) -> bytes:
    """Return a JSON text that may be parsed; raises `ResponseTooLarge` if it holds so many values that they would fill the memory."""
    if len(text) > MANY_BYTES and sum(map(text.count, _BETWEEN)) > MOST_VALUES and _has_many(text):
        raise ResponseTooLarge(f"its answer holds more than {MOST_VALUES:,} values")
    return text


def _has_many(text: bytes) -> bool:
    """Count what stands outside of strings: a long answer may be full of commas itself."""
    count = at = 0
    for string in _STRINGS.finditer(text):
        count += 1 + sum(text.count(sign, at, string.start()) for sign in _BETWEEN)
        at = string.end()
        if count > MOST_VALUES:
            return True
    return count + sum(text.count(sign, at) for sign in _BETWEEN) > MOST_VALUES


def in_mb(size: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{size / (1 << 20):,.0f} MB"


async def _inflated(blocks: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    if encoding not in _INFLATED:
        raise ResponseTooLarge(
            f"its answer is compressed, which it was asked not to be: {encoding[:MOST_CHARACTERS]!r}"
        )
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, whichever its header says
    try:
        async for block in blocks:
            while block:
                yield inflater.decompress(block, INFLATED_BYTES)
                block = inflater.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"its compressed body is damaged: {error}") from None

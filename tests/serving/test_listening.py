"""What a server reads of a connection is bounded, whatever comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from surefoot.serving.listening import HEAD_BYTES, bound_socket, serve_app

POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
MOST = 8 << 20
"""So much is sent of what has no end: sockets hold a part of it back."""


async def length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server that tells how long a body was."""
    listening, stop = bound_socket("127.0.0.1", 0, "the test"), asyncio.Event()
    app = Starlette(routes=[Route("/", length, methods=["POST"])])
    up = asyncio.Event()
    serving = asyncio.create_task(
        serve_app(app, listening, connections=8, drain_s=1, ready=up.set, stop=stop)
    )
    await up.wait()
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        stop.set()
        await serving


@pytest.mark.parametrize(
    ("begun", "endless"),
    [
        (POST, b"X-More: more\r\n" * 100),
        (POST + b"X-Long: ", b"x" * 1000),
        (b"POST /", b"x" * 1000),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Trailer: more\r\n" * 100),
        (CHUNKED + b"1;", b"x" * 1000),
    ],
    ids=["headers", "a header", "a path", "trailers", "an extension of a chunk"],
)
async def test_a_head_that_does_not_end_ends_the_connection(begun: bytes, endless: bytes) -> None:
    async with connected() as (_, writer):
        writer.write(begun)
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < MOST:
                writer.write(endless)
                sent += len(endless)
                await writer.drain()
        assert HEAD_BYTES < sent < MOST


async def test_a_body_is_as_long_as_it_likes_and_heads_are_read_one_after_the_other() -> None:
    long = b"x" * (4 * HEAD_BYTES)
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(POST + b"Content-Length: %d\r\n\r\n" % len(long) + long)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(6) == b"262144"
        for _ in range(200):  # many heads, each of them short
            writer.write(POST + b"X-Some: " + b"x" * 1000 + b"\r\nContent-Length: 0\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n0")
        writer.write(CHUNKED + (b"2710\r\n" + b"x" * 10_000 + b"\r\n") * 20 + b"0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n200000")


async def test_what_is_no_request_is_told_so() -> None:
    async with connected() as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        await reader.read()
        assert reader.at_eof()

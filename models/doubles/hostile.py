"""A server on loopback that means harm: answers without end, of any size, compressed, nested, full of orders to a terminal.

    async with HostileServer("endless line") as server:
        async with OpenAIModel(server.url) as model:
            await model.ready()         # lists a model, then raises a sentence

Whatever it answers to requests for samples, or with `at="models"` to that for the models, ends by the client's limits alone.
"""

import asyncio
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

HOST = "127.0.0.1"
BLOCK = 1 << 16
HUGE = 500 << 20
"""Bytes of the huge body."""
INFLATED = 300 << 20
"""Bytes that some hundred thousand become."""

_JSON = "application/json"
_EVENTS = "text/event-stream"
_BEGUN = b'{"choices": [{"index": 0, "text": "'
_ENDED = b'", "finish_reason": "stop"}]}'
_ORDERS = "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07 \x1b[2J \u202egnp.exe \x9b31m \x00 \r"

Harm = Literal[
    "endless body",
    "endless blanks",
    "endless line",
    "endless events",
    "endless comments",
    "endless tokens",
    "endless choices",
    "endless headers",
    "endless header",
    "huge body",
    "huge error",
    "inflating body",
    "inflating stream",
    "unknown compression",
    "nested",
    "nested in a stream",
    "nested error",
    "many values",
    "many objects",
    "long number",
    "escaped error",
    "escaped event",
    "escaped finish",
]


class HostileServer:
    """Lists one model, and answers what is asked of it with harm of one kind."""

    def __init__(self, harm: Harm, *, at: Literal["samples", "models"] = "samples", port: int = 0) -> None:
        self._harm = harm
        self._at = at
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL, /v1 included."""
        return f"http://{HOST}:{self._port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            asks_for_models = head.startswith(b"GET")
            if asks_for_models and self._at == "samples":
                writer.write(_head(_JSON) + json.dumps({"data": [{"id": "hostile"}]}).encode())
            else:
                for block in _HARMS[self._harm]():
                    writer.write(block)
                    await writer.drain()
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


def _head(kind: str, *more: str, status: str = "200 OK") -> bytes:
    """Return the headers of a body that ends with its connection."""
    return "\r\n".join(
        [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *more, "", ""]
    ).encode()


def _endless(kind: str, begun: bytes, more: bytes) -> Callable[[], Iterator[bytes]]:
    block = more * max(1, BLOCK // len(more))
    return lambda: itertools.chain([_head(kind), begun], itertools.repeat(block))


def _whole(
    kind: str, body: Callable[[], Iterable[bytes]], *more: str, status: str = "200 OK"
) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.chain([_head(kind, *more, status=status)], body())


def _of(*blocks: bytes | str) -> Callable[[], Iterable[bytes]]:
    return lambda: [block.encode() if isinstance(block, str) else block for block in blocks]


def _letters(size: int) -> Iterator[bytes]:
    return itertools.repeat(b"a" * BLOCK, size // BLOCK)


def _inflating(begun: bytes) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)  # 16: gzip
    yield packer.compress(begun)
    for _ in range(INFLATED // BLOCK):
        yield packer.compress(b" " * BLOCK)
    yield packer.flush()


def _choices() -> Iterator[bytes]:
    yield _head(_EVENTS)
    for index in itertools.count():
        yield b'data: {"choices": [{"index": %d, "text": "a"}]}\n\n' % index


def _headers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in itertools.count():
        yield b"".join(b"X-%d-%d: %s\r\n" % (number, place, b"a" * 1000) for place in range(60))


def _header() -> Iterator[bytes]:
    return itertools.chain([b"HTTP/1.1 200 OK\r\nX-Long: "], itertools.repeat(b"a" * BLOCK))


def _error(words: str) -> bytes:
    return json.dumps({"error": {"message": words, "type": words, "code": words}}).encode()


_DEEP = b"[" * (4 << 20)
_TOKEN = b'data: {"choices": [{"index": 0, "text": "a"}]}\n\n'
_HARMS: dict[Harm, Callable[[], Iterator[bytes]]] = {
    "endless body": _endless(_JSON, _BEGUN, b"a"),
    "endless blanks": _endless(_JSON, b"", b" "),
    "endless line": _endless(_EVENTS, b'data: {"choices": [{"index": 0, "text": "', b"a"),
    "endless events": _endless(_EVENTS, b"", b"data: {}\n\n"),
    "endless comments": _endless(_EVENTS, b"", b":\n"),
    "endless tokens": _endless(_EVENTS, b"", _TOKEN),
    "endless choices": _choices,
    "endless headers": _headers,
    "endless header": _header,
    "huge body": _whole(
        _JSON,
        lambda: itertools.chain([_BEGUN], _letters(HUGE), [_ENDED]),
        f"Content-Length: {HUGE + len(_BEGUN + _ENDED)}",
    ),
    "huge error": _whole("text/plain", lambda: _letters(HUGE), status="400 Bad Request"),
    "inflating body": _whole(_JSON, lambda: _inflating(_BEGUN), "Content-Encoding: gzip"),
    "inflating stream": _whole(_EVENTS, lambda: _inflating(b"data: "), "Content-Encoding: gzip"),
    "unknown compression": _whole(_JSON, _of(b"\x1b" * 99), "Content-Encoding: br"),
    "nested": _whole(_JSON, _of(b'{"choices": ', _DEEP)),
    "nested in a stream": _whole(_EVENTS, _of(b'data: {"choices": ', _DEEP, b"\n\n")),
    "nested error": _whole(_JSON, _of(b'{"error": ', _DEEP), status="400 Bad Request"),
    "many values": _whole(_JSON, _of(b'{"choices": [', b"0," * (7 << 20), b"0]}")),
    "many objects": _whole(_JSON, _of(b'{"choices": [', b'{"":0},' * (2 << 20), b"{}]}")),
    "long number": _whole(_JSON, _of(b'{"choices": [{"index": ', b"9" * (8 << 20), b', "text": "a"}]}')),
    "escaped error": _whole(_JSON, _of(_error(_ORDERS)), status="400 Bad Request"),
    "escaped event": _whole(_EVENTS, _of(_TOKEN, f"event: error\ndata: {_ORDERS}\n\n")),
    "escaped finish": _whole(
        _JSON, _of(json.dumps({"choices": [{"index": 0, "text": "a", "finish_reason": _ORDERS}]}))
    ),
}

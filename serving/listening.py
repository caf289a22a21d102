"""What servers have in common: a socket, bounded connections, and an end in order."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from surefoot.errors import BadInput

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

BACKLOG = 2048
"""Connections that may wait to be taken: with the usual 128 some of 500 clients who come together would be refused."""
HEAD_S = 10.0
"""A connection that has made no request by then is closed."""
HEAD_BYTES = 1 << 16
KEEP_ALIVE_S = 30
"""An idle connection is closed after so long: later than clients give theirs up, who would else meet a closed one now and then."""


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def bound_socket(host: str, port: int, who: str) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.  Raises `BadInput`, which says that `who` cannot listen there, and why."""
    try:
        # With the protocol named asyncio sets TCP_NODELAY; without it answers wait for the client's delayed acknowledgement, 40 ms each.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Not with the port that was found: of a number that is too large only the lower 16 bits are left there.
            listening.bind((address[0], port, *address[2:]))
            listening.listen(BACKLOG)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        raise BadInput(f"{who} cannot listen on {host!r}, port {port}: {error}") from None
    return listening


def root_of(host: str, listening: socket.socket) -> str:
    """Return the URL of what listens at a host, without a path."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


async def serve_app(
    app: "ASGIApp",
    listening: socket.socket,
    *,
    connections: int,
    drain_s: int,
    ready: Callable[[], object] = lambda: None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve an application on a socket, which is closed in the end, until `stop` is set.

    Told to stop it lets no more requests in and gives those in flight `drain_s` seconds; cancelled it cancels them.  Signals are left to
    whoever runs it, and nothing is logged of a request.
    """
    server = _server(app, connections, drain_s)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    stopping = asyncio.create_task((stop or asyncio.Event()).wait())
    try:
        ready()
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        serving.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)
        listening.close()


def _server(app: "ASGIApp", connections: int, drain_s: int) -> "uvicorn.Server":
    import uvicorn  # an extra, whose absence the servers name
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    class Connection(HttpToolsProtocol):
        """Closes connections that say nothing, those beyond the bound, and those whose head does not end."""

        _unread = 0
        """Bytes since the parser last got through with a head, or with a piece of a body: what is longer than that it would keep."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._silent = self.loop.call_later(HEAD_S, self._close_if_silent)
            if len(self.connections) > connections:
                transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._silent.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._unread += len(data)
            super().data_received(data)
            if self._unread > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

        def on_headers_complete(self) -> None:
            self._unread = 0
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._unread = 0
            super().on_body(body)

        def _close_if_silent(self) -> None:
            if getattr(self, "cycle", None) is None:  # no request has come; its type does not say so
                self.transport.close()

    return Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="auto",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=connections,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=drain_s,
        )
    )

"""Connections to a model server that are kept open, and what happens to a request on one that the server has closed."""

from contextvars import ContextVar

import aiohttp
import httpx
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport

from .options import Options

KEEPALIVE_S = 4.0
"""Idle connections are dropped before the servers' own 5 s (uvicorn): a request on a closed one would fail."""
HEADER_BYTES = 8190
"""One header line of a response; there are no more than 128, by aiohttp's own limit or that of its reading buffer."""


class _Attempt:
    """One try to send a request."""

    reused = False
    """It went over a connection that had been used before."""


_ATTEMPT: ContextVar[_Attempt] = ContextVar("attempt")


class _Response(aiohttp.ClientResponse):
    """Leaves no connection of a stream of llama.cpp's behind: a try on it, while it is being closed, costs a tenth of a short answer."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the headers."""
        protocol = connection.protocol
        await super().start(connection)
        if self.headers.get("server") == "llama.cpp" and self.content_type == "text/event-stream":
            assert protocol is not None
            protocol.force_close()
            if self.connection is None:  # All of it came with the headers: it is among the kept ones by now.
                protocol.close()
        return self


class Connections(AiohttpTransport):
    """Sends a request again at once if the kept connection that it went over turns out to be closed.

    Servers close idle connections when they like, some (llama.cpp, after a stream) right after having announced that they
    would not.  That is no outage, and nothing of an answer has come: so the caller need not know.  Each such try takes one
    connection out of the pool, and the last is made on a new one, whose failure is reported.
    """

    def __init__(self, root: httpx.URL, options: Options) -> None:
        # Loading certificates takes 35 ms, for nothing on a plain connection: redirects are not followed.
        super().__init__(verify=root.scheme == "https")
        self._most = options.max_in_flight

    def get_client(self) -> aiohttp.ClientSession:
        """Open the pool."""
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        connector = aiohttp.TCPConnector(
            limit=self._most, keepalive_timeout=KEEPALIVE_S, ssl=self.ssl_context
        )
        return aiohttp.ClientSession(
            connector=connector,
            response_class=_Response,
            trace_configs=[trace],
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response once its headers have come."""
        while True:
            attempt = _Attempt()
            _ATTEMPT.set(attempt)
            try:
                return await super().handle_async_request(request)
            except httpx.RequestError as error:
                if not (attempt.reused and isinstance(error.__cause__, aiohttp.ClientConnectionError)):
                    raise


async def _note_reuse(*_: object) -> None:
    if attempt := _ATTEMPT.get(None):
        attempt.reused = True

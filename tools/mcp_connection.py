"""A connection to an MCP server that whoever calls through it outlives."""

import asyncio
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from surefoot.errors import BadInput

try:
    import httpx2
    import mcp
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client
except ImportError as error:
    # It is an extra, and everything but this works without it: say so only when a server is asked for.
    MISSING: ImportError | None = error
else:
    MISSING = None

CONNECT_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is, and how it is reached."""

    server: str | Sequence[str]
    timeout_s: float
    headers: Mapping[str, str]
    env: Mapping[str, str]
    cwd: str | Path | None
    stderr: TextIO | None

    @property
    def is_url(self) -> bool:
        """Whether it is a server that runs by itself; any other is a command."""
        return isinstance(self.server, str) and self.server.startswith(("http://", "https://"))

    async def open(self, stack: AsyncExitStack) -> "mcp.Client":
        """Return a client that is connected until the stack is closed."""
        transport = self._http(stack) if self.is_url else self._stdio()
        client = mcp.Client(await transport, read_timeout_seconds=self.timeout_s, cache=None)
        return await stack.enter_async_context(client)

    async def _http(self, stack: AsyncExitStack) -> Any:
        # Longer than a call may take: the client gives up a call by itself, but a read that is given up breaks the connection.
        timeout = httpx2.Timeout(CONNECT_S, read=self.timeout_s + CONNECT_S)
        http = await stack.enter_async_context(
            httpx2.AsyncClient(headers=dict(self.headers), timeout=timeout)
        )
        return streamable_http_client(str(self.server), http_client=http)

    async def _stdio(self) -> Any:
        words = shlex.split(self.server) if isinstance(self.server, str) else list(self.server)
        if not words:
            raise ValueError("no command is given")
        if "://" in words[0]:
            raise ValueError("a URL must begin with http:// or https://")
        errors: Any = subprocess.DEVNULL if self.stderr is None else self.stderr
        parameters = mcp.StdioServerParameters(
            command=words[0],
            args=words[1:],
            env=dict(self.env),
            cwd=self.cwd,
            encoding_error_handler="replace",
        )
        return stdio_client(parameters, errlog=errors)


class Connection:
    """Holds a client in a task of its own.

    When a request cannot be sent, the official client cancels the task that has opened it; that must not be the agent's.
    A URL is connected to again by the next call; a command is not started again, as what it knew is gone.
    """

    def __init__(self, address: Address) -> None:
        if MISSING is not None:
            raise BadInput(f"MCP needs the package mcp ({MISSING}); install surefoot[mcp]")
        self._address = address
        self._lock = asyncio.Lock()
        self._end = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None
        self._client: mcp.Client | None = None

    async def client(self) -> "mcp.Client":
        """Return the client, connected; raise what the attempt to connect raises, or `ConnectionError`."""
        async with self._lock:
            if self._holder is None or (self._holder.done() and self._address.is_url):
                if self._end.is_set():
                    raise ConnectionError("the connection to the server was closed")
                await self._connect()
            if self._client is None:
                raise ConnectionError("the server has ended")
            return self._client

    async def close(self) -> None:
        """End the connection, and a command with it."""
        self._end.set()
        if self._holder is not None:
            await asyncio.wait([self._holder])

    async def _connect(self) -> None:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holder = asyncio.create_task(self._hold(ready))
        try:
            await ready
        except asyncio.CancelledError:
            self._holder.cancel()
            await asyncio.wait([self._holder])
            raise

    async def _hold(self, ready: "asyncio.Future[None]") -> None:
        try:
            async with AsyncExitStack() as stack:
                self._client = await self._address.open(stack)
                ready.set_result(None)
                await self._end.wait()
        except BaseException as error:
            # Whoever waits is told; later on every call through the broken connection is told by itself.
            if not ready.done():
                ready.set_exception(_ordinary(error))
        finally:
            self._client = None


def leaf(error: BaseException) -> BaseException:
    """Return the first error of a group, which says more than the group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _ordinary(error: BaseException) -> Exception:
    found = leaf(error)
    return found if isinstance(found, Exception) else ConnectionError(f"broken off by {type(found).__name__}")

"""The tools over standard input and output, or over HTTP: the MCP SDK's server, bounded, and closed to pages of other people."""

import asyncio
import functools
import hmac
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, redirect_stdout
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from surefoot.errors import BadInput, SurefootError
from surefoot.serving.listening import bound_socket, is_loopback, root_of, serve_app

from .settings import McpSettings

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from starlette.types import ASGIApp, Receive, Scope, Send

try:
    import httptools  # noqa: F401
    import mcp.server.mcpserver
    import uvicorn  # noqa: F401
except ImportError as error:
    # They come with an extra: say so only when a server is asked for.
    MISSING: ImportError | None = error
else:
    MISSING = None

BODY = 4 * 2**20
"""Bytes of a request."""
SESSIONS = 64
IDLE_S = 600.0
"""A session that nobody has used for so long is closed."""
CONNECTIONS = 256
DRAIN_S = 10
INSTRUCTIONS = (
    "surefoot does long jobs reliably: a job is a chain of small steps, each decided by a vote among samples of a model, each written "
    "down durably. `plan` says what a job would take, `run` does it and goes on where it stands, `show` reports, `vote` puts one "
    "question to a vote, `score` judges the log of an agent."
)
READS = ("plan", "show", "score", "vote")
"""Tools that leave no job behind."""


async def serve_on_stdio(settings: McpSettings | None = None) -> None:
    """Offer the tools over standard input and output until the input ends.

    What the process prints meanwhile goes to standard error.  Raises `BadInput` without `surefoot[mcp]`.
    """
    await _made(settings or McpSettings(), diverted=True).run_stdio_async()


async def serve_on_http(
    settings: McpSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8002,
    token: str | None = None,
    ready: Callable[[str], object] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Offer the tools over streamable HTTP until `stop` is set; `ready` is told the URL once it listens.  Port 0 takes a free one.

    With a `token` clients have to send `Authorization: Bearer TOKEN`; without one only loopback is listened on, and the headers Host and
    Origin have to be loopback's.  Raises `BadInput` off loopback without a token, for an address that cannot be had, and without
    `surefoot[mcp]`.
    """
    made = _made(settings or McpSettings())
    if token is None and not is_loopback(host):
        raise BadInput(
            f"the MCP server listens on {host!r} only with a token that clients have to send; without one on 127.0.0.1"
        )
    app: ASGIApp = made.streamable_http_app(
        # For this host the SDK checks Host and Origin.  A page of somebody else's has no token, and needs no such check.
        host="127.0.0.1" if token is None else "0.0.0.0",
        max_request_body_size=BODY,
        max_sessions=SESSIONS,
        session_idle_timeout=IDLE_S,
    )
    listening = bound_socket(host, port, "the MCP server")
    await serve_app(
        app if token is None else _with_token(app, token),
        listening,
        connections=CONNECTIONS,
        drain_s=DRAIN_S,
        ready=lambda: ready and ready(f"{root_of(host, listening)}/mcp"),
        stop=stop,
    )


def _made(settings: McpSettings, *, diverted: bool = False) -> "MCPServer[Any]":
    if MISSING is not None:
        raise BadInput(f"the MCP server needs the package mcp ({MISSING}); install surefoot[mcp]")
    from mcp.types import ToolAnnotations

    from .offered import OfferedTools, known_tasks  # with the extra alone

    @asynccontextmanager
    async def lifespan(_: "MCPServer[Any]") -> AsyncIterator[None]:
        # The SDK diverts the descriptor alone: what Python still holds back would get to the client when that is restored.
        with redirect_stdout(sys.stderr):
            yield

    server = mcp.server.mcpserver.MCPServer(
        "surefoot",
        version=version("surefoot"),
        instructions=INSTRUCTIONS,
        log_level="ERROR",
        lifespan=lifespan if diverted else None,
    )
    logging.getLogger("mcp").setLevel(logging.ERROR)  # it tells of every call, with what was asked
    tools = OfferedTools(settings)
    for tool in (tools.plan, tools.run, tools.show, tools.score, tools.vote):
        name = tool.__name__
        said = f"{tool.__doc__}\n{known_tasks()}" if name in ("plan", "run") else tool.__doc__
        notes = ToolAnnotations(
            read_only_hint=name in READS, destructive_hint=False, idempotent_hint=name != "run"
        )
        server.add_tool(_told(tool), name=name, description=said, annotations=notes)
    return server


def _told(tool: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Let a tool's errors reach the client as their sentences: the SDK tells nothing of exceptions that it does not know."""

    @functools.wraps(tool)
    async def called(*args: Any, **given: Any) -> Any:
        try:
            return await tool(*args, **given)
        except SurefootError as error:
            raise mcp.server.mcpserver.exceptions.ToolError(str(error)) from error

    return called


def _with_token(app: "ASGIApp", token: str) -> "ASGIApp":
    """Let in who knows the token."""
    wanted = f"Bearer {token}".encode()

    async def guarded(scope: "Scope", receive: "Receive", send: "Send") -> None:
        from starlette.responses import PlainTextResponse

        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "http" and not hmac.compare_digest(given, wanted):
            headers = {"WWW-Authenticate": "Bearer"}
            refusal = PlainTextResponse("the token is not that of this server", 401, headers)
            return await refusal(scope, receive, send)
        return await app(scope, receive, send)

    return guarded

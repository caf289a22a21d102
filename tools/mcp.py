"""Tools of an MCP server, by the official client: over stdio, or over streamable HTTP."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic_core import to_json

from surefoot.errors import BadInput

from .bounded_text import bounded, one_line, sentence_of
from .environments.environment import Environment
from .failed import ToolFailed
from .function_tool import LONGEST_RESULT
from .json_schema import arguments_by_schema, callable_name
from .mcp_connection import Address, Connection, leaf
from .tool import Effect, Observed, Tool

if TYPE_CHECKING:
    import mcp

PAGES = 100
"""Pages of a server's list of tools that are read."""
LONGEST_DESCRIPTION = 8_000
"""Characters that a server may say of a tool."""


@dataclass(frozen=True, eq=False)
class ServerTool:
    """A tool of an MCP server."""

    name: str
    description: str
    arguments: type[BaseModel]
    effect: Effect
    repeatable: bool
    own_name: str
    """What the server calls it."""
    connection: Connection

    async def call(self, arguments: BaseModel, world: Environment) -> Observed:
        """Let the server make the call; its error, and one of the connection, is a `ToolFailed`."""
        try:
            client = await self.connection.client()
            result = await client.call_tool(self.own_name, arguments.model_dump(mode="json"))
            said = bounded(_said(result), LONGEST_RESULT)
        except RuntimeError as error:
            # The client's, of a result that is not of the form that the server publishes, such as a number that is none.
            why = sentence_of(leaf(error))
            raise ToolFailed(
                f"{self.name} was called, and may have done its work, but its result cannot be taken: {why}"
            ) from error
        except Exception as error:
            raise ToolFailed(f"{self.name} failed with {sentence_of(leaf(error))}") from error
        if result.is_error:
            raise ToolFailed(f"{self.name} failed: {one_line(said) or 'the server does not say why'}")
        return Observed(said)

    def normal(self, arguments: BaseModel, workspace: str = "") -> BaseModel:
        """Return the arguments as they are: only the server knows what they mean."""
        return arguments


@asynccontextmanager
async def mcp_tools(
    server: str | Sequence[str],
    *,
    prefix: str = "",
    timeout_s: float = 300.0,
    headers: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stderr: TextIO | None = None,
) -> AsyncIterator[list[Tool]]:
    """Connect to an MCP server and give its tools, for as long as the block lasts.

        async with mcp_tools("https://example.org/mcp", headers={"Authorization": key}) as tools: ...
        async with mcp_tools(["python", "server.py"], cwd="tools") as tools: ...

    server: the URL of a server, or a command that is one, run without a shell.  prefix: begins the name of each tool.
    timeout_s: longest wait for one answer.  headers: sent with every request to a URL.  env, cwd, stderr: of a command;
    it sees little of this process's variables, and what it writes to standard error is dropped unless a file is given.

    What a server says of its tools' effects is believed: only what it calls read-only is "reads", what it calls destructive
    is "irreversible", everything else "writes".  Raises `BadInput` where it cannot be reached.
    """
    address = Address(
        server=server, timeout_s=timeout_s, headers=headers or {}, env=env or {}, cwd=cwd, stderr=stderr
    )
    connection = Connection(address)
    try:
        try:
            tools = await _listed(connection, prefix)
        except Exception as error:
            raise BadInput(_unreachable(server, _shown(server), error)) from error
        yield tools
    finally:
        await connection.close()


async def _listed(connection: Connection, prefix: str) -> list[Tool]:
    client = await connection.client()
    found: list[Tool] = []
    taken: set[str] = set()
    cursor: str | None = None
    for _ in range(PAGES):
        page = await client.list_tools(cursor=cursor)
        for each in page.tools:
            name = callable_name(prefix + each.name, taken)
            effect, repeatable = _effect(each)
            found.append(
                ServerTool(
                    name=name,
                    description=bounded(each.description or "", LONGEST_DESCRIPTION),
                    arguments=arguments_by_schema(name, each.input_schema),
                    effect=effect,
                    repeatable=repeatable,
                    own_name=each.name,
                    connection=connection,
                )
            )
        cursor = page.next_cursor
        if not cursor:
            return found
    raise ValueError(f"its list of tools has more than {PAGES} pages")


def _effect(tool: "mcp.Tool") -> tuple[Effect, bool]:
    hints = tool.annotations
    if hints is None:
        return "writes", False
    if hints.read_only_hint:
        return "reads", True
    return "irreversible" if hints.destructive_hint else "writes", bool(hints.idempotent_hint)


def _said(result: Any) -> str:
    """Write a result for a model: its text, or its JSON where the text has lost what it is made of.

    Servers made with the Python SDK write the items of a list one after the other, those of nested lists, too, and no None (mcp 2.3.0).
    """
    structured = result.structured_content
    if structured is not None:
        value = structured["result"] if structured.keys() == {"result"} else structured
        texts = all(block.type == "text" for block in result.content)
        if not result.content or (isinstance(value, list) and texts):
            return to_json(value).decode()
    return "\n".join(map(_text, result.content))


def _text(block: Any) -> str:
    """Return what a model is told of one block of a server's answer; it reads text only."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource":
        held = block.resource
        return str(held.text) if hasattr(held, "text") else f"[bytes of {one_line(str(held.uri), 300)}]"
    if block.type == "resource_link":
        return f"[{one_line(block.name, 100)} is at {one_line(str(block.uri), 300)}]"
    return (
        f"[{block.type} of type {one_line(block.mime_type, 100)}, {len(block.data):,} characters of base64]"
    )


def _shown(server: str | Sequence[str]) -> str:
    """Return how a sentence names a server: never with what may be a key."""
    if not isinstance(server, str):
        return repr(one_line(server[0], 120) if server else "")
    if not server.startswith(("http://", "https://")):
        return repr(one_line(server.split(maxsplit=1)[0] if server.strip() else "", 120))
    try:
        parts = urlsplit(server)
        return repr(one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 200))
    except ValueError:
        return "the URL"


def _unreachable(server: str | Sequence[str], where: str, error: BaseException) -> str:
    first = leaf(error)
    said = first.sentence if isinstance(first, BadInput) else sentence_of(first)
    if isinstance(server, str) and "://" in server:
        said = said.replace(server, where)
        return (
            f"the MCP server at {where} is of no use: {said}; see whether the URL and the headers are right"
        )
    return f"the MCP server {where} is of no use: {said}; run the command by itself, or give stderr= to see what it says"

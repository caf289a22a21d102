"""`surefoot mcp`: plan, run, show, score and vote for other people's agents."""

from pathlib import Path
from typing import Annotated

import typer

from surefoot.models.keys import key_in
from surefoot.serving import mcp_server

from .common import go, print_url
from .grouped import grouped
from .options import RedisUrl
from .server_options import ServerOptions

USUAL = mcp_server.McpSettings()


@grouped()
def mcp(
    *,
    model: Annotated[
        str, typer.Option(help="Who is asked: `pebble` (embedded) or an OpenAI-compatible URL.")
    ] = USUAL.model,
    server: ServerOptions,
    redis: RedisUrl = None,
    http: Annotated[
        bool, typer.Option("--http", help="Over streamable HTTP; over standard input and output if absent.")
    ] = False,
    port: Annotated[int, typer.Option(help="With --http; 0 takes a free one.")] = 8002,
    host: Annotated[
        str, typer.Option(help="With --http; off loopback only with --token-file.")
    ] = "127.0.0.1",
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="With --http: a file that holds the token that clients have to send, and nothing else."
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="A call returns after so long at the latest; its job can be gone on with.")
    ] = USUAL.seconds,
    at_once: Annotated[
        int, typer.Option("--calls", help="Calls of plan, run and vote that are worked on at a time.")
    ] = USUAL.at_once,
) -> None:
    """Be an MCP server: plan, run, show, score and vote as tools, over standard input and output or HTTP."""

    async def work() -> None:
        settings = mcp_server.McpSettings(
            model=server.address(model), redis=redis, options=server.made(), seconds=seconds, at_once=at_once
        )
        if not http:
            await mcp_server.serve_on_stdio(settings)
            return
        token = None if token_file is None else key_in(token_file)
        await mcp_server.serve_on_http(settings, host=host, port=port, token=token, ready=print_url)

    go(work(), as_json=False)

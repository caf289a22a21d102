"""`surefoot dashboard`: what Redis knows of jobs, in a browser."""

import asyncio
import signal
from typing import Annotated

import typer

from surefoot.errors import BadInput
from surefoot.serving.dashboard.listening import serve_dashboard
from surefoot.voting.reliability import Price

from .common import go, print_url
from .options import AsJson, RedisUrl
from .terminal import Terminal


def dashboard(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that other machines reach takes a --token.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SUREFOOT_DASHBOARD_TOKEN",
            help="Who types it into the page may suspend, cancel, decide and set limits; without one the dashboard only reads. Others see it in the list of processes, so rather set the variable.",
            show_envvar=True,
        ),
    ] = None,
    input_price: Annotated[float | None, typer.Option(help="Price of a million input tokens.")] = None,
    output_price: Annotated[float | None, typer.Option(help="Price of a million output tokens.")] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of a vLLM whose load is shown beside the jobs, as its /metrics tell it; may be given several times."
        ),
    ] = None,
    redis: RedisUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show jobs in a browser while they run and after, from what is in Redis: progress, votes, risk, every step."""
    stderr = Terminal(stderr=True)

    def say(sentence: str) -> None:
        stderr.print(sentence, style="dim", soft_wrap=True)

    async def work() -> None:
        price = None
        if input_price is not None and output_price is not None:
            price = Price(input_price, output_price)
        elif input_price is not None or output_price is not None:
            raise BadInput(
                "a cost takes both prices of a million tokens, --input-price and --output-price: 0 if it is free"
            )
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve_dashboard(
            redis,
            host=host,
            port=port,
            token=token,
            price=price,
            servers=server or (),
            ready=lambda url: print_url(url, as_json),
            say=say,
            stop=stop,
        )

    go(work(), as_json)

"""`surefoot proxy`: an OpenAI-compatible endpoint whose answers are elected."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from surefoot.models.base import Sampling
from surefoot.models.connect import open_model
from surefoot.models.elected_answers.bounds import Equality
from surefoot.models.keys import key_in
from surefoot.serving.proxy.serve import serve_proxy
from surefoot.serving.proxy.settings import ProxySettings

from .common import go, print_url
from .grouped import grouped
from .options import AsJson
from .server_options import ServerOptions
from .terminal import Terminal

USUAL = ProxySettings()
PATIENCE_S = 30.0


@grouped()
def proxy(
    model: Annotated[
        str, typer.Option(help="Whose samples are voted on: a URL, several of one model, `pebble`.")
    ],
    server: ServerOptions,
    votes: Annotated[
        int, typer.Option(help="Lead that decides; a request may ask for another.")
    ] = USUAL.votes,
    limit: Annotated[
        int, typer.Option(help="Most samples of one request; a request may ask for fewer.")
    ] = USUAL.limit,
    equality: Annotated[
        Equality, typer.Option(help="When two texts are one ballot; a request may say otherwise.")
    ] = USUAL.equality,
    temperature: Annotated[
        float, typer.Option(help="Of the samples, where a request says none, or 0.")
    ] = USUAL.sampling.temperature,
    max_tokens: Annotated[
        int, typer.Option(help="A sample is cut off here; a request may ask for fewer.")
    ] = USUAL.sampling.max_tokens,
    accuracy: Annotated[
        float | None,
        typer.Option(
            help="How often one sample is right, as you have measured it; answers then have a risk."
        ),
    ] = USUAL.accuracy,
    most_requests: Annotated[
        int, typer.Option(help="Requests in flight; one more gets a 429.")
    ] = USUAL.most_requests,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8001,
    host: Annotated[
        str, typer.Option(help="Address to listen on; off loopback only with a key for clients.")
    ] = "127.0.0.1",
    client_key: Annotated[
        str | None,
        typer.Option(
            envvar="SUREFOOT_PROXY_KEY",
            help="What clients have to send; others see it in the list of processes, so rather set the variable.",
            show_envvar=True,
        ),
    ] = None,
    client_key_file: Annotated[
        Path | None, typer.Option(help="A file that holds the clients' key and nothing else.")
    ] = None,
    patience_s: Annotated[
        float, typer.Option(help="So long a sample is tried for again while the model's server is away.")
    ] = PATIENCE_S,
    as_json: AsJson = False,
) -> None:
    """Answer OpenAI's API with answers that are elected among samples of the server behind, until it is told to stop."""
    stderr = Terminal(stderr=True)

    def say(sentence: str) -> None:
        stderr.print(sentence, style="dim", soft_wrap=True)

    async def work() -> None:
        settings = ProxySettings(
            votes=votes,
            limit=limit,
            equality=equality,
            accuracy=accuracy,
            sampling=Sampling(temperature=temperature, first_temperature=None, max_tokens=max_tokens),
            most_requests=most_requests,
            api_key=client_key if client_key_file is None else key_in(client_key_file),
        )
        stop, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def told() -> None:
            """End in order; told a second time, at once."""
            (task.cancel if stop.is_set() else stop.set)()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told)
        options = replace(server.made(), patience_s=patience_s, on_notice=say)
        async with open_model(server.address(model), options=options) as opened:
            await serve_proxy(
                opened, settings, host=host, port=port, ready=lambda url: print_url(url, as_json), stop=stop
            )

    go(work(), as_json)

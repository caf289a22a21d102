"""`surefoot serve`: a local vLLM."""

import sys
from typing import Annotated

import typer

from surefoot.models.vllm.launch import Serving, source
from surefoot.models.vllm.serve import serve_forever

from .common import go
from .options import AsJson
from .terminal import Terminal, to_json


def serve(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="`pebble`, `ponder`, a folder, or a Hugging Face id.")
    ],
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    gpu: Annotated[bool | None, typer.Option("--gpu/--cpu", help="Whichever is there if absent.")] = None,
    max_model_len: Annotated[int | None, typer.Option(help="Longest prompt and answer, in tokens.")] = None,
    reasoning_parser: Annotated[
        str | None, typer.Option(help="vLLM's name for how the model thinks.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start a local vLLM with the flags that suit this toolkit, and end it cleanly."""
    stderr = Terminal(stderr=True)

    def say(sentence: str) -> None:
        stderr.print(sentence, style="dim", soft_wrap=True)

    def ready(url: str) -> None:
        told = to_json({"url": url, "model": source(model).name}) if as_json else url
        sys.stdout.write(told + "\n")
        sys.stdout.flush()  # a program that waits for this line reads it through a pipe, which stays open

    async def work() -> None:
        settings = Serving(
            host=host,
            port=port,
            device=None if gpu is None else "gpu" if gpu else "cpu",
            max_model_len=max_model_len,
            reasoning_parser=reasoning_parser,
        )
        await serve_forever(model, settings, ready=ready, say=say)

    go(work(), as_json)

"""Streamed asks of llama.cpp beside unstreamed ones, and a client that reads nothing of the answers beside both, in one run.

python bench/streamed.py [--asks 40] [--rounds 9]
"""

import asyncio
import http.client
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import pages

from surefoot import OpenAIModel, Towers
from surefoot.models.base import Ask
from surefoot.models.embedded.llama_cpp import FULL_DISTRIBUTION, EmbeddedServer, embedded_options
from surefoot.models.openai.options import Wait

TOKENS = 40
Way = Callable[[str, int], Awaitable[None]]


async def ask(model: OpenAIModel, prompt: str, asks: int) -> None:
    """Ask so many times, one after the other."""
    for seed in range(asks):
        async with aclosing(model.sample([Ask(prompt, 0.0, TOKENS, seed)])) as samples:
            async for _, sample in samples:
                assert sample.text == "aAB;AbcdefghijBaC"


async def ask_bare(url: str, stream: bool, prompt: str, asks: int) -> None:
    """Do the same with the standard library alone, which blocks: what it takes is the server's time, and no client saves it."""
    said = {"prompt": prompt, "max_tokens": TOKENS, "temperature": 0.0, "stream": stream, **FULL_DISTRIBUTION}
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for _ in range(asks):
        connection.request("POST", "/v1/completions", json.dumps(said))
        assert b'"finish_reason":"stop"' in connection.getresponse().read()
        if stream:
            connection.close()  # as the server does
    connection.close()


async def measured(ways: Iterable[Way], prompt: str, asks: int) -> list[float]:
    """Return for each way the seconds that so many asks take, and those of CPU that the client's thread takes of them."""
    took = []
    for way in ways:
        began, began_cpu = time.perf_counter(), time.thread_time()
        await way(prompt, asks)
        took += [time.perf_counter() - began, time.thread_time() - began_cpu]
    return took


async def main(asks: int, rounds: int) -> None:
    task = Towers(10, "compact")
    prompt = task.ask(task.start())
    assert isinstance(prompt, str)
    waits: list[Wait] = []
    with EmbeddedServer() as server:
        usual = replace(embedded_options(), on_wait=waits.append)
        async with (
            OpenAIModel(server.url, options=usual) as whole,
            OpenAIModel(server.url, options=replace(usual, stream=True)) as streamed,
        ):
            ways = {
                "surefoot": [partial(ask, whole), partial(ask, streamed)],
                "bare": [partial(ask_bare, server.url, stream) for stream in (False, True)],
            }
            took: dict[str, list[list[float]]] = {name: [] for name in ways}
            for _ in range(rounds + 1):
                for name, pair in ways.items():
                    took[name].append(await measured(pair, prompt, asks))
    for name, (_, *rows) in took.items():  # The first round probes the server.
        ratios = sorted(stream_s / whole_s for whole_s, _, stream_s, _ in rows)
        whole_ms, whole_cpu, stream_ms, stream_cpu = (
            1000 * statistics.median(column) / asks for column in zip(*rows, strict=True)
        )
        print(
            f"{name}: unstreamed {whole_ms:.2f} ms an ask ({whole_cpu:.2f} ms of CPU in the client), streamed {stream_ms:.2f} "
            f"({stream_cpu:.2f}); streamed / unstreamed: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    print(f"{len(waits)} waits")


if __name__ == "__main__":
    parser = pages.options(__doc__)
    parser.add_argument("--asks", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    asyncio.run(main(given.asks, given.rounds))

"""Streamed asks of llama.cpp beside unstreamed ones, in turn, in one run: the ratio and its spread.

python bench/streamed.py [--asks 40] [--rounds 9]
"""

import asyncio
import statistics
import time
from contextlib import aclosing
from dataclasses import replace

import pages

from surefoot import OpenAIModel, Towers
from surefoot.models.base import Ask
from surefoot.models.embedded.llama_cpp import EmbeddedServer, embedded_options
from surefoot.models.openai.options import Wait


async def round_s(model: OpenAIModel, prompt: str, asks: int) -> float:
    """Return the seconds that so many asks take, one after the other."""
    began = time.perf_counter()
    for seed in range(asks):
        async with aclosing(model.sample([Ask(prompt, 0.0, 40, seed)])) as samples:
            async for _, sample in samples:
                assert sample.text == "aAB;AbcdefghijBaC"
    return time.perf_counter() - began


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
            for model in (whole, streamed):
                await model.ready()
                await round_s(model, prompt, asks)
            pairs = [
                (await round_s(whole, prompt, asks), await round_s(streamed, prompt, asks))
                for _ in range(rounds)
            ]
    ratios = sorted(stream_s / whole_s for whole_s, stream_s in pairs)
    whole_ms, stream_ms = (1000 * statistics.median(column) / asks for column in zip(*pairs, strict=True))
    print(f"unstreamed {whole_ms:.2f} ms an ask, streamed {stream_ms:.2f} ms, {len(waits)} waits")
    print(f"streamed / unstreamed: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    parser = pages.options(__doc__)
    parser.add_argument("--asks", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    asyncio.run(main(given.asks, given.rounds))

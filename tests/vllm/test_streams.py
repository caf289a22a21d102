"""Streams from a real vLLM: prefilled, counted to the token, and aborted on the server when they are closed."""

import asyncio
import time
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from surefoot.models.base import Message, Prompt
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.options import Options
from surefoot.models.streaming import Draw, Piece, whole_stream
from surefoot.voting.samples import NOTHING

pytestmark = pytest.mark.vllm

TEXT: Prompt = "---;AabcBC>"
CHAT: Prompt = (Message("user", "---;AabcBC>"),)
ANSWER = "aAB;AbcBaC"
LIMIT = 200


def draw(prompt: Prompt, **more: Any) -> Draw:
    return Draw(**{"prompt": prompt, "temperature": 0.0, "max_tokens": 40, "seed": 1, **more})


@pytest.mark.parametrize("prompt", [TEXT, CHAT])
async def test_a_stream_goes_on_from_any_letter(model: OpenAIModel, prompt: Prompt) -> None:
    whole = await whole_stream(model, draw(prompt, top_logprobs=2))
    assert whole.text == ANSWER
    assert "".join(token.text for token in whole.tokens).removesuffix("<eos>") == ANSWER
    assert all(len(token.top) >= 1 and token.logprob is not None for token in whole.tokens)
    for border in range(1, len(ANSWER), 3):
        rest = await whole_stream(model, draw(prompt, begun=ANSWER[:border]))
        assert ANSWER[:border] + rest.text == ANSWER


async def metric(url: str, name: str) -> float:
    async with httpx.AsyncClient(timeout=30) as client:
        text = (await client.get(url.removesuffix("/v1") + "/metrics")).text
    values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(f"vllm:{name}{{")]
    assert values, f"vLLM has no metric {name}"
    return sum(map(float, values))


async def first(model: OpenAIModel, number: int, asked: Draw) -> list[Piece]:
    """The first pieces of a stream, which is then closed."""
    begun: list[Piece] = []
    async with aclosing(model.stream(asked)) as pieces:
        async for piece in pieces:
            begun.append(piece)
            if len(begun) == number:
                break
    return begun


async def test_the_cost_of_a_closed_stream_is_known(model: OpenAIModel) -> None:
    begun = await first(model, 3, draw(TEXT, temperature=1.0))
    usage = NOTHING
    for piece in begun:
        usage += piece.usage
    assert (usage.prompt, usage.completion) == (len(TEXT), len("".join(piece.text for piece in begun)))


async def test_closed_streams_are_aborted(url: str) -> None:
    """Without an end of their own they would all be written up to the limit, to the last token."""
    streams = [draw(TEXT, max_tokens=LIMIT, temperature=1.0, seed=seed) for seed in range(64)]
    written = await metric(url, "generation_tokens_total")
    async with OpenAIModel(url, options=Options(extra={"ignore_eos": True})) as model:
        await model.ready()
        begun = await asyncio.gather(*(first(model, 3, stream) for stream in streams))
        deadline = time.monotonic() + 10
        while await metric(url, "num_requests_running") + await metric(url, "num_requests_waiting"):
            assert time.monotonic() < deadline, "vLLM works on"
    assert not any(piece.finish for pieces in begun for piece in pieces), "none was at its end"
    assert await metric(url, "generation_tokens_total") - written < len(streams) * LIMIT


async def test_without_a_reasoning_parser_there_is_no_native_budget(model: OpenAIModel) -> None:
    assert not await model.native_budget()


async def test_tokens_have_the_servers_numbers(model: OpenAIModel) -> None:
    one, two = await model.tokenize("a"), await model.tokenize("ab")
    assert len(one) == 1
    assert two[:1] == one

"""Streams from a real vLLM: prefilled, counted to the token, and aborted on the server when they are closed."""

import asyncio
import re
from contextlib import aclosing

import httpx
import pytest
from surefoot.agents.model import Message, Prompt
from surefoot.agents.openai import OpenAIModel
from surefoot.agents.thinking.stream import Draw, Piece, collect
from surefoot.voting.samples import NOTHING

pytestmark = pytest.mark.vllm

TEXT: Prompt = "---;AabcBC>"
CHAT: Prompt = (Message("user", "---;AabcBC>"),)
ANSWER = "aAB;AbcBaC"
RUNNING = re.compile(r"^vllm:num_requests_running\{.*\} (\S+)$", re.MULTILINE)


def draw(prompt: Prompt, **more: object) -> Draw:
    return Draw(prompt, 0.0, 40, 1)._replace(**more)  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", [TEXT, CHAT])
async def test_a_stream_goes_on_from_any_letter(model: OpenAIModel, prompt: Prompt) -> None:
    whole = await collect(model, draw(prompt, top_logprobs=2))
    assert whole.text == ANSWER
    assert "".join(token.text for token in whole.tokens).removesuffix("<eos>") == ANSWER
    assert all(len(token.top) >= 1 and token.logprob is not None for token in whole.tokens)
    for border in range(1, len(ANSWER), 3):
        rest = await collect(model, draw(prompt, begun=ANSWER[:border]))
        assert ANSWER[:border] + rest.text == ANSWER


async def test_a_closed_stream_is_aborted_and_its_cost_known(model: OpenAIModel, url: str) -> None:
    begun: list[Piece] = []
    endless = draw(TEXT, max_tokens=200, temperature=1.0, logit_bias=())
    async with aclosing(model.stream(endless)) as pieces:
        async for piece in pieces:
            begun.append(piece)
            if len(begun) == 3:
                break
    usage = NOTHING
    for piece in begun:
        usage = usage.plus(piece.usage)
    assert (usage.prompt, usage.completion) == (len(TEXT), len("".join(piece.text for piece in begun)))
    root = url.removesuffix("/v1")
    async with httpx.AsyncClient(timeout=30) as client:
        for _ in range(200):
            if float(RUNNING.findall((await client.get(f"{root}/metrics")).text)[0]) == 0:
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the request went on running")


async def test_without_a_reasoning_parser_there_is_no_native_budget(model: OpenAIModel) -> None:
    assert not await model.native_budget()


async def test_tokens_have_the_servers_numbers(model: OpenAIModel) -> None:
    one, two = await model.tokenize("a"), await model.tokenize("ab")
    assert len(one) == 1
    assert two[:1] == one

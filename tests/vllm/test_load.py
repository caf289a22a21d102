"""The load of a real vLLM, as the dashboard shows it: what it says at /metrics, and what a runner has asked of it."""

import asyncio
from contextlib import aclosing

import httpx
import pytest

from surefoot.models.base import Ask
from surefoot.models.openai import OpenAIModel
from surefoot.serving.dashboard.vllm_metrics import VllmServer

pytestmark = pytest.mark.vllm

PROMPT = "---;AabcBC>"
LIMIT = 200


async def answered(model: OpenAIModel, seed: int) -> int:
    ask = Ask(PROMPT, 1.0, LIMIT, seed)
    async with aclosing(model.sample([ask])) as samples:
        return sum([sample.usage.completion async for _, sample in samples])


async def test_what_it_says_of_its_load_is_what_was_asked(url: str, model: OpenAIModel) -> None:
    server, before = VllmServer(url), model.server_load()
    async with httpx.AsyncClient() as client:
        await server.look(client)
        idle = server.view()
        written = await asyncio.gather(*(answered(model, seed) for seed in range(8)))
        await server.look(client)
        after = server.view()
    load = model.server_load()
    assert (idle["trouble"], idle["running"], idle["waiting"]) == ("", 0, 0)
    assert 0 <= after["kv_cache"] <= 1 and after["preempted"] == 0
    assert after["generated_s"] > 0 and after["prompt_s"] > 0
    assert server.grown("generated_tokens") == sum(written)
    assert load.requests - before.requests == 8 and load.busy_s > before.busy_s

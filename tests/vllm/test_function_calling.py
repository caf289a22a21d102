"""Calls made by a real vLLM: grammar leaves pebble no choice, though it knows nothing of tools."""

from collections.abc import AsyncIterator

import pytest

from surefoot.models.base import Ask, Message
from surefoot.models.gather import in_order
from surefoot.models.offers import Call, Offer, ToolSchema, read_calls, write_calls
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.vllm.launch import Serving
from surefoot.models.vllm.serve import serving
from surefoot.voting.samples import Sample

pytestmark = pytest.mark.vllm

PICK = ToolSchema(
    "pick",
    "Pick a number.",
    '{"additionalProperties":false,"properties":{"x":{"enum":[1,2],"type":"integer"}},"required":["x"],"type":"object"}',
)
CALLS = {Call("pick", '{"x":1}'), Call("pick", '{"x":2}')}
MUST = Offer((PICK,), "required", parallel=False)
MAY = Offer((PICK,))
TASK = (Message("user", "Pick."),)
STRICT = ("--tool-strict-level", "parameter")
"""The grammar is that of the schema; otherwise vLLM 0.32 takes any JSON for arguments."""
NO_BLANKS = {"logit_bias": {str(byte): -100 for byte in b"\t\n\r "}}
"""A model that knows nothing of tools writes them to the end; `disable_any_whitespace` does not hold for the grammar of calls."""
PARSER = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")


@pytest.fixture(scope="module")
async def calling() -> AsyncIterator[str]:
    async with serving("pebble", Serving(start_s=600.0, more=(*PARSER, *STRICT))) as url:
        yield url


def ask(offer: Offer, *more: Message, max_tokens: int = 120, seed: int = 0) -> Ask:
    return Ask((*TASK, *more), 1.0, max_tokens, seed, offer=offer)


async def drawn(url: str, *asks: Ask, stream: bool = False) -> tuple[list[Sample], list[str]]:
    notices: list[str] = []
    async with OpenAIModel(
        url, options=Options(stream=stream, on_notice=notices.append, extra=NO_BLANKS)
    ) as model:
        return await in_order(model, asks), [notice for notice in notices if "tools" in notice]


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_that_must_be_made_are_made(calling: str, stream: bool) -> None:
    samples, notices = await drawn(calling, *(ask(MUST, seed=seed) for seed in range(4)), stream=stream)
    assert [sample.finish for sample in samples] == ["stop"] * 4
    for sample in samples:
        prose, (call, *more) = read_calls(sample.text)
        assert (prose.strip(), call in CALLS, more) == ("", True, [])
    assert len(notices) == 1 and notices[0].endswith("calls tools by its function calling")


@pytest.mark.parametrize("stream", [False, True])
async def test_half_a_call_is_no_call(calling: str, stream: bool) -> None:
    samples, _ = await drawn(
        calling, *(ask(MUST, max_tokens=limit) for limit in (4, 20, 32, 40)), stream=stream
    )
    for sample in samples:
        assert sample.finish in ("length", "stop")
        if sample.finish == "length":
            assert not read_calls(sample.text)[1]


async def test_a_conversation_with_calls_is_taken_back_malformed_ones_too(calling: str) -> None:
    before = (
        Message(
            "assistant", write_calls("Hm.", [Call("pick", '{"x":1}'), Call("pick", '{"x"'), Call("", "?")])
        ),
        *[Message("tool", text) for text in ("1", "no", "what?")],
    )
    samples, _ = await drawn(calling, ask(MUST, *before), ask(MAY, *before, max_tokens=30))
    assert read_calls(samples[0].text)[1][0] in CALLS
    assert not read_calls(samples[1].text)[1]


async def test_without_a_parser_of_calls_tools_are_offered_in_words(url: str) -> None:
    """The server of the other tests; in words an offer is too long for pebble's context."""
    notices: list[str] = []
    async with OpenAIModel(url, options=Options(on_notice=notices.append)) as model:
        with pytest.raises(RequestRefused, match="maximum context length"):
            await in_order(model, [ask(MAY)])
    assert ["--enable-auto-tool-choice" in notice for notice in notices if "tools" in notice] == [True]

"""The server double speaks the API, or has the manners of servers that one meets; the client copes with each."""

from contextlib import aclosing
from typing import get_args

import openai
import pytest

from surefoot.models.base import Ask, Message
from surefoot.models.doubles import towers_double
from surefoot.models.doubles.faults import Fault
from surefoot.models.doubles.response_shapes import Manner, Quirk
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.failures import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.voting.samples import Sample

PROMPT = "---;AabcBC>"
ANSWER = "aAB;AbcBaC"


async def drawn(model: OpenAIModel, chat: bool, count: int = 1) -> list[Sample]:
    prompt = (Message("user", PROMPT),) if chat else PROMPT
    async with aclosing(model.sample([Ask(prompt, 0.1, 50, seed) for seed in range(count)])) as samples:
        return [sample async for _, sample in samples]


async def test_t4_the_streaming_helper_of_the_openai_sdk_reads_the_double() -> None:
    async with DoubleServer(towers_double()) as server:
        client = openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0)
        asked = {
            "model": "towers-double",
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": 50,
        }
        models = await client.models.list()
        asked["model"] = models.data[0].id
        async with client.chat.completions.stream(**asked) as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_completion()
        assert "content.delta" in kinds
        assert (final.choices[0].message.content, final.choices[0].message.role) == (ANSWER, "assistant")
        assert final.choices[0].finish_reason == "stop"
        assert (final.object, final.model) == ("chat.completion", asked["model"])
        whole = await client.chat.completions.create(**asked)
        text = await client.completions.create(model=asked["model"], prompt=PROMPT, max_tokens=50)
        await client.close()
    assert whole.choices[0].message.content == text.choices[0].text == ANSWER
    for answer in (whole, text, final):
        assert answer.id
        assert answer.created > 1_700_000_000
    assert whole.id != final.id


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("quirk", get_args(Quirk))
async def test_every_manner_is_coped_with(quirk: Quirk, chat: bool, stream: bool) -> None:
    waits: list[object] = []
    manner = Manner(frozenset([quirk]), {"stop": "eos_token", "length": "max_length"})
    options = Options(stream=stream, on_wait=waits.append)
    async with DoubleServer(towers_double(), manner=manner) as server:
        name = server._model.name if quirk == "no list" else None
        async with OpenAIModel(server.url, name, options=options) as model:
            await model.ready()
            (alone,) = await drawn(model, chat)
            several = await drawn(model, chat, 3)
    assert [(sample.text, sample.finish) for sample in (alone, *several)] == [(ANSWER, "stop")] * 4
    assert alone.tokens == (None if "usage" in quirk and quirk != "usage apart" else 3)
    assert alone.usage.uncounted == (1 if quirk in ("no usage", "odd usage") else 0)
    assert waits == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("form", ["object", "string", "choice", "finish", "event"])
async def test_every_form_of_an_error_inside_an_answer_is_tried_again(
    form: str, chat: bool, stream: bool
) -> None:
    waits: list[object] = []
    options = Options(stream=stream, on_wait=waits.append)
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url, options=options) as model:
        await model.ready()
        server.fail(Fault("error", status=502, message="gone", form=form))  # type: ignore[arg-type]
        (sample,) = await drawn(model, chat)
    assert (sample.text, len(waits)) == (ANSWER, 1)


async def test_a_kind_of_error_that_stays_is_not_waited_for() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        for fault in (
            Fault("status", status=429, type="insufficient_quota", message="no money"),
            Fault("error", status=402, message="no money"),
        ):
            server.fail(fault)
            with pytest.raises(RequestRefused, match="no money"):
                await drawn(model, True)


async def test_any_answer_can_be_put_into_the_doubles_mouth() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.fail(Fault("answer", body='{"choices": [{"text": "42", "finish_reason": "stop"}]}'))
        server.fail(Fault("answer", body='data: {"choices": [{"text": "43", "finish_reason": "stop"}]}\n\n'))
        assert [(await drawn(model, False))[0].text for _ in range(2)] == ["42", "43"]

"""The proxy by OpenAI's newer endpoint: the same votes in another form."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from surefoot.models.base import Prompt
from surefoot.models.doubles import Double
from surefoot.models.offers import Call, write_calls
from surefoot.serving.proxy.requests import ChatMessage
from surefoot.serving.proxy.responses import ResponsesRequest

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    "strict": False,
}
QUESTION = "What is six times seven?"


def sums(error: float = 0.0, **faults: Any) -> Double:
    return Double(lambda prompt: "42", lambda prompt, which: str(1000 + which % 50), error=error, **faults)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60) as client:
        yield client


def client(url: str, http: httpx.AsyncClient) -> Any:
    return openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http, max_retries=0).responses


async def test_an_answer_is_elected(proxied: Any, http: httpx.AsyncClient) -> None:
    async with proxied(sums(0.5, seed=5), votes=4, limit=60) as url:
        raw = await client(url, http).with_raw_response.create(
            model="voted", input=QUESTION, instructions="Be brief."
        )
    answer = raw.parse()
    assert answer.output_text == "42" and answer.status == "completed"
    assert raw.headers["x-surefoot-margin"] == "4" == str(answer.model_extra["surefoot"]["margin"])
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


class Person(BaseModel):
    name: str
    age: int


async def test_what_is_wanted_as_json_is_compared_as_json(proxied: Any, http: httpx.AsyncClient) -> None:
    says = Double(lambda p: '{"age": 36, "name": "Ada"}', lambda p, n: '{"name":"Ada","age":36}', error=0.5)
    async with proxied(says) as url:
        answer = await client(url, http).parse(model="voted", input=QUESTION, text_format=Person)
    assert answer.output_parsed == Person(name="Ada", age=36)
    assert answer.model_extra["surefoot"]["vote"] == "json"


@pytest.mark.parametrize("late", [False, True])
async def test_events_come_in_the_order_that_clients_expect(
    proxied: Any, http: httpx.AsyncClient, late: bool
) -> None:
    model = sums(latency=0.3 if late else 0.0)
    async with (
        proxied(model, keep_alive_s=0.05) as url,
        client(url, http).stream(model="voted", input=QUESTION) as stream,
    ):
        kinds = [event.type async for event in stream]
        whole = await stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds
    assert whole.output_text == "42"


def forecast(prompt: Prompt) -> str:
    last = prompt[-1]
    assert not isinstance(last, str)
    if last.role == "tool":
        return f"It is {last.content} there."
    return write_calls("I look.", [Call("weather", '{"town": "Paris"}')])


async def test_a_call_is_elected_and_its_result_goes_back(proxied: Any, http: httpx.AsyncClient) -> None:
    async with proxied(Double(forecast, lambda p, n: forecast(p))) as url:
        ask = client(url, http)
        first = await ask.create(model="voted", input=QUESTION, tools=[WEATHER])
        message, call = first.output
        assert message.content[0].text == "I look."
        assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"town":"Paris"}')
        items = [
            {"role": "user", "content": QUESTION},
            *(item.model_dump(exclude_none=True) for item in first.output),
        ]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
        last = await ask.create(model="voted", input=items, tools=[WEATHER])
        async with ask.stream(model="voted", input=QUESTION, tools=[{**WEATHER, "strict": True}]) as stream:
            streamed = await stream.get_final_response()
    assert last.output_text == "It is sunny there."
    assert last.model_extra["surefoot"]["vote"] == "no call"
    assert streamed.output[1].arguments == '{"town":"Paris"}'


def test_a_conversation_becomes_messages() -> None:
    request = ResponsesRequest.model_validate(
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Look."}]},
                {"type": "reasoning", "summary": []},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "I do."}],
                },
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "b", "output": "2"},
                {"type": "function_call_output", "call_id": "a", "output": "1"},
            ],
            "text": {"format": {"type": "json_object"}, "verbosity": "low"},
            "reasoning": {"effort": "low"},
            "store": False,
            "max_output_tokens": 9,
        }
    )
    chat = request.as_chat()
    system, user, answer, *results = chat.messages
    assert system == ChatMessage(role="system", content="Be brief.") and user.role == "user"
    assert [call.id for call in answer.tool_calls or ()] == ["a", "b"]
    assert [(result.tool_call_id, result.content) for result in results] == [("b", "2"), ("a", "1")]
    assert chat.max_tokens == 9
    assert chat.forwarded() == {
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_object"},
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"previous_response_id": "resp_1"}, "keeps nothing"),
        ({"background": True}, "keeps nothing"),
        ({"input": []}, "input"),
        ({"messages": []}, "no field of this endpoint"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "id"),
        ({"max_output_tokens": 1_000_000}, "at most 4,096"),
    ],
)
async def test_what_cannot_be_is_one_sentence(
    proxied: Any, http: httpx.AsyncClient, more: dict[str, Any], said: str
) -> None:
    async with proxied(sums()) as url:
        answer = await http.post(f"{url}/responses", json={"model": "voted", "input": QUESTION, **more})
    assert answer.status_code == 400 and said in answer.json()["error"]["message"]


async def test_a_stalled_vote_is_an_error(proxied: Any, http: httpx.AsyncClient) -> None:
    model = Double(lambda p: "1", lambda p, n: str(n), error=1.0, seed=4)
    async with proxied(model, votes=3, limit=9) as url:
        with pytest.raises(openai.ConflictError):
            await client(url, http).create(model="voted", input=QUESTION)

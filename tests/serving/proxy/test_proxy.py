"""The proxy as clients meet it: elected answers, in the form of the OpenAI API."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import httpx
import openai
import pytest
from pydantic import BaseModel

from surefoot import OpenAIModel, Options
from surefoot.models.base import Message, Prompt
from surefoot.models.doubles import Double, DoubleServer, Fault
from surefoot.models.offers import Call, write_calls

QUESTION = [{"role": "user", "content": "What is six times seven?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a town.",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def sums(error: float = 0.0, **faults: Any) -> Double:
    """Says 42, or, in that share of its samples, one of fifty other numbers."""
    return Double(lambda prompt: "42", lambda prompt, which: str(1000 + which % 50), error=error, **faults)


def prose(prompt: Prompt) -> str:
    return "The product of six and seven is, as everybody knows, forty-two."


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., openai.AsyncOpenAI]]:
    """Return what makes a client, which is closed after the test."""
    async with AsyncExitStack() as made:
        http = await made.enter_async_context(httpx.AsyncClient(timeout=60))

        def client(url: str, **options: Any) -> openai.AsyncOpenAI:
            return openai.AsyncOpenAI(
                base_url=url, api_key="none", http_client=http, **{"max_retries": 0, **options}
            )

        yield client


def told(answer: Any) -> dict[str, Any]:
    """The field `surefoot` of an answer or a chunk, which the client passes over."""
    found: dict[str, Any] = answer.model_extra["surefoot"]
    return found


async def test_an_answer_is_elected_and_says_by_how_much(proxied: Any, client: Any) -> None:
    async with proxied(sums(0.5, seed=5), votes=4, limit=60) as url:
        raw = await client(url).chat.completions.with_raw_response.create(
            model="voted", messages=QUESTION, seed=3
        )
    answer = raw.parse()
    said = told(answer)
    assert answer.choices[0].message.content == "42" and answer.choices[0].finish_reason == "stop"
    assert said["vote"] == "any" and said["margin"] == 4 and len(said["tally"]) > 1
    assert said["samples"] == sum(said["tally"])
    assert raw.headers["x-surefoot-tally"] == ",".join(map(str, said["tally"]))
    assert raw.headers["x-surefoot-vote"] == "any" and raw.headers["x-surefoot-risk"] == "unknown"
    assert answer.model == "double"


async def test_usage_is_that_of_all_samples_thrown_away_ones_included(proxied: Any, client: Any) -> None:
    async with DoubleServer(sums(0.2, invalid=0.2, seed=2)) as server, OpenAIModel(server.url) as model:
        async with proxied(model, votes=3, limit=60) as url:
            await model.ready()
            before, drawn = model.usage, server.stats.samples
            answer = await client(url).chat.completions.create(model="voted", messages=QUESTION)
        spent = model.usage.total - before.total
    assert answer.usage is not None
    assert answer.usage.total_tokens == spent > 0
    assert told(answer)["samples"] == server.stats.samples - drawn


async def test_the_same_seed_decides_the_same_and_two_samples_never_share_one(
    proxied: Any, client: Any
) -> None:
    async with proxied(sums(0.6, seed=1), votes=4, limit=400) as url:
        first, again, other = [
            told(await client(url).chat.completions.create(model="voted", messages=QUESTION, seed=seed))
            for seed in (7, 7, 8)
        ]
    assert first == again
    assert first["tally"] != other["tally"]


async def stalled(url: str) -> Any:
    async with httpx.AsyncClient() as http:
        return (await http.post(f"{url}/chat/completions", json={"messages": QUESTION})).json()


async def test_a_stalled_vote_is_an_error_and_never_a_plurality(proxied: Any, client: Any) -> None:
    """OpenAI's client would try a 409 again by itself; it is told not to."""
    model = Double(lambda prompt: "1", lambda prompt, which: str(which), error=1.0, seed=4)
    async with proxied(model, votes=3, limit=9) as url:
        with pytest.raises(openai.ConflictError) as caught:
            await client(url, max_retries=3).chat.completions.create(model="voted", messages=QUESTION)
        body = await stalled(url)
    assert caught.value.code == "vote_stalled"
    assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"
    assert body["surefoot"]["vote"] is None and body["surefoot"]["samples"] <= 9
    assert [each["votes"] for each in body["surefoot"]["candidates"]] == body["surefoot"]["tally"]


async def test_prose_is_elected_by_nobody_and_costs_one_sample(proxied: Any, client: Any) -> None:
    async with proxied(Double(prose, lambda prompt, which: prose(prompt) + "."), votes=3) as url:
        raw = await client(url).chat.completions.with_raw_response.create(model="voted", messages=QUESTION)
    assert raw.headers["x-surefoot-vote"] == raw.headers["x-surefoot-margin"] == "none"
    assert raw.headers["x-surefoot-samples"] == "1"
    assert raw.parse().choices[0].message.content == prose("")


async def test_prose_that_is_cut_off_is_drawn_again_and_never_handed_out(proxied: Any, client: Any) -> None:
    cut = Double(prose, lambda prompt, which: prose(prompt), invalid=0.9, seed=6)
    async with proxied(cut, votes=1, limit=100) as url:
        answer = await client(url).chat.completions.create(model="voted", messages=QUESTION, seed=2)
        with pytest.raises(openai.ConflictError):
            await client(url).chat.completions.create(
                model="voted", messages=QUESTION, seed=2, extra_body={"surefoot": {"limit": 1}}
            )
    assert answer.choices[0].finish_reason == "stop"
    assert sum(told(answer)["flags"].values()) == told(answer)["samples"] - 1 > 0


async def test_a_request_says_how_it_is_voted_on(proxied: Any, client: Any) -> None:
    async with proxied(Double(lambda p: "The  Capital", lambda p, n: "the capital."), votes=2) as url:
        ask = client(url).chat.completions.create
        own = {"surefoot": {"votes": 5, "limit": 6, "equality": "text"}}
        answer = await ask(model="voted", messages=QUESTION, extra_body=own)
        assert told(answer)["vote"] == "text" and told(answer)["tally"] == [5]
        alone = await ask(model="voted", messages=QUESTION, extra_body={"surefoot": {"equality": "none"}})
        assert told(alone)["vote"] is None and told(alone)["samples"] == 1
        for wrong in ({"votes": 0}, {"votes": 9, "limit": 3}, {"limit": 25}, {"equality": "taste"}, {"k": 3}):
            with pytest.raises(openai.BadRequestError):
                await ask(model="voted", messages=QUESTION, extra_body={"surefoot": wrong})


async def test_the_risk_follows_from_a_measured_accuracy_and_the_margin(proxied: Any, client: Any) -> None:
    async with proxied(sums(), votes=3, accuracy=0.8) as url:
        answer = await client(url).chat.completions.create(model="voted", messages=QUESTION)
    assert told(answer)["risk"] == pytest.approx(1 / (1 + 4**3))


async def test_the_winners_stream_is_that_of_the_answer(proxied: Any, client: Any) -> None:
    async with proxied(sums(0.5, seed=5), votes=4, limit=60) as url:
        stream = await client(url).chat.completions.create(
            model="voted", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        async with client(url).chat.completions.stream(model="voted", messages=QUESTION) as helper:
            whole = await helper.get_final_completion()
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "42"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert told(chunks[-2])["margin"] == 4
    assert whole.choices[0].message.content == "42"


async def test_a_stream_is_kept_alive_by_comments_until_it_is_decided(proxied: Any, client: Any) -> None:
    async with proxied(sums(latency=0.5), keep_alive_s=0.05) as url, httpx.AsyncClient() as http:
        body = {"messages": QUESTION, "stream": True}
        async with http.stream("POST", f"{url}/chat/completions", json=body) as response:
            lines = [line async for line in response.aiter_lines() if line]
        chunks = [chunk async for chunk in await client(url).chat.completions.create(model="voted", **body)]
    assert response.status_code == 200 and lines[0] == ": voting" and lines[-1] == "data: [DONE]"
    assert told(chunks[-1])["margin"] == 3


async def test_a_late_stall_is_an_error_in_the_stream(proxied: Any, client: Any) -> None:
    model = Double(lambda p: "1", lambda p, n: str(n), error=1.0, latency=0.2, seed=4)
    async with proxied(model, votes=3, limit=4, keep_alive_s=0.02) as url:
        with pytest.raises(openai.APIError, match="no answer leads"):
            async for _ in await client(url).chat.completions.create(
                model="voted", messages=QUESTION, stream=True
            ):
                pass


def forecast(prompt: Prompt) -> str:
    """Call once, then say what came."""
    last = prompt[-1]
    assert isinstance(last, Message)
    if last.role == "tool" or last.content.startswith("Result of call"):
        return f"It is {last.content.split()[-1]} there."
    return write_calls("", [Call("weather", '{"town": "Paris"}')])


@pytest.mark.parametrize("native", [True, False])
async def test_calls_are_elected_whether_the_server_has_function_calling_or_not(
    proxied: Any, client: Any, native: bool
) -> None:
    double = Double(
        forecast, lambda p, n: write_calls("", [Call("weather", f'{{"town": "{n % 9}"}}')]), error=0.2, seed=1
    )
    without = () if native else ("tools",)
    async with (
        DoubleServer(double, without=without) as server,
        OpenAIModel(server.url) as model,
        proxied(model, votes=3) as url,
    ):
        ask = client(url).chat.completions.create
        first = (await ask(model="voted", messages=QUESTION, tools=[WEATHER])).choices[0]
        (call,) = first.message.tool_calls or []
        assert first.finish_reason == "tool_calls" and call.type == "function"
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"town": "Paris"})
        result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        conversation = [*QUESTION, first.message.model_dump(exclude_none=True), result]
        last = await ask(model="voted", messages=conversation, tools=[WEATHER])
        forced = await ask(
            model="voted",
            messages=QUESTION,
            tools=[WEATHER, {**WEATHER, "function": {**WEATHER["function"], "name": "other"}}],
            tool_choice={"type": "function", "function": {"name": "weather"}},
        )
    assert last.choices[0].message.content == "It is sunny there." and told(last)["vote"] == "no call"
    assert told(forced)["vote"] == "calls"


async def test_a_call_is_streamed(proxied: Any, client: Any) -> None:
    model = Double(forecast, lambda p, n: forecast(p))
    async with proxied(model) as url:
        stream = await client(url).chat.completions.create(
            model="voted", messages=QUESTION, tools=[WEATHER], stream=True
        )
        choices = [chunk.choices[0] async for chunk in stream]
    (call,) = [call for choice in choices for call in choice.delta.tool_calls or []]
    assert call.function.arguments == '{"town":"Paris"}' and choices[-1].finish_reason == "tool_calls"


class Person(BaseModel):
    name: str
    age: int


async def test_json_is_elected_by_value_and_what_does_not_fit_is_thrown_away(
    proxied: Any, client: Any
) -> None:
    says = [
        '{"name": "Ada", "age": 36}',
        '{"age":36,"name":"Ada"}',
        '{"name": "Ada"}',
        '{"name": "Bob", "age": 1}',
    ]
    model = Double(lambda p: says[0], lambda p, n: says[1 + n % 3], error=0.5, seed=3)
    async with DoubleServer(model) as server, OpenAIModel(server.url) as behind:
        async with proxied(behind, votes=5, limit=100) as url:
            answer = await client(url).chat.completions.parse(
                model="voted", messages=QUESTION, response_format=Person, temperature=1
            )
        sent = server.bodies[-1]
    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)
    assert told(answer)["vote"] == "json" and told(answer)["flags"]["malformed"] > 0
    assert sent["response_format"]["json_schema"]["strict"] is True  # type: ignore[index]


async def test_what_a_vote_does_not_have_to_know_goes_to_the_server(proxied: Any, client: Any) -> None:
    async with DoubleServer(sums()) as server, OpenAIModel(server.url) as behind:
        async with proxied(behind) as url:
            await client(url).chat.completions.create(
                model="voted",
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What is it?"},
                            {"type": "image_url", "image_url": {"url": PICTURE}},
                        ],
                    }
                ],
                top_p=0.5,
                stop=["\n\n"],
                seed=5,
                user="somebody",
                max_completion_tokens=9,
                temperature=0.5,
                extra_body={"min_p": 0.1, "surefoot": {"equality": "any"}},
            )
        sent = server.bodies[-1]
    assert (sent["top_p"], sent["min_p"], sent["stop"], sent["max_tokens"]) == (0.5, 0.1, ["\n\n"], 9)
    assert sent["n"] == 3 and sent["temperature"] == pytest.approx(0.5)
    assert not {"seed", "user", "surefoot"} & sent.keys()
    (message,) = sent["messages"]  # type: ignore[misc]
    assert message["content"][0]["image_url"]["url"] == PICTURE


async def test_temperature_0_is_that_of_the_first_sample_alone(proxied: Any, client: Any) -> None:
    async with DoubleServer(sums()) as server, OpenAIModel(server.url) as behind:
        async with proxied(behind) as url:
            await behind.ready()
            server.bodies.clear()
            await client(url).chat.completions.create(
                model="voted",
                messages=QUESTION,
                temperature=0,
                extra_body={"surefoot": {"equality": "number"}},
            )
        drawn = [(body["temperature"], body.get("n", 1)) for body in server.bodies]
    assert sorted(drawn) == [(0.0, 1), (pytest.approx(0.7), 2)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": []}, "messages"),
        ({"messages": QUESTION, "n": 2}, "n is 1"),
        ({"messages": QUESTION, "logprobs": True}, "logprobs"),
        ({"messages": QUESTION, "functions": [{"name": "f"}]}, "functions"),
        ({"messages": QUESTION, "max_tokens": 5000}, "at most 4,096"),
        ({"messages": QUESTION, "temperature": 3}, "temperature"),
        ({"messages": QUESTION, "tools": [WEATHER, WEATHER]}, "same name"),
        ({"messages": QUESTION, "tool_choice": "required"}, "no tools"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "a"}]}, "belongs to no call"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]}]},
            "has no result",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "type"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}],
                    }
                ]
            },
            "fetches nothing",
        ),
        (
            {
                "messages": QUESTION,
                "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "no"}}},
            },
            "schema",
        ),
    ],
)
async def test_what_cannot_be_voted_on_is_refused_in_one_sentence(
    proxied: Any, client: Any, body: Any, said: str
) -> None:
    async with proxied(sums()) as url, httpx.AsyncClient() as http:
        response = await http.post(f"{url}/chat/completions", json=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert said in error["message"] and error["type"] == "invalid_request_error"


async def test_completions_and_models(proxied: Any, client: Any) -> None:
    async with proxied(sums(0.2, seed=3), votes=3, limit=60) as url:
        openai_client = client(url)
        answer = await openai_client.completions.create(model="double", prompt="6 * 7 =")
        streamed = [
            chunk.choices[0].text
            async for chunk in await openai_client.completions.create(
                model="voted", prompt=["6 * 7 ="], stream=True
            )
        ]
        with pytest.raises(openai.NotFoundError, match="double"):
            await openai_client.completions.create(model="gpt-9", prompt="6 * 7 =")
        models = [model.id async for model in openai_client.models.list()]
        one = await openai_client.models.retrieve("double")
    assert answer.choices[0].text == "".join(streamed) == "42"
    assert models == [one.id] == ["double"]


async def test_a_field_of_the_other_endpoint_does_not_slip_through(proxied: Any) -> None:
    async with proxied(sums()) as url, httpx.AsyncClient() as http:
        for more in ({"max_completion_tokens": 1_000_000}, {"messages": QUESTION}, {"tools": [WEATHER]}):
            answer = await http.post(f"{url}/completions", json={"prompt": "6 * 7 =", **more})
            assert answer.status_code == 400 and "no field of this endpoint" in answer.text


async def test_a_streamed_answer_has_no_line_break_of_its_own(proxied: Any) -> None:
    """Clients that read lines of text end one at U+2028, too."""
    said = "one\u2028two\x85three\nfour"
    body = {"messages": QUESTION, "stream": True, "surefoot": {"equality": "none"}}
    async with (
        proxied(Double(lambda prompt: said, lambda prompt, which: said)) as url,
        httpx.AsyncClient() as http,
    ):
        answer = await http.post(f"{url}/chat/completions", json=body)
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == said


async def test_errors_of_the_server_behind_are_told_as_what_they_are(proxied: Any, client: Any) -> None:
    """Its word on the request is the client's to mend; its being away, and its mistrust of the proxy's key, are not."""
    async with (
        DoubleServer(sums(), context=1000) as server,
        OpenAIModel(server.url, options=Options(patience_s=0.0)) as behind,
        proxied(behind) as url,
    ):
        ask = client(url).chat.completions.create
        await ask(model="voted", messages=QUESTION)
        with pytest.raises(openai.BadRequestError, match="context length"):
            await ask(model="voted", messages=[{"role": "user", "content": "word " * 2000}])
        server.fail(Fault("status", status=401))
        with pytest.raises(openai.InternalServerError) as refused:
            await ask(model="voted", messages=QUESTION)
        server.fail(Fault("status", status=503), times=9)
        with pytest.raises(openai.InternalServerError) as away:
            await ask(model="voted", messages=QUESTION)
    assert (refused.value.status_code, away.value.status_code) == (502, 503)
    assert away.value.response.headers["retry-after"] == "5"


async def test_500_requests_at_once_are_all_answered(proxied: Any) -> None:
    body = {"messages": QUESTION, "surefoot": {"equality": "number"}}

    async def ask(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
        async with http.post(f"{url}/chat/completions", json=body) as response:
            return response.status, (await response.json())["choices"][0]["message"]["content"]

    async with (
        proxied(sums(0.2, latency=0.01), votes=3, limit=60) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        answers = await asyncio.gather(*(ask(http, url) for _ in range(500)))
    assert {status for status, _ in answers} == {200}
    assert sum(answer == "42" for _, answer in answers) > 480

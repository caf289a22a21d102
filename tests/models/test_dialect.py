"""Servers that want a request otherwise than the API says get it so, and what that means is said once."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from surefoot.models.base import Ask, Message
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.dialect import cut_at
from surefoot.models.openai.failures import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.streaming import Draw, whole_stream

Body = dict[str, Any]
Rule = Callable[[Body], str | None]
DRAW = Draw(prompt=(Message("user", "x"),), temperature=0.7, max_tokens=50, seed=1)
"""(request) -> why it is refused, if it is."""


SPOKEN = b"".join(
    b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}, "finish_reason": %s}]}\n\n' % said
    for said in ((b"forty", b"null"), (b"\\n", b"null"), (b"\\ntwo", b"null"), (b"", b'"stop"'))
)


class Picky:
    """A chat server that refuses requests by rules of its own, and answers all others."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self.bodies: list[Body] = []
        self.refused = 0
        self.url = ""

    async def chat(self, request: web.Request) -> web.Response:
        body = await request.json()
        for rule in self.rules:
            if why := rule(body):
                self.refused += 1
                return web.json_response(
                    {"error": {"message": why, "type": "invalid_request_error"}}, status=400
                )
        self.bodies.append(body)
        if body.get("stream"):
            return web.Response(body=SPOKEN, content_type="text/event-stream")
        choices = [
            {"index": i, "message": {"content": "forty\n\ntwo"}, "finish_reason": "stop"}
            for i in range(body.get("n", 1))
        ]
        usage = {"prompt_tokens": 1, "completion_tokens": len(choices)}
        return web.json_response({"choices": choices, "usage": usage})


@asynccontextmanager
async def picky(*rules: Rule) -> AsyncIterator[Picky]:
    server = Picky(*rules)

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", server.chat)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield server
    await runner.cleanup()


async def texts(model: OpenAIModel, temperature: float, samples: int = 1) -> list[str]:
    asks = [Ask((Message("user", "x"),), temperature, 50, seed) for seed in range(samples)]
    async with aclosing(model.sample(asks)) as drawn:
        return [sample.text async for _, sample in drawn]


def no_max_tokens(body: Body) -> str | None:
    told = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    return told if "max_tokens" in body else None


def only_max_tokens(body: Body) -> str | None:
    return "Unrecognized request argument: max_completion_tokens" if "max_completion_tokens" in body else None


def only_temperature_1(body: Body) -> str | None:
    value = body.get("temperature", 1)
    told = f"Unsupported value: 'temperature' does not support {value} with this model. Only the default (1) value is supported."
    return told if value != 1 else None


def no_temperature(body: Body) -> str | None:
    return "`temperature` is deprecated for this model." if "temperature" in body else None


def positive_temperature(body: Body) -> str | None:
    return "`temperature` must be strictly positive" if body.get("temperature", 1) <= 0 else None


def no_seed(body: Body) -> str | None:
    return (
        'body: [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]'
        if "seed" in body
        else None
    )


def no_stop(body: Body) -> str | None:
    return "Unsupported parameter: 'stop' is not supported with this model." if "stop" in body else None


def no_stream(body: Body) -> str | None:
    return "property 'stream' is unsupported" if "stream" in body else None


@pytest.mark.parametrize(
    ("rules", "wants", "notices"),
    [
        ([no_max_tokens], ["the other name of the token limit"], []),
        ([only_temperature_1], ["no temperature"], ["does not let the temperature be set"]),
        ([no_temperature], ["no temperature"], ["does not let the temperature be set"]),
        ([positive_temperature], ["no temperature 0"], ["refuses temperature 0, which becomes 0.01"]),
        ([no_stream], ["no stream"], []),
        (
            [no_max_tokens, only_temperature_1, no_seed],
            ["the other name of the token limit", "no temperature", "no seed"],
            ["does not let the temperature be set"],
        ),
    ],
)
async def test_what_a_server_wants_otherwise_is_found_by_the_probe_and_said_once(
    rules: list[Rule], wants: list[str], notices: list[str]
) -> None:
    told: list[str] = []
    async with (
        picky(*rules) as server,
        OpenAIModel(server.url, options=Options(on_notice=told.append)) as model,
    ):
        can = await model.ready()
        refused = server.refused
        for temperature in (0.0, 0.7, 1.0):
            assert await texts(model, temperature, 2) == ["forty\n\ntwo"] * 2
        assert server.refused == refused, "what was learnt is not learnt again"
        assert sorted(can.chat.wants) == sorted(wants)
        assert can.chat.n
    assert len(told) == len(notices)
    assert all(notice in sentence for notice, sentence in zip(notices, told, strict=True))
    assert can.notices == tuple(told)


async def test_temperatures_that_can_be_set_are_set_beside_one_that_cannot() -> None:
    async with picky(positive_temperature) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.bodies.clear()
        await texts(model, 0.0)
        await texts(model, 0.7)
    assert [body["temperature"] for body in server.bodies] == pytest.approx([0.01, 0.7], rel=1e-5)


async def test_requests_without_a_temperature_still_differ() -> None:
    async with picky(no_temperature) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.bodies.clear()
        for _ in range(3):
            await texts(model, 0.7)
    assert len({body["seed"] for body in server.bodies}) == 3


async def test_the_other_name_of_the_limit_works_both_ways() -> None:
    for chosen in (Options(chat_limit="max_completion_tokens"), Options()):
        async with picky(only_max_tokens) as server, OpenAIModel(server.url, options=chosen) as model:
            await texts(model, 0.7)
            assert server.bodies[-1]["max_tokens"] == 50


async def test_stop_strings_that_are_refused_are_cut_off_here() -> None:
    told: list[str] = []
    options = Options(stop=("\n\n",), on_notice=told.append)
    async with picky(no_stop) as server, OpenAIModel(server.url, options=options) as model:
        assert await texts(model, 0.7, 2) == ["forty"] * 2
    assert len(told) == 1
    assert "refuses stop strings" in told[0]


def no_stream_options(body: Body) -> str | None:
    return "unknown field: stream_options" if "stream_options" in body else None


@pytest.mark.parametrize(
    ("rule", "notice"),
    [
        (no_max_tokens, None),
        (only_temperature_1, "does not let the temperature be set"),
        (positive_temperature, "refuses temperature 0"),
        (no_seed, None),
        (no_stream_options, "refuses stream_options"),
        (no_stop, "refuses stop strings"),
    ],
)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
async def test_a_stream_learns_what_a_server_wants_otherwise_as_any_request_does(
    rule: Rule, notice: str | None, temperature: float
) -> None:
    """What the probe did not meet: fields of streams alone, and rules that a provider makes later."""
    told: list[str] = []
    draw = replace(DRAW, temperature=temperature, stop=("\n\n",))
    async with (
        picky() as server,
        OpenAIModel(server.url, options=Options(on_notice=told.append)) as model,
    ):
        await model.ready()
        server.rules = (rule,)
        expected = "forty" if rule is no_stop else "forty\n\ntwo"
        assert (await whole_stream(model, draw)).text == expected
        refused = server.refused
        assert bool(refused) != (rule is positive_temperature and temperature > 0)
        assert (await whole_stream(model, replace(draw, seed=2))).text == expected
        assert server.refused == refused, "what was learnt is not learnt again"
    assert len(told) == (1 if notice and refused else 0)
    assert all(notice in sentence for sentence in told if notice)


async def test_a_refusal_of_a_stream_that_nothing_helps_against_comes_as_it_was_said_first() -> None:
    def never(body: Body) -> str | None:
        return "temperature is not supported" if "temperature" in body else "this model is not supported"

    async with picky() as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.rules = (never,)
        with pytest.raises(RequestRefused, match="temperature is not supported"):
            await whole_stream(model, DRAW)


async def test_what_the_user_puts_into_every_request_is_never_left_out() -> None:
    options = Options(extra={"temperature": 0.3})
    async with picky(no_temperature) as server, OpenAIModel(server.url, options=options) as model:
        can_not = pytest.raises(RequestRefused, match="deprecated")
        with can_not:
            await model.ready()
    options = Options(extra={"seed": 7})
    async with picky(no_seed) as server, OpenAIModel(server.url, options=options) as model:
        with pytest.raises(RequestRefused, match="not permitted"):
            await model.ready()


async def test_a_limit_that_is_too_high_is_not_hidden_under_another_name() -> None:
    def too_high(body: Body) -> str | None:
        limit = body.get("max_tokens", 0)
        return f"max_tokens is too large: {limit}. At most 40 completion tokens" if limit > 40 else None

    async with picky(too_high) as server, OpenAIModel(server.url) as model:
        # The probe asks for 24 tokens, which is fine.
        await model.ready()
        with pytest.raises(RequestRefused, match="max_tokens is too large: 50"):
            await texts(model, 0.7)


async def test_a_temperature_out_of_bounds_is_refused_and_not_left_out() -> None:
    def at_most_1(body: Body) -> str | None:
        told = 'detail: [{"loc": ["body", "temperature"], "msg": "Input should be less than or equal to 1"}]'
        return told if body.get("temperature", 1) > 1 else None

    async with picky(at_most_1) as server, OpenAIModel(server.url) as model:
        await model.ready()
        with pytest.raises(RequestRefused, match="less than or equal to 1"):
            await texts(model, 1.3)


async def test_log_probabilities_are_left_out_of_samples_and_never_of_what_a_control_asks_for() -> None:
    def no_logprobs(body: Body) -> str | None:
        return "logprobs is not supported with this model" if body.get("logprobs") else None

    async with picky() as server, OpenAIModel(server.url, options=Options(logprobs=True)) as model:
        await model.ready()
        server.rules = (no_logprobs,)
        assert await texts(model, 0.7) == ["forty\n\ntwo"]
        assert "logprobs" not in server.bodies[-1]
        with pytest.raises(RequestRefused, match="logprobs is not supported"):
            await whole_stream(model, replace(DRAW, top_logprobs=2))


def test_a_text_is_cut_at_its_first_stop_string() -> None:
    assert cut_at("a;b\n\nc", ("\n\n", ";")) == "a"
    assert cut_at("abc", ("", "x")) == "abc"
    assert cut_at("", ("x",)) == ""

"""Offers and calls on the wire: natively, in words, with the manners of servers that one meets."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from openai import AsyncOpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState

from surefoot.agents.reasoning.reasoner import Reasoner
from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt
from surefoot.models.doubles import DoubleServer, Scripted, ThinkingDouble, scripted
from surefoot.models.doubles.response_shapes import Manner, Quirk
from surefoot.models.doubles.server import Feature
from surefoot.models.doubles.thoughts import ScriptedThought
from surefoot.models.embedded.pool import NumpyPebble
from surefoot.models.gather import in_order
from surefoot.models.offers import Call, Offer, ToolSchema, read_calls, write_calls
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.kept_thoughts import KeptThoughts
from surefoot.models.openai.options import Options
from surefoot.voting.samples import Sample

READ = ToolSchema(
    "read_file",
    "Read a file.",
    '{"properties":{"path":{"type":"string"}},"required":["path"],"type":"object"}',
)
STOP = ToolSchema("stop", "", '{"type":"object"}')
OFFER = Offer((READ, STOP))
TASK = (Message("system", "You mend programs."), Message("user", "Make the test pass."))
CALLS = (
    Call("read_file", '{"path":"src/a.py"}'),
    Call("read_file", '{"path":"it\\"s {a} [ü]\\n"}'),
    Call("stop", "{}"),
)
SAID = write_calls("I look first.", CALLS)


def ask(prompt: Prompt = TASK, offer: Offer | None = OFFER, *, seed: int = 0, max_tokens: int = 400) -> Ask:
    return Ask(prompt, 0.7, max_tokens, seed, offer=offer)


def manner(*quirks: Quirk) -> Manner:
    return Manner(frozenset(quirks))


async def one(model: OpenAIModel, asked: Ask) -> Sample:
    (sample,) = await in_order(model, [asked])
    return sample


def offers_in(server: DoubleServer) -> list[dict[str, Any]]:
    """The requests with tools, but for those of the probe."""
    return [
        body for body in server.bodies if "tools" in body and "say_colour" not in json.dumps(body["tools"])
    ]


# --- native calls, streamed and not ---

ONE_CALL: dict[Quirk, tuple[Call, ...]] = {"function_call": CALLS[:1]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "quirks",
    [
        [],
        ["whole calls"],
        ["calls without index"],
        ["names again"],
        ["calls without index", "names again"],
        ["calls without index", "whole calls"],
        ["late ids"],
        ["calls without index", "late ids"],
        ["one index"],
        ["one index", "names again"],
        ["object arguments"],
        ["empty arguments"],
        ["function_call"],
        ["no index", "pings", "no done", "usage apart"],
        ["message so far"],
        ["blocks"],
    ],
    ids=lambda quirks: " and ".join(quirks) or "as it should be",
)
async def test_calls_are_in_the_text_whatever_the_manners(quirks: list[Quirk], stream: bool) -> None:
    options = Options(stream=stream, tools="native")
    async with (
        DoubleServer(Scripted([SAID]), manner=manner(*quirks)) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        sample = await one(model, ask())
    expected = CALLS[:1] if "function_call" in quirks else CALLS
    assert sample.text == write_calls("I look first.", expected)
    assert sample.finish == "stop"
    assert read_calls(sample.text) == ("I look first.", expected)


@pytest.mark.parametrize("stream", [False, True])
async def test_two_calls_of_one_tool_without_numbers_are_two_calls(stream: bool) -> None:
    same = (Call("read_file", '{"path":"a"}'), Call("read_file", '{"path":"a"}'))
    async with (
        DoubleServer(
            Scripted([write_calls("", same)]), manner=manner("calls without index", "names again", "late ids")
        ) as server,
        OpenAIModel(server.url, options=Options(stream=stream, tools="native")) as model,
    ):
        sample = await one(model, ask())
    assert read_calls(sample.text) == ("", same)


async def test_several_samples_of_a_request_have_their_own_calls() -> None:
    async with (
        DoubleServer(Scripted([SAID], error=0.5)) as server,
        OpenAIModel(server.url, options=Options(stream=True, tools="native")) as model,
    ):
        await model.ready()
        before = server.stats.requests
        samples = await in_order(model, [ask(seed=seed) for seed in range(8)])
        assert server.stats.requests == before + 1
    assert {sample.text for sample in samples} == {SAID, "I do not know what to do."}


async def test_asks_with_different_offers_never_share_a_request() -> None:
    other = Offer((READ,), "required", False)
    async with (
        DoubleServer(Scripted([SAID])) as server,
        OpenAIModel(server.url, options=Options(tools="native")) as model,
    ):
        await model.ready()
        server.bodies.clear()
        asks = [ask(), ask(offer=other), ask(offer=None), ask(), ask(offer=None)]
        samples = await in_order(model, asks)
        said = {
            (
                len(body.get("tools", ())),
                body.get("tool_choice"),
                body.get("parallel_tool_calls"),
                body.get("n"),
            )  # type: ignore[arg-type]
            for body in server.bodies
        }
    assert said == {(2, "auto", None, 2), (1, "required", False, None), (0, None, None, 2)}
    assert read_calls(samples[1].text)[1] == CALLS[:1]
    # Without an offer what a model writes is text, whatever it looks like.
    assert [sample.text for sample in samples] == [SAID, samples[1].text, SAID, SAID, SAID]


async def test_the_request_says_what_the_api_says() -> None:
    async with (
        DoubleServer(Scripted([SAID])) as server,
        OpenAIModel(server.url, options=Options(tools="native")) as model,
    ):
        await one(model, ask(offer=Offer((READ,), "none", False)))
        (body,) = offers_in(server)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "read_file",
                "description": "Read a file.",
                "parameters": {
                    "type": "object",
                    "properties": {"path": {"type": "string"}},
                    "required": ["path"],
                },
            },
        }
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("none", False)


# --- conversations ---


async def test_calls_and_results_go_back_as_fields_of_their_own() -> None:
    prompt = (
        *TASK,
        Message("assistant", SAID),
        Message("tool", "1"),
        Message("tool", "2"),
        Message("tool", "3"),
    )
    prompt = (
        *prompt,
        Message("user", "Go on."),
        Message("assistant", write_calls("", CALLS[:1])),
        Message("tool", "4"),
    )
    double = Scripted([SAID])
    async with (
        DoubleServer(double) as server,
        OpenAIModel(server.url, options=Options(tools="native")) as model,
    ):
        await one(model, ask(prompt))
        (body,) = offers_in(server)
    messages = body["messages"]
    assert messages[2]["content"] == "I look first."
    assert [call["function"]["name"] for call in messages[2]["tool_calls"]] == [
        "read_file",
        "read_file",
        "stop",
    ]
    assert [call["id"] for call in messages[2]["tool_calls"]] == ["call00000", "call00001", "call00002"]
    assert [message.get("tool_call_id") for message in messages[3:6]] == [
        "call00000",
        "call00001",
        "call00002",
    ]
    assert messages[7]["content"] is None
    assert (messages[7]["tool_calls"][0]["id"], messages[8]["tool_call_id"]) == ("call00003", "call00003")
    # The double is shown what was asked, in the text form again.
    assert double.asks[-1].prompt == prompt
    assert double.asks[-1].offer == OFFER


@pytest.mark.parametrize(
    ("call", "name", "arguments"),
    [
        (Call("read_file", '{"path": "a'), "read_file", {"raw": '{"path": "a'}),
        (Call("read_file", "[1]"), "read_file", {"raw": "[1]"}),
        (Call("", "what?"), "unreadable_call", {"raw": "what?"}),
        (Call("rm -rf /; é" + "x" * 80, "{}"), ("rm_-rf_____" + "x" * 80)[:64], {}),
    ],
)
async def test_what_no_server_would_take_back_goes_back_in_a_form_that_it_takes(
    call: Call, name: str, arguments: object
) -> None:
    prompt = (*TASK, Message("assistant", write_calls("", [call])), Message("tool", "That is no call."))
    async with (
        DoubleServer(Scripted([SAID])) as server,
        OpenAIModel(server.url, options=Options(tools="native")) as model,
    ):
        await one(model, ask(prompt))
        (body,) = offers_in(server)
    function = body["messages"][2]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == (name, arguments)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((Message("assistant", SAID), Message("tool", "1")), "2 of the calls .* have no result"),
        ((Message("assistant", SAID), Message("user", "Go on.")), "3 of the calls"),
        ((Message("assistant", "Done."), Message("tool", "1")), "follows no call"),
    ],
)
async def test_calls_and_results_that_do_not_match_are_refused(more: tuple[Message, ...], words: str) -> None:
    async with (
        DoubleServer(Scripted([SAID])) as server,
        OpenAIModel(server.url, options=Options(tools="native")) as model,
    ):
        with pytest.raises(BadInput, match=words):
            await one(model, ask((*TASK, *more)))


@pytest.mark.parametrize(
    ("prompt", "offer", "words"),
    [
        ("Make it pass.", OFFER, "offered in a conversation"),
        (TASK, Offer(()), "at least one tool"),
        (TASK, Offer((READ._replace(parameters="{"),)), "'read_file' are no JSON schema"),
        (TASK, Offer((READ,), "maybe"), "'maybe'"),  # type: ignore[arg-type]
    ],
)
async def test_an_offer_that_cannot_be_made_is_refused(prompt: Prompt, offer: Offer, words: str) -> None:
    async with DoubleServer(Scripted([SAID])) as server, OpenAIModel(server.url) as model:
        with pytest.raises(BadInput, match=words):
            await in_order(model, [ask(offer=None), ask(prompt, offer), ask(TASK, offer)])


# --- answers that are cut off, malformed or odd ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tools", ["native", "text"])
async def test_half_a_call_is_no_call(stream: bool, tools: Any) -> None:
    feature: list[Feature] = ["tools"] if tools == "text" else []
    async with (
        DoubleServer(Scripted([SAID]), without=feature) as server,
        OpenAIModel(server.url, options=Options(stream=stream, tools=tools)) as model,
    ):
        for limit in range(1, len(SAID) // 4):
            sample = await one(model, ask(max_tokens=limit))
            assert sample.finish == "length"
            assert read_calls(sample.text)[1] == CALLS[: len(read_calls(sample.text)[1])]


class Says:
    """A server that answers what is asked with an offer by a function of the request, and anything else with "a"."""

    def __init__(self, answer: Callable[[dict[str, Any]], tuple[int, Any]]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.fails = False
        self._answer = answer

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.fails:
            return web.json_response({"error": {"message": "no"}}, status=401)
        if "tools" not in body:
            said = {"index": 0, "finish_reason": "length", "message": {"content": "a"}}
            return web.json_response({"choices": [{**said, "index": i} for i in range(body.get("n", 1))]})
        self.asked.append(body)
        status, answer = self._answer(body)
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/event-stream")
        return web.json_response(answer, status=status)


@asynccontextmanager
async def served(says: Says) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/models", says.models)
    app.router.add_post("/v1/chat/completions", says.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def whole(*calls: object, finish: str = "tool_calls", **message: object) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "tool_calls": list(calls), **message}
    return {"choices": [{"index": 0, "finish_reason": finish, "message": said}]}


def streamed(*deltas: object, finish: str = "tool_calls") -> str:
    chunks: list[object] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def pieces(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"tool_calls": [entry]} for entry in entries]


def function(name: str | None = None, arguments: object = None, **more: object) -> dict[str, Any]:
    said = {"name": name, "arguments": arguments}
    return {**more, "function": {key: value for key, value in said.items() if value is not None}}


async def sample_of(answer: object, *, finish: str | None = None) -> Sample:
    async with (
        served(Says(lambda _: (200, answer))) as url,
        OpenAIModel(url, options=Options(tools="native", stream=isinstance(answer, str))) as model,
    ):
        return await one(model, ask())


A, B = Call("a", '{"x":1}'), Call("b", '{"y":[{}]}')


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        pytest.param(whole(function("a", '{"x":1}'), function("b", '{"y":[{}]}')), (A, B), id="no ids"),
        pytest.param(whole(function("a", {"x": 1})), (A,), id="an object"),
        pytest.param(whole(function("a", "")), (Call("a", "{}"),), id="an empty text"),
        pytest.param(whole(function("a")), (Call("a", "{}"),), id="no arguments"),
        pytest.param(whole(function("a", '{"x": 1')), (Call("a", '{"x": 1'),), id="no JSON"),
        pytest.param(whole(function("a", '"{\\"x\\": 1}"')), (A,), id="JSON in JSON"),
        pytest.param(whole(function("a", "[1]")), (Call("a", "[1]"),), id="a list"),
        pytest.param(whole(function("a", [1])), (Call("a", "[1]"),), id="a list, not as a text"),
        pytest.param(whole(function(" a\n", '{"x":1}')), (A,), id="blanks around the name"),
        pytest.param(
            whole(function("a", '{"x":1}', index=3), function("b", '{"y":[{}]}', index=3)),
            (A, B),
            id="one index",
        ),
        pytest.param(
            whole(function("a", '{"x":1}', id="0"), function("a", '{"x":1}', id="0")), (A, A), id="one id"
        ),
        pytest.param(whole("what?", None, function("a", '{"x":1}')), (A,), id="entries that are none"),
        pytest.param(whole(function("a", '{"x":1}'), finish="stop"), (A,), id="it ended with stop"),
        pytest.param(
            whole(function("a", '{"x":1}'), finish="tool_use"), (A,), id="it ended with another word"
        ),
        pytest.param(
            whole(function("a", '{"x":"\ud83d"}')), (Call("a", '{"x":"\ufffd"}'),), id="half a character"
        ),
        pytest.param(
            whole(tool_calls=None, function_call={"name": "a", "arguments": '{"x":1}'}),
            (A,),
            id="the first form",
        ),
        pytest.param(whole(tool_calls=[], function_call=None, content="No."), (), id="none"),
        pytest.param(
            streamed(
                *pieces(
                    function("a", '{"x"', index=0, id="1"),
                    function(None, ":1}", index=0),
                    function("b", '{"y":[{}]}', index=1, id="2"),
                )
            ),
            (A, B),
            id="streamed",
        ),
        pytest.param(
            streamed(
                *pieces(
                    function("a", '{"x"', index=0, id="1"),
                    function("b", '{"y":', index=1, id="2"),
                    function(None, ":1}", index=0),
                    function(None, "[{}]}", index=1),
                )
            ),
            (A, B),
            id="streamed by turns",
        ),
        pytest.param(
            streamed(
                *pieces(
                    function("a", '{"x"', index=0, id="1"),
                    function("", ":1}", index=0, id="1"),
                    function("b", '{"y":[{}]}', index=0, id="2"),
                )
            ),
            (A, B),
            id="streamed with ids, and empty names",
        ),
        pytest.param(
            streamed({"tool_calls": [function("a", '{"x":1}'), function("b", '{"y":[{}]}')]}),
            (A, B),
            id="streamed in one piece without numbers",
        ),
        pytest.param(
            streamed({"tool_calls": [function("a", ""), function("a", "")]}),
            (Call("a", "{}"), Call("a", "{}")),
            id="streamed in one piece, twice the same, without arguments",
        ),
        pytest.param(
            streamed(
                *pieces(
                    function("a", "", index=0, id=""), function("", '{"x":', id=""), function("", "1}", id="")
                )
            ),
            (A,),
            id="streamed with empty ids",
        ),
        pytest.param(
            streamed(
                *pieces(
                    function("a", {}, index=0, id="1"),
                    function(None, '{"x"', index=0),
                    function(None, ":1}", index=0),
                )
            ),
            (A,),
            id="streamed after an empty object",
        ),
        pytest.param(
            streamed(*pieces(function("get_", "", index=0, id="1"), function("file", '{"x":1}', index=0))),
            (Call("get_file", '{"x":1}'),),
            id="streamed with the name in pieces",
        ),
        pytest.param(
            streamed(
                {"function_call": {"name": "a", "arguments": ""}},
                {"function_call": {"arguments": '{"x":1}'}},
                finish="function_call",
            ),
            (A,),
            id="streamed in the first form",
        ),
    ],
)
async def test_calls_of_all_shapes_are_read(answer: object, calls: tuple[Call, ...]) -> None:
    sample = await sample_of(answer)
    assert sample.finish == "stop"
    assert read_calls(sample.text)[1] == calls


@pytest.mark.parametrize("finish", ["length", "content_filter", "abort"])
async def test_of_an_answer_that_was_cut_off_only_whole_calls_are_told(finish: str) -> None:
    # vLLM 0.32 says "null" for the arguments of a call that the limit cut off.
    calls = [function("a", '{"x":1}'), function("b", '{"y":'), function("b", "null"), function("b", "")]
    sample = await sample_of(whole(*calls, finish=finish))
    assert (sample.finish, read_calls(sample.text)[1]) == (finish, (A,))


async def test_a_block_that_is_begun_in_the_prose_does_not_swallow_the_calls() -> None:
    sample = await sample_of(whole(function("a", '{"x":1}'), content='Hm.\n```tool_call\n{"name": "b"}'))
    assert read_calls(sample.text) == ("Hm.", (Call("b", "{}"), A))


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_without_end_are_refused(stream: bool) -> None:
    entries = [function("a", "{}", index=number, id=str(number)) for number in range(1001)]
    with pytest.raises(RequestRefused, match="more than 1,000 calls"):
        await sample_of(streamed(*pieces(*entries)) if stream else whole(*entries))


# --- what a server can do is found out ---


@pytest.mark.parametrize(
    ("quirks", "without", "native", "words"),
    [
        ([], [], True, "calls tools by its function calling"),
        (["no required"], [], True, 'refuses tool_choice "required"'),
        (["no tools"], [], False, "refuses them .*not supported by this model"),
        (["no single tokens"], [], True, "calls tools by its function calling$"),
        ([], ["tools"], False, "takes them and ignores them"),
    ],
)
async def test_what_a_server_does_with_tools_is_tried_once_before_the_first_offer(
    quirks: list[Quirk], without: list[Feature], native: bool, words: str
) -> None:
    notices: list[str] = []
    options = Options(on_notice=notices.append)
    # A model that calls whatever it is offered.
    double = Scripted(
        lambda prompt: SAID if "colour" not in str(prompt) else write_calls("", [Call("say_colour", "{}")])
    )
    async with (
        DoubleServer(double, manner=manner(*quirks), without=without) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        await one(model, ask(offer=None))
        assert not [notice for notice in notices if "tools" in notice], "not before it is needed"
        samples = await in_order(model, [ask(), ask(offer=Offer((READ,), "required"))])
        before = server.stats.requests
        again = await one(model, ask())
        assert server.stats.requests == before + 1
        assert bool(offers_in(server)) == native
        assert model.tools == ("native" if native else "text")
        last = server.bodies[-1]["messages"][0]["content"]  # type: ignore[index]
    assert [sample.text for sample in [*samples, again]] == [SAID] * 3
    assert len([notice for notice in notices if "tools" in notice]) == 1
    assert re.search(words, " ".join(notices))
    assert ("```tool_call" in last) != native


async def test_a_server_that_ignores_required_is_told_from_one_that_ignores_tools() -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if body["tool_choice"] == "required":
            return 200, whole(tool_calls=None, content="Red it is.", finish="stop")
        return 200, whole(function("say_colour", '{"colour":"red"}'))

    says, notices = Says(answer), list[str]()
    async with served(says) as url, OpenAIModel(url, options=Options(on_notice=notices.append)) as model:
        await one(model, ask(offer=Offer((READ,), "required")))
    assert says.asked[-1]["tool_choice"] == "auto"
    assert "must call at least one" in says.asked[-1]["messages"][0]["content"]
    assert 'ignores tool_choice "required"' in notices[-1]


async def test_a_server_that_fails_while_it_is_tried_is_not_taken_for_one_without_tools() -> None:
    says = Says(lambda _: (200, whole(function("a", '{"x":1}'))))
    async with served(says) as url, OpenAIModel(url) as model:
        await model.ready()
        says.fails = True
        with pytest.raises(RequestRefused, match="401"):
            await one(model, ask())
        says.fails = False
        assert read_calls((await one(model, ask())).text)[1] == (A,)


async def test_a_model_that_thinks_long_is_given_the_time_to_call() -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if body["max_tokens"] == 1024:
            return 200, whole(tool_calls=None, reasoning="Red, red, ...", finish="length")
        return 200, whole(function("a", '{"x":1}'))

    says = Says(answer)
    async with served(says) as url, OpenAIModel(url) as model:
        await one(model, ask())
        assert model.tools == "native"
    assert [body["max_tokens"] for body in says.asked] == [1024, 8192, 1, 400]


async def test_a_server_that_fails_at_tools_alone_is_offered_them_in_words() -> None:
    """As llama.cpp did without --jinja, with status 500, and as OpenRouter does with 404."""
    says = Says(lambda _: (404, {"error": {"message": "No endpoints found that support tool use."}}))
    notices: list[str] = []
    async with served(says) as url, OpenAIModel(url, options=Options(on_notice=notices.append)) as model:
        assert (await one(model, ask())).text == "a"
    assert "No endpoints found that support tool use" in notices[-1]


async def test_a_server_that_makes_only_calls_that_it_must_is_offered_others_in_words() -> None:
    """As vLLM is without --enable-auto-tool-choice."""

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if body["tool_choice"] == "auto":
            return 400, {"error": {"message": '"auto" tool choice requires --enable-auto-tool-choice'}}
        return 200, whole(function("a", '{"x":1}'))

    for tools in (None, "native"):
        says, notices = Says(answer), list[str]()
        options = Options(on_notice=notices.append, tools=tools)  # type: ignore[arg-type]
        async with served(says) as url, OpenAIModel(url, options=options) as model:
            assert (await one(model, ask())).text == "a"
            sample = await one(model, ask(offer=Offer((READ,), "required")))
            requests = len(says.asked)
            assert (await one(model, ask())).text == "a"
            assert len(says.asked) == requests
        assert read_calls(sample.text)[1] == (A,)
        assert 'refuses tool_choice "auto"' in notices[-1]


async def test_required_that_is_refused_later_is_said_in_words() -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if body["tool_choice"] == "required":
            return 400, {"error": {"message": "deepseek-reasoner does not support this tool_choice"}}
        return 200, whole(function("a", '{"x":1}'))

    says, notices = Says(answer), list[str]()
    options = Options(tools="native", on_notice=notices.append)
    async with served(says) as url, OpenAIModel(url, options=options) as model:
        for _ in range(2):
            sample = await one(model, ask(offer=Offer((READ,), "required")))
    assert read_calls(sample.text)[1] == (A,)
    assert [body["tool_choice"] for body in says.asked] == ["required", "auto", "auto"]
    assert len(notices) == 1


async def test_parallel_tool_calls_that_are_refused_are_left_out() -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if "parallel_tool_calls" in body:
            return 400, {
                "error": {
                    "message": "Unsupported parameter: parallel_tool_calls",
                    "param": "parallel_tool_calls",
                }
            }
        return 200, whole(function("a", '{"x":1}'))

    says, notices = Says(answer), list[str]()
    options = Options(tools="native", on_notice=notices.append)
    async with served(says) as url, OpenAIModel(url, options=options) as model:
        sample = await one(model, ask(offer=Offer((READ,), "auto", False)))
    assert read_calls(sample.text)[1] == (A,)
    assert "refuses parallel_tool_calls" in notices[-1]


async def test_a_refusal_that_nothing_helps_against_is_told_as_it_came() -> None:
    says = Says(lambda _: (400, {"error": {"message": "Invalid schema for function 'read_file'"}}))
    async with served(says) as url, OpenAIModel(url, options=Options(tools="native")) as model:
        with pytest.raises(RequestRefused, match="Invalid schema"):
            await one(model, ask())
    assert len(says.asked) == 1


async def test_ids_that_hold_the_name_go_back_as_they_came() -> None:
    """Kimi's chat template has the name of a call from its id alone."""
    says = Says(lambda _: (200, whole(function("read_file", '{"path":"a"}', id="functions.read_file:0"))))
    async with served(says) as url, OpenAIModel(url) as model:
        sample = await one(model, ask())
        await one(model, ask((*TASK, Message("assistant", sample.text), Message("tool", "1"))))
    message = says.asked[-1]["messages"][2]
    assert message["tool_calls"][0]["id"] == "functions.read_file:0"


# --- the text form ---


async def test_an_offer_in_words_says_what_a_model_has_to_know() -> None:
    double = Scripted([SAID, "Done."])
    prompt = (
        *TASK,
        Message("assistant", SAID),
        Message("tool", "1"),
        Message("tool", "2"),
        Message("tool", "3"),
    )
    async with (
        DoubleServer(double, without=["tools"]) as server,
        OpenAIModel(server.url, options=Options(tools="text")) as model,
    ):
        assert (await one(model, ask(offer=Offer((READ, STOP), "required", False)))).text == SAID
        first = double.asks[-1].prompt
        assert (await one(model, ask(prompt, Offer((READ,), "none")))).text == "Done."
        second = double.asks[-1].prompt
        assert not any("tools" in body for body in server.bodies)
    system = first[0].content  # type: ignore[union-attr]
    assert system.startswith("You mend programs.\n\nYou can call tools.")
    assert read_calls(system)[1] == (Call("read_file", '{"path":"<path>"}'),)
    assert READ.parameters in system and "Read a file." in system and STOP.parameters in system
    assert "must call at least one" in system and "at most one such block" in system
    assert [message.role for message in second] == ["system", "user", "assistant", "user"]  # type: ignore[union-attr]
    assert "must not call" in second[0].content and "several blocks" in second[0].content  # type: ignore[union-attr]
    assert second[3].content == (  # type: ignore[union-attr]
        "Result of call 1, read_file:\n1\n\nResult of call 2, read_file:\n2\n\nResult of call 3, stop:\n3"
    )
    assert second[2].content == SAID  # type: ignore[union-attr]


async def test_results_without_an_offer_are_told_in_words() -> None:
    prompt = (
        *TASK,
        Message("assistant", write_calls("", CALLS[:1])),
        Message("tool", "1"),
        Message("user", "Sum up."),
    )
    double = Scripted(["It began."])
    async with DoubleServer(double) as server, OpenAIModel(server.url) as model:
        await one(model, ask(prompt, None))
    assert [message.role for message in double.asks[-1].prompt] == [
        "system",
        "user",
        "assistant",
        "user",
        "user",
    ]  # type: ignore[union-attr]


async def test_a_reasoner_passes_the_offer_on_in_words() -> None:
    double = ThinkingDouble(scripted([ScriptedThought("I look.", write_calls("", CALLS[:1]))]))
    assert (await in_order(Reasoner(double), [ask()]))[0].text
    assert double.draws[-1].offer == OFFER
    async with DoubleServer(double, thoughts="reasoning") as server, OpenAIModel(server.url) as model:
        (sample,) = await in_order(Reasoner(model, think_tokens=64, answer_tokens=200), [ask()])
        last = json.dumps(server.bodies[-1])
    assert read_calls(sample.text)[1] == CALLS[:1]
    assert "You can call tools." in last and '"tools"' not in last


async def test_pebble_refuses_an_offer_in_a_sentence() -> None:
    async with NumpyPebble(1) as pebble:
        with pytest.raises(BadInput, match="calls no tools"):
            await in_order(pebble, [ask()])


# --- thoughts that a server wants back ---


@pytest.mark.parametrize("stream", [False, True])
async def test_thoughts_before_calls_go_back_to_the_server_that_had_them_and_are_seen_nowhere(
    stream: bool,
) -> None:
    options = Options(stream=stream, tools="native")
    async with (
        DoubleServer(Scripted([SAID]), manner=manner("thoughts back")) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        sample = await one(model, ask())
        assert sample.text == SAID
        results = [Message("tool", "") for _ in CALLS]
        await one(model, ask((*TASK, Message("assistant", SAID), *results)))
        sent = offers_in(server)[-1]["messages"][2]["reasoning_content"]
        assert sent.startswith("Thought ")
        assert sent not in repr(vars(model)) and "Thought" not in sample.text
        # Another conversation has an answer of the same text, which is not this one.
        other = (Message("user", "Something else."), Message("assistant", SAID), *results)
        server.manner = manner()
        await one(model, ask(other))
        assert "reasoning_content" not in offers_in(server)[-1]["messages"][1]


async def test_thoughts_that_are_lost_go_back_empty_where_the_server_insists() -> None:
    """After a restart there are none, for they are in no journal."""
    notices: list[str] = []
    options = Options(tools="native", on_notice=notices.append)
    prompt = (*TASK, Message("assistant", write_calls("", CALLS[:1])), Message("tool", "1"))
    async with (
        DoubleServer(Scripted([SAID]), manner=manner("thoughts back")) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        assert (await one(model, ask(prompt))).text == SAID
        assert offers_in(server)[-1]["messages"][2]["reasoning_content"] == ""
        before = server.stats.requests
        await one(model, ask(prompt))
        assert server.stats.requests == before + 1
    assert sum("wants the thoughts before each call back" in notice for notice in notices) == 1


async def test_a_refusal_for_another_reason_is_not_laid_to_the_thoughts() -> None:
    said = {"error": {"message": "maximum context length is 10 tokens", "type": "BadRequestError"}}
    says = Says(lambda body: (400, said) if len(body["messages"]) > 2 else (200, answer))
    answer = whole(function("a", '{"x":1}'), reasoning="I look.")
    async with served(says) as url, OpenAIModel(url, options=Options(tools="native")) as model:
        sample = await one(model, ask())
        with pytest.raises(RequestRefused):
            await one(model, ask((*TASK, Message("assistant", sample.text), Message("tool", "1"))))
    assert len(says.asked) == 2
    assert says.asked[-1]["messages"][2]["reasoning"] == "I look."


async def test_a_server_that_refuses_thoughts_gets_none_back() -> None:
    notices: list[str] = []
    options = Options(tools="native", on_notice=notices.append)
    async with (
        DoubleServer(Scripted([SAID]), manner=manner("no thoughts back")) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        sample = await one(model, ask())
        prompt = (*TASK, Message("assistant", sample.text), *[Message("tool", "")] * 3)
        assert (await one(model, ask(prompt))).text == SAID
    assert sum("refuses thoughts before calls" in notice for notice in notices) == 1


async def test_thoughts_in_items_go_back_item_by_item() -> None:
    def item(text: str, **more: object) -> dict[str, object]:
        return {"type": "reasoning.text", "index": 0, "text": text, **more}

    answer = streamed(
        {"reasoning": "I ", "reasoning_details": [item("I ", signature=None)]},
        {"reasoning": "look.", "reasoning_details": [item("look.")]},
        {"reasoning_details": [item("", signature="xyz")]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "abc", "id": "r1"}]},
        *pieces(function("a", '{"x":1}', index=0, id="1")),
    )
    says = Says(lambda _: (200, answer))
    async with served(says) as url, OpenAIModel(url, options=Options(stream=True, tools="native")) as model:
        sample = await one(model, ask())
        await one(model, ask((*TASK, Message("assistant", sample.text), Message("tool", "1"))))
    message = says.asked[-1]["messages"][2]
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "I look.", "signature": "xyz"},
        {"type": "reasoning.encrypted", "index": 1, "data": "abc", "id": "r1"},
    ]
    assert "reasoning" not in message


def test_of_kept_thoughts_the_longest_unused_go_first() -> None:
    kept = KeptThoughts(200)
    thought = {"reasoning": "x" * 40}
    for text in ("a", "b", "c"):
        kept.keep(b"", text, thought)
    assert kept.of(b"", "a")
    kept.keep(b"", "d", thought)
    assert [text for text in "abcd" if kept.of(b"", text)] == ["a", "c", "d"]
    kept.keep(b"", "e", {"reasoning": "x" * 400})
    assert not kept.of(b"", "e") and kept.of(b"", "a")
    for _ in range(3):
        kept.keep(b"", "a", thought)
    assert [text for text in "acd" if kept.of(b"", text)] == ["a", "c", "d"]
    assert "x" not in repr(kept)


# --- the other side ---


async def test_openais_own_client_reads_the_calls_of_the_double() -> None:
    tools: Any = [
        {
            "type": "function",
            "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}},
        }
    ]
    messages: Any = [{"role": "user", "content": "Go."}]
    async with (
        DoubleServer(Scripted([SAID, "Done."])) as server,
        AsyncOpenAI(base_url=server.url, api_key="-") as client,
    ):
        answer = await client.chat.completions.create(
            model="scripted", messages=messages, tools=tools, max_tokens=200
        )
        state = ChatCompletionStreamState()
        async for chunk in await client.chat.completions.create(
            model="scripted", messages=messages, tools=tools, max_tokens=200, stream=True
        ):
            state.handle_chunk(chunk)
        put_together = state.get_final_completion()
        for completion in (answer, put_together):
            (choice,) = completion.choices
            assert choice.finish_reason == "tool_calls"
            assert choice.message.content == "I look first."
            found = [
                Call(call.function.name, call.function.arguments)
                for call in choice.message.tool_calls or ()
                if call.type == "function"
            ]
            assert found == list(CALLS)
        ids = [call.id for call in answer.choices[0].message.tool_calls or ()]
        assert len(set(ids)) == 3
        said = answer.choices[0].message.model_dump(exclude_none=True)
        results = [{"role": "tool", "tool_call_id": own, "content": "-"} for own in ids]
        last = await client.chat.completions.create(
            model="scripted", messages=[*messages, said, *results], tools=tools, max_tokens=200
        )
    assert (last.choices[0].message.content, last.choices[0].finish_reason) == ("Done.", "stop")


def test_a_scripted_double_answers_turn_by_turn() -> None:
    double = Scripted(["a", "b"], name="x")
    turns = [(Message("user", "-"), *[Message("assistant", "-")] * turn) for turn in range(4)]
    assert [double.draw(ask(prompt)).text for prompt in turns] == ["a", "b", "b", "b"]
    assert double.draw(Ask("-", 0.0, 1, 0)).text == "a"
    with pytest.raises(BadInput, match="one a turn"):
        Scripted([])
    with pytest.raises(BadInput, match="one a turn"):
        Scripted("ab")


def test_the_faults_of_a_scripted_double_are_its_own_and_known() -> None:
    double = Scripted([SAID], error=0.3, cut=0.2, seed=1)
    samples = [double.draw(ask(seed=seed)) for seed in range(400)]
    assert samples == [double.draw(ask(seed=seed)) for seed in range(400)]
    assert 80 < sum(sample.text.startswith("I do not") for sample in samples) < 160
    assert 40 < sum(sample.finish == "length" for sample in samples) < 120

"""What servers do that people have met and reported: redirects, pages, other models, ends of one sample alone."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from surefoot.models.base import Ask, Message
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.failures import RequestRefused
from surefoot.models.openai.options import Options

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """A server that lets one function answer everything."""
    app = web.Application()
    app.router.add_route("*", "/{_:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def choices(body: dict[str, Any], text: str = "words, words", **more: object) -> list[dict[str, Any]]:
    count = body.get("n", 1) * (len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1)
    said: dict[str, object] = {"text": text} if "prompt" in body else {"message": {"content": text}}
    return [{"index": index, "finish_reason": "length", **said, **more} for index in range(count)]


def answering(**fields: object) -> Handler:
    """Lists the model m, and answers with these fields beside the choices."""

    async def handler(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"data": [{"id": "m"}]})
        said = choices(await request.json())
        usage = {"prompt_tokens": 1, "completion_tokens": len(said)}
        return web.json_response({"choices": said, "usage": usage, **fields})

    return handler


async def refusal_of(handler: Handler, path: str = "", name: str | None = "m") -> str:
    async with served(handler) as url, OpenAIModel(url + path, name) as model:
        with pytest.raises(RequestRefused) as caught:
            await model.ready()
        return str(caught.value).replace(url, "URL")


@pytest.mark.parametrize("name", [None, "m"])
async def test_a_page_for_every_address_is_no_api(name: str | None) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    assert "it answers with a web page" in await refusal_of(page, name=name)


async def test_an_api_beside_such_a_page_is_found() -> None:
    api = answering()

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/v1/"):
            return await api(request)
        return web.Response(text="<!doctype html>", content_type="text/html")

    async with served(handler) as url, OpenAIModel(url) as model:
        assert (await model.ready()).models == ("m",)


@pytest.mark.parametrize("path", ["", "/v1"])
async def test_a_redirect_is_answered_with_the_address_to_give(path: str) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPPermanentRedirect(f"https://api.example{request.path}")

    said = await refusal_of(elsewhere, path)
    assert said.endswith("redirects to 'https://api.example/v1': give that address instead")


async def test_a_redirect_to_the_same_address_is_not_given_as_another() -> None:
    async def slash(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{request.url.origin()}{request.path}/")

    said = await refusal_of(slash)
    assert "redirects a request to 'URL/v1/models/', and redirects are not followed" in said


@pytest.mark.parametrize(("signed", "told"), [("m-2026-01-01", []), ("gemma:2", ["gemma:2"])])
async def test_another_model_that_signs_is_named_once(signed: str, told: list[str]) -> None:
    heard: list[str] = []
    async with (
        served(answering(model=signed)) as url,
        OpenAIModel(url, options=Options(on_notice=heard.append)) as model,
    ):
        can = await model.ready()
        for seed in range(3):
            async with aclosing(model.sample([Ask("x", 0.5, 5, seed)])) as samples:
                async for _ in samples:
                    pass
    ours = [notice for notice in heard if "signs an answer" in notice]
    assert len(ours) == len(told)
    assert all(f"as {name!r} where 'm' was asked" in notice for name, notice in zip(told, ours, strict=True))
    assert [notice for notice in can.notices if "signs an answer" in notice] == ours


@pytest.mark.parametrize(
    ("prompt", "tokens", "cut"),
    [
        pytest.param("word " * 20_000, 2050, 1, id="cut"),
        pytest.param("word " * 20_000, 20_000, 0, id="whole"),
        pytest.param(" " * 100_000, 2050, 0, id="blanks"),
        pytest.param("word " * 20, 1, 0, id="short"),
        pytest.param("word " * 20_000, 0, 0, id="not counted"),
    ],
)
async def test_a_prompt_that_the_server_seems_to_have_cut_is_told_once(
    prompt: str, tokens: int, cut: int
) -> None:
    heard: list[str] = []
    usage = {"prompt_tokens": tokens, "completion_tokens": 1}
    async with (
        served(answering(usage=usage)) as url,
        OpenAIModel(url, options=Options(on_notice=heard.append)) as model,
    ):
        for seed in range(2):
            async with aclosing(model.sample([Ask(prompt, 0.5, 1, seed)])) as samples:
                async for _ in samples:
                    pass
    assert sum("tokens in a prompt that must have several times as many" in notice for notice in heard) == cut


async def test_thoughts_beside_the_answer_are_not_held_against_the_token_limit() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 300}
    async with served(answering(usage=usage)) as url, OpenAIModel(url) as model:
        assert (await model.ready()).text.works


async def test_a_server_whose_model_only_thinks_where_room_is_short_passes_the_probe() -> None:
    """Then there is no choice in its answers, and nothing odd is to be told of them."""
    heard: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"data": [{"id": "m"}]})
        body = await request.json()
        said = choices(body, finish_reason="stop") if body["max_tokens"] > 64 else []
        usage = {"prompt_tokens": 5, "completion_tokens": body["max_tokens"] if not said else 70}
        return web.json_response({"choices": said, "usage": usage})

    async with (
        served(handler) as url,
        OpenAIModel(url, options=Options(on_notice=heard.append)) as model,
    ):
        can = await model.ready()
        assert can.chat.works
        assert heard == []
        ask = Ask((Message("user", "x"),), 0.5, 100, 0)
        async with aclosing(model.sample([ask])) as samples:
            found = [sample async for _, sample in samples]
    assert [(sample.text, sample.finish) for sample in found] == [("words, words", "stop")]


@pytest.mark.parametrize("all_end", [True, False])
async def test_streams_that_tell_the_end_of_their_last_sample_alone_are_asked_for_one(all_end: bool) -> None:
    largest = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal largest
        if request.method == "GET":
            return web.json_response({"data": [{"id": "m"}]})
        body = await request.json()
        said = choices(body)
        if not all_end:
            said = [{**choice, "finish_reason": None} for choice in said[:-1]] + said[-1:]
        if "words" not in json.dumps(body):
            largest = max(largest, len(said))
        events = [{"choices": [choice]} for choice in said]
        usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": len(said)}}
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in [*events, usage])
        return web.Response(text=text + "data: [DONE]\n\n", content_type="text/event-stream")

    async with served(handler) as url, OpenAIModel(url, options=Options(stream=True)) as model:
        can = await model.ready()
        assert (can.text.n, can.chat.n) == (all_end, all_end)
        largest = 0
        asks = [Ask((Message("user", "x"),), 0.5, 5, seed) for seed in range(3)]
        async with aclosing(model.sample(asks)) as samples:
            found = [sample async for _, sample in samples]
    assert [sample.finish for sample in found] == ["length"] * 3
    assert largest == (3 if all_end else 1)

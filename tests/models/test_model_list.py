"""Which models a server offers, in every shape of a list and without one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.failures import RequestRefused
from surefoot.models.openai.options import Options


@asynccontextmanager
async def served(
    models: object, status: int = 200, path: str = "/v1", finish: str = "length"
) -> AsyncIterator[str]:
    """A server that answers everything with one letter, and has this list of models."""

    async def listed(_: web.Request) -> web.Response:
        return web.json_response(models, status=status)

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        if "model" not in body:
            return web.json_response({"error": "no model"}, status=400)
        count = body.get("n", 1) * (len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1)
        said = {"text": "a"} if "prompt" in body else {"message": {"content": "a"}}
        choices = [{"index": index, "finish_reason": finish, **said} for index in range(count)]
        return web.json_response(
            {"choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": count}}
        )

    app = web.Application()
    app.router.add_get(f"{path}/models", listed)
    app.router.add_post(path + "/{_:.*completions}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "models",
    [
        pytest.param([{"id": "m"}], id="F1 a bare list"),
        pytest.param({"models": [{"id": "m"}]}, id="F1 under another name"),
        pytest.param(["m"], id="F1 names alone"),
        pytest.param({"data": ["m"]}, id="F1 names alone, in data"),
        pytest.param({"data": [{"name": "m"}]}, id="another word for the name"),
        pytest.param({"models": {"m": {"size": 7}}}, id="by name"),
        pytest.param({"data": {"models": [{"model": "m"}]}}, id="a list in an object"),
        pytest.param(
            {"data": [{"id": "m", "owned_by": 5, "max_model_len": "long", "meta": []}]}, id="odd fields"
        ),
        pytest.param({"data": [{"id": 7}, None, {"id": "m"}, {"id": "m"}]}, id="odd entries"),
    ],
)
async def test_a_list_of_models_is_read_in_every_shape(models: object) -> None:
    async with served(models) as url, OpenAIModel(url) as model:
        assert (await model.ready()).models == ("m",)
        assert model.name == "m"


@pytest.mark.parametrize("status", [404, 405, 501, 403])
@pytest.mark.parametrize("path", ["/v1", ""])
async def test_without_a_list_a_given_name_is_enough(status: int, path: str) -> None:
    async with served({"error": "no list"}, status, path) as url, OpenAIModel(url, "mine") as model:
        assert (await model.ready()).chat.works
        assert model.name == "mine"


async def test_with_an_empty_list_a_given_name_is_enough() -> None:
    async with served({"data": []}) as url, OpenAIModel(url, "mine") as model:
        assert (await model.ready()).text.works


async def test_without_a_list_and_a_name_a_sentence_says_so() -> None:
    async with served({"error": "no list"}, 404) as url, OpenAIModel(url) as model:
        with pytest.raises(RequestRefused, match="one has to be named"):
            await model.ready()


@pytest.mark.parametrize("models", [{}, 5, "m", {"data": 5}, [], {"error": {"message": "down", "code": 400}}])
async def test_what_is_no_list_is_a_sentence(models: object) -> None:
    async with served(models) as url, OpenAIModel(url) as model:
        with pytest.raises(Exception, match="model") as raised:
            await model.ready(patience_s=0.1)
    assert str(raised.value).isprintable()
    json.dumps(str(raised.value))


async def test_d1_an_unknown_word_for_the_end_is_named_once() -> None:
    notices: list[str] = []
    async with (
        served(["m"], finish="sunset") as url,
        OpenAIModel(url, options=Options(on_notice=notices.append)) as model,
    ):
        can = await model.ready()
    assert len([notice for notice in can.notices if "'sunset'" in notice]) == 1
    assert len([notice for notice in notices if "'sunset'" in notice]) == 1

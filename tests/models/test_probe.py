"""What a server can do is found out by effect, and the client makes do with what there is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from surefoot.models.base import Ask, Message, ModelUnavailable
from surefoot.models.doubles import Garbage, towers_double
from surefoot.models.doubles.server import DoubleServer, Fault, Feature
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.batches import Endpoint
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.model_list import choose_model
from surefoot.models.openai.options import Options
from surefoot.models.openai.probe import ServerLacks
from surefoot.models.openai.wire_server import ModelCard, ModelList
from surefoot.voting.samples import Sample, Usage

PROMPTS = ("---;AabcBC>", "aAB;AbcBaC>")


async def drawn(model: OpenAIModel, asks: list[Ask]) -> list[Sample]:
    return [
        sample for _, sample in sorted([pair async for pair in model.sample(asks)], key=lambda pair: pair[0])
    ]


async def test_a_complete_server_is_recognised_with_a_handful_of_tokens() -> None:
    async with DoubleServer(Garbage()) as server, OpenAIModel(server.url) as model:
        can = await model.ready()
        assert can.text == Endpoint(n=True, lists=True)
        assert can.chat == Endpoint(n=True, lists=False)
        assert can.models == ("garbage",)
        assert server.stats.samples <= 24
        assert sum(body["max_tokens"] * body.get("n", 1) for body in server.bodies) <= 250


async def test_a_server_is_probed_once() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        first = await model.ready()
        requests = server.stats.requests
        assert await model.ready() is first
        await drawn(model, [Ask(PROMPTS[0], 0.1, 50, 0)])
        assert server.stats.requests == requests + 1


@pytest.mark.parametrize("missing", [["n"], ["lists"], ["n", "lists"]], ids=" and ".join)
async def test_what_is_missing_is_made_up_for_by_more_requests(missing: list[Feature]) -> None:
    double = towers_double()
    asks = [Ask(prompt, 0.1, 50, seed) for seed in range(3) for prompt in PROMPTS]
    chats = [Ask((Message("user", prompt),), 0.1, 50, seed) for seed in range(2) for prompt in PROMPTS]
    async with DoubleServer(double, without=missing) as server, OpenAIModel(server.url) as model:
        can = await model.ready()
        before = server.stats.requests
        samples = await drawn(model, asks + chats)
        requests = server.stats.requests - before
    assert (can.text.n, can.text.lists, can.chat.n) == (
        "n" not in missing,
        "lists" not in missing,
        "n" not in missing,
    )
    assert [s.text for s in samples] == [double.draw(ask).text for ask in asks + chats]
    assert requests == {("n",): 1 + 4, ("lists",): 2 + 2, ("n", "lists"): 6 + 4}[tuple(missing)]


async def test_an_endpoint_that_is_missing_is_known_with_the_reason() -> None:
    async with (
        DoubleServer(towers_double(), without=["completions"]) as server,
        OpenAIModel(server.url) as model,
    ):
        can = await model.ready()
        assert not can.text.works
        assert "404" in can.text.why
        assert can.chat.works
        with pytest.raises(ServerLacks, match="no /completions"):
            await drawn(model, [Ask(PROMPTS[0], 0.1, 50, 0)])


async def test_a_server_with_neither_endpoint_is_refused() -> None:
    async with (
        DoubleServer(towers_double(), without=["completions", "chat"]) as server,
        OpenAIModel(server.url) as model,
    ):
        with pytest.raises(ServerLacks, match="neither completions nor chat"):
            await model.ready()


async def test_a_server_that_ignores_the_token_limit_is_refused() -> None:
    async with DoubleServer(Garbage(), without=["max_tokens"]) as server, OpenAIModel(server.url) as model:
        with pytest.raises(
            ServerLacks, match=r"ignores the token limit: asked for 1 token.*--chat-limit"
        ) as lacks:
            await model.ready()
    assert str(lacks.value).count("ignores") == 1


async def test_a_server_that_ignores_seeds_is_refused_when_seeds_matter() -> None:
    async with DoubleServer(Garbage(), without=["seed"]) as server:
        async with OpenAIModel(server.url) as model:
            await model.ready()
        async with OpenAIModel(server.url, options=Options(seeded=True)) as model:
            with pytest.raises(ServerLacks, match="ignores the seed"):
                await model.ready()


async def test_a_hiccup_during_the_probe_is_tried_again() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        server.fail(Fault("drop"), times=2)
        can = await model.ready()
        assert can.text.n
        assert can.chat.n


async def test_a_server_that_always_fails_is_not_ready() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        server.fail(Fault("status", status=500, message="no memory"), times=1000)
        with pytest.raises(ModelUnavailable, match="500: no memory"):
            await model.ready(patience_s=0.2)


def test_one_of_several_models_must_be_named() -> None:
    models = ModelList(data=[ModelCard(id="a"), ModelCard(id="b")])
    assert choose_model(models, "b", "the server").id == "b"
    with pytest.raises(RequestRefused, match="say which: 'a', 'b'"):
        choose_model(models, None, "the server")
    with pytest.raises(RequestRefused, match="none at all"):
        choose_model(ModelList(data=[]), None, "the server")


def test_a_long_list_of_models_is_cut_short() -> None:
    models = ModelList(data=[ModelCard(id=f"model-{i}") for i in range(300)])
    with pytest.raises(RequestRefused, match=r"'model-19', and 280 more$"):
        choose_model(models, "other", "the server")


async def test_vllm_and_llama_cpp_are_known_by_name() -> None:
    vllm = {"id": "m", "owned_by": "vllm", "max_model_len": 2048}
    async with server_of(vllm, {"/version": {"version": "0.32.0"}}) as url, OpenAIModel(url) as model:
        can = await model.ready()
        assert (can.server, can.context, can.max_n) == ("vLLM 0.32.0", 2048, None)
    llama = {"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx": 256, "n_vocab": 257}}
    async with server_of(llama, {"/props": {"total_slots": 4}}) as url, OpenAIModel(url) as model:
        can = await model.ready()
        assert (can.server, can.context, can.max_n) == ("llama.cpp", 256, 4)


async def test_tokens_of_one_sample_of_several_are_taken_for_all() -> None:
    """llama.cpp reports the first sample's usage only."""
    async with server_of({"id": "m", "owned_by": "llamacpp"}, {}) as url, OpenAIModel(url) as model:
        can = await model.ready()
        assert not can.text.counts_all
        samples = await drawn(model, [Ask("x", 0.1, 7, seed) for seed in range(3)])
        assert [s.tokens for s in samples] == [None] * 3
        assert sum(s.usage.completion for s in samples) == 21
        assert sum(s.usage.prompt for s in samples) == 5
        listed = await drawn(model, [Ask(prompt, 0.1, 7, 0) for prompt in ("x", "y")])
        assert sum(s.usage.prompt for s in listed) == 10
        assert model.usage == Usage(prompt=15, completion=35)


async def test_no_more_samples_are_asked_for_than_there_are_slots() -> None:
    async with (
        server_of({"id": "m", "owned_by": "llamacpp"}, {"/props": {"total_slots": 4}}) as url,
        OpenAIModel(url) as model,
    ):
        assert len(await drawn(model, [Ask("x", 0.1, 7, seed) for seed in range(9)])) == 9


async def test_fewer_samples_than_asked_for_are_an_error_that_says_what_to_do() -> None:
    async with DoubleServer(towers_double()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.without.add("n")
        with pytest.raises(ServerLacks, match="returned 1 samples where 3 were asked for: set max_n=1"):
            await drawn(model, [Ask(PROMPTS[0], 0.1, 50, seed) for seed in range(3)])


@asynccontextmanager
async def server_of(card: dict[str, object], pages: dict[str, dict[str, object]]) -> AsyncIterator[str]:
    """Serve a model as llama.cpp would: no more samples than 4, and the usage of the first."""

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [card]})

    async def page(request: web.Request) -> web.Response:
        if request.path not in pages:
            raise web.HTTPNotFound
        return web.json_response(pages[request.path])

    async def completions(request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("n", 1) > 4:
            return web.json_response({"error": {"message": "n must be at most 4"}}, status=400)
        count = body.get("n", 1) * (len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1)
        choices = [
            {"index": i, "text": "t", "message": {"content": "t", "reasoning": "r"}, "finish_reason": "stop"}
            for i in range(count)
        ]
        usage = {"prompt_tokens": 5, "completion_tokens": body["max_tokens"], "prompt_tokens_details": None}
        return web.json_response({"choices": choices, "usage": usage})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", completions)
    app.router.add_post("/v1/chat/completions", completions)
    app.router.add_get("/{page:.*}", page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


ORDERS = {
    "right": lambda prompts, n: [p for p in prompts for _ in range(n)],
    "interleaved": lambda prompts, n: [*prompts] * n,
    "reversed": lambda prompts, n: [p for p in reversed(prompts) for _ in range(n)],
    "sorted": lambda prompts, n: sorted(p for p in prompts for _ in range(n)),
    "rotated": lambda prompts, n: [p for p in (*prompts[1:], prompts[0]) for _ in range(n)],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("echoes", [True, False])
@pytest.mark.parametrize("most", [1, 4], ids=["without n", "with n"])
async def test_answers_belong_to_their_prompts_in_whatever_order_a_server_gives_them(
    order: str, echoes: bool, most: int
) -> None:
    """I: prompt lists in another order are not used."""
    async with lists_in(order, echoes, most) as url, OpenAIModel(url) as model:
        can = await model.ready()
        asks = [Ask(prompt, 0.5, 9, seed) for seed in range(2) for prompt in ("zebra", "apple", "mango")]
        samples = await drawn(model, asks)
    assert [sample.text for sample in samples] == [f"{ask.prompt}!" for ask in asks]
    if order == "right":
        assert can.text.lists
    if order in ("interleaved", "reversed") and most > 1:
        assert not can.text.lists


async def test_a_server_that_cannot_show_the_order_of_its_answers_gets_one_prompt_at_a_time() -> None:
    async with server_of({"id": "m"}, {}) as url, OpenAIModel(url) as model:
        can = await model.ready()
    assert can.text.n
    assert not can.text.lists


@asynccontextmanager
async def lists_in(order: str, echoes: bool, most: int) -> AsyncIterator[str]:
    """Serve a model that says every prompt again, and answers lists in an order of its own."""

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def completions(request: web.Request) -> web.Response:
        body = await request.json()
        prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
        asked = ORDERS[order](prompts, min(body.get("n", 1), most))
        texts = [
            (p if echoes and body.get("echo") else "") + f"{p}!"[: 4 * body["max_tokens"]] for p in asked
        ]
        choices = [{"index": i, "text": text, "finish_reason": "stop"} for i, text in enumerate(texts)]
        return web.json_response({"choices": choices, "usage": {"completion_tokens": len(texts)}})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", completions)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


@pytest.mark.parametrize("least", [2, 16, 64])
async def test_a_server_that_refuses_to_be_stopped_at_the_first_token_is_asked_for_more(least: int) -> None:
    """F2: 400 "limit reached before the answer" to one token."""

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def chat(request: web.Request) -> web.Response:
        if (await request.json())["max_tokens"] < least:
            return web.json_response({"error": {"message": "limit reached before the answer"}}, status=400)
        choice = {"index": 0, "message": {"content": "42"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"completion_tokens": 40}})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with OpenAIModel(f"http://127.0.0.1:{runner.addresses[0][1]}") as model:
        assert (await model.ready()).chat.works
        samples = await drawn(model, [Ask((Message("user", "6*7"),), 0.5, 100, 0)])
    await runner.cleanup()
    assert samples[0].text == "42"

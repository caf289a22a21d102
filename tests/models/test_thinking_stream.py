"""Streams from real servers on loopback: split, prefilled, aborted, and taken up again."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from surefoot.models.base import Ask, Message, ModelUnavailable, Prompt
from surefoot.models.doubles.faults import Fault
from surefoot.models.doubles.server import DoubleServer
from surefoot.models.doubles.streams import ThoughtField
from surefoot.models.doubles.thinking import ThinkingDouble
from surefoot.models.doubles.thoughts import ScriptedThought, overthinker, scripted
from surefoot.models.embedded.llama_cpp import EmbeddedServer, embedded_options
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.options import Options
from surefoot.models.streaming import Draw, Piece, whole_stream
from surefoot.models.tags import Tags
from surefoot.tools.pictures.picture import Picture
from surefoot.voting.samples import NOTHING, Usage

STEPS = [ScriptedThought("2 + 2 is 5 – or so…", "5", 0.5), ScriptedThought("Wait, 2 + 2 is 4.", "4")]
TEXT: Prompt = "2 + 2?"
CHAT: Prompt = (Message("user", "2 + 2?"),)
RAW = "<think>\n2 + 2 is 5 – or so…\n\nWait, 2 + 2 is 4.\n\n</think>\n\n4"
THOUGHT, ANSWER = RAW[len("<think>") : RAW.index("</think>")], "\n\n4"
STEP = "---;AabcBC>"
STEP_ANSWER = "aAB;AbcBaC"


def thinker(token_s: float = 0.0) -> ThinkingDouble:
    return ThinkingDouble(scripted(STEPS), token_s=token_s)


def draw(prompt: Prompt = TEXT, begun: str = "", max_tokens: int = 100, **more: Any) -> Draw:
    return Draw(prompt=prompt, temperature=0.5, max_tokens=max_tokens, seed=1, begun=begun, **more)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


async def first(model: OpenAIModel, number: int, asked: Draw) -> list[Piece]:
    """The first pieces of a stream, which is then closed."""
    found: list[Piece] = []
    async with aclosing(model.stream(asked)) as pieces:
        async for piece in pieces:
            found.append(piece)
            if len(found) == number:
                break
    return found


# --- what is read ---


@pytest.mark.parametrize("style", ["content", "reasoning", "reasoning_content"])
@pytest.mark.parametrize("prompt", [TEXT, CHAT])
async def test_thoughts_and_answer_are_told_apart_wherever_they_come(
    prompt: Prompt, style: ThoughtField
) -> None:
    double = thinker()
    async with DoubleServer(double, thoughts=style) as server, OpenAIModel(server.url) as model:
        whole = await whole_stream(model, draw(prompt))
        assert (whole.thought, whole.text, whole.finish) == (THOUGHT, ANSWER, "stop")
        assert whole.usage.completion == len(double.written(draw(prompt))[0])
        assert model.usage == whole.usage


@pytest.mark.parametrize("prompt", [TEXT, CHAT])
async def test_log_probabilities_are_read_in_both_shapes(prompt: Prompt) -> None:
    double = thinker()
    async with DoubleServer(double) as server, OpenAIModel(server.url) as model:
        whole = await whole_stream(model, draw(prompt, top_logprobs=3))
    assert list(whole.tokens) == double.written(draw(prompt, top_logprobs=3))[0]
    assert "".join(token.text for token in whole.tokens) == RAW


@pytest.mark.parametrize("prompt", [TEXT, CHAT])
async def test_a_stream_goes_on_from_any_token(prompt: Prompt) -> None:
    begun = ""
    async with DoubleServer(thinker()) as server, OpenAIModel(server.url) as model:
        for token in thinker().written(draw(prompt))[0]:
            begun += token.text
            rest = await whole_stream(model, draw(prompt, begun))
            told = begun.replace("<think>", "").replace("</think>", "")
            assert told + rest.thought + rest.text == THOUGHT + ANSWER
            assert rest.thought == THOUGHT[len(told) :]


async def test_the_limit_and_stop_strings_of_a_draw_hold() -> None:
    async with DoubleServer(thinker()) as server, OpenAIModel(server.url) as model:
        short = await whole_stream(model, draw(max_tokens=3))
        assert (short.finish, short.usage.completion) == ("length", 3)
        stopped = await whole_stream(model, draw(stop=("Wait",)))
        assert (stopped.finish, stopped.thought) == ("stop", THOUGHT[: THOUGHT.index("Wait")])


@pytest.mark.parametrize("enforces", [True, False])
async def test_a_server_that_ignores_the_thinking_budget_is_found_out_once(enforces: bool) -> None:
    double = ThinkingDouble(overthinker(lambda _: "4", lambda *_: "5"), enforces_budget=enforces)
    async with DoubleServer(double) as server, OpenAIModel(server.url) as model:
        assert [await model.native_budget() for _ in range(2)] == [enforces, enforces]
        assert sum("thinking_token_budget" in body for body in server.bodies) == 1


async def test_a_server_that_refuses_the_thinking_budget_has_none() -> None:
    async with DoubleServer(thinker()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        asking = asyncio.create_task(model.native_budget())
        await until(lambda: bool(server.bodies) and bool(server.bodies[-1].get("stream")))
        server.fail(Fault("status", status=400))
        assert not await asking


async def test_tokens_have_the_servers_own_numbers() -> None:
    double = thinker()
    async with DoubleServer(double) as server, OpenAIModel(server.url) as model:
        assert await model.tokenize(" Wait, no") == await double.tokenize(" Wait, no")


# --- what goes wrong ---


async def test_closing_a_stream_frees_the_servers_slot() -> None:
    async with DoubleServer(thinker(token_s=0.02), slots=1) as server, OpenAIModel(server.url) as model:
        await first(model, 3, draw())
        await until(lambda: server.stats.aborted == 1 and server.stats.in_flight == 0)
        assert (await whole_stream(model, draw())).finish == "stop"
        assert server.stats.aborted == 1


@pytest.mark.parametrize("style", ["content", "reasoning"])
@pytest.mark.parametrize("prompt", [TEXT, CHAT])
async def test_a_stream_that_breaks_off_goes_on_from_what_has_come(
    prompt: Prompt, style: ThoughtField
) -> None:
    tokens = len(thinker().written(draw(prompt))[0])
    async with DoubleServer(thinker(), thoughts=style) as server, OpenAIModel(server.url) as model:
        await model.ready()
        for after in range(2, tokens, 5):
            server.bodies.clear()
            server.fail(Fault("break", tokens=after))
            whole = await whole_stream(model, draw(prompt))
            assert (whole.thought, whole.text, whole.finish) == (THOUGHT, ANSWER, "stop")
            # Tags that the server has left out cannot be counted in what broke off: at most two.
            assert whole.usage.completion in (
                range(tokens - 2, tokens + 1) if style == "reasoning" else [tokens]
            )
            before, left = (int(str(body["max_tokens"])) for body in server.bodies)
            assert before - left in range(after - 2, after + 1)


@pytest.mark.parametrize("opened", [False, True])
async def test_a_chat_that_breaks_off_in_mid_thought_goes_on_as_raw_text_and_stays_thinking(
    opened: bool,
) -> None:
    """vLLM tells thoughts apart in chat, and shows them with their tags where the rest is asked for: in completions."""
    tags = Tags(opened=opened)
    double = ThinkingDouble(scripted(STEPS, tags=tags), tags=tags)
    asked = draw(CHAT, tags=tags, thinking_budget=50)
    tokens, _ = double.written(asked)
    async with (
        DoubleServer(double, thoughts="reasoning", owned_by="vllm") as server,
        OpenAIModel(server.url) as model,
    ):
        await model.ready()
        for after in range(2, len(tokens)):
            server.bodies.clear()
            server.fail(Fault("break", tokens=after))
            pieces = await first(model, 1000, asked)
            assert "".join(piece.text for piece in pieces) == ANSWER, (
                "no thought passed for text, not even for now"
            )
            assert "".join(piece.thought for piece in pieces).strip() == THOUGHT.strip()
            first_body, second_body = server.bodies
            assert "messages" in first_body
            assert "prompt" in second_body
            # vLLM takes the thoughts in the prompt off the budget by itself.
            assert second_body["thinking_token_budget"] == 50


@pytest.mark.parametrize("times", [2, 3])
async def test_a_chat_that_breaks_off_several_times_asks_for_what_it_really_wrote(times: int) -> None:
    async with (
        DoubleServer(thinker(), thoughts="reasoning", owned_by="vllm") as server,
        OpenAIModel(server.url) as model,
    ):
        await model.ready()
        server.bodies.clear()
        server.fail(Fault("break", tokens=5), times=times)
        whole = await whole_stream(model, draw(CHAT))
        prompts = ["".join(map(chr, body["prompt"])) for body in server.bodies if "prompt" in body]  # type: ignore[call-overload]
    assert (whole.thought, whole.text) == (THOUGHT, ANSWER)
    assert len(prompts) == times
    assert all(("2 + 2?" + RAW).startswith(prompt) for prompt in prompts)


async def test_a_stream_that_breaks_off_again_and_again_arrives_all_the_same() -> None:
    async with DoubleServer(thinker()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.fail(Fault("break", tokens=2), times=6)
        assert (await whole_stream(model, draw())).text == ANSWER


async def test_what_fails_before_the_first_token_is_tried_again() -> None:
    waits: list[str] = []
    patient = Options(on_wait=lambda wait: waits.append(wait.error), first_token_s=0.2)
    async with DoubleServer(thinker()) as server, OpenAIModel(server.url, options=patient) as model:
        await model.ready()
        for fault in (
            Fault("status", status=503),
            Fault("break", tokens=0),
            Fault("hang"),
            Fault("malformed"),
        ):
            server.fail(fault)
        assert (await whole_stream(model, draw())).text == ANSWER
    assert len(waits) == 4
    assert "first token" in waits[2]


async def test_patience_with_an_outage_ends() -> None:
    async with (
        DoubleServer(thinker()) as server,
        OpenAIModel(server.url, options=Options(patience_s=0.1)) as model,
    ):
        await model.ready()
        server.fail(Fault("drop"), times=50)
        with pytest.raises(ModelUnavailable, match=r"has not answered for 0\.1 s"):
            await whole_stream(model, draw())


async def test_a_refusal_is_final() -> None:
    async with DoubleServer(thinker()) as server, OpenAIModel(server.url) as model:
        await model.ready()
        server.fail(Fault("status", status=400, message="too long"))
        with pytest.raises(RequestRefused, match="too long"):
            await whole_stream(model, draw())


@pytest.mark.parametrize("prompt", [TEXT, CHAT])
@pytest.mark.parametrize("owned_by", ["vllm", "surefoot"])
async def test_a_server_that_quotes_the_thoughts_is_not_quoted(prompt: Prompt, owned_by: str) -> None:
    secret = "Let me see: canary-3d90aa is the number"
    waits: list[str] = []
    options = Options(on_wait=lambda wait: waits.append(wait.error), patience_s=0.3)
    async with (
        DoubleServer(thinker(), owned_by=owned_by) as server,
        OpenAIModel(server.url, options=options) as model,
    ):
        await model.ready()
        server.fail(Fault("status", status=400, message=f"no such thing in {secret!r}"))
        with pytest.raises(RequestRefused, match="400: Bad Request") as refused:
            await whole_stream(model, draw(prompt, f"<think>{secret}"))
        server.fail(Fault("status", status=500, message=f"died on {secret!r}"), times=50)
        with pytest.raises(ModelUnavailable, match="500: Internal Server Error") as gone:
            await whole_stream(model, draw(prompt, f"<think>{secret}"))
    assert waits
    assert not [said for said in (*waits, str(refused.value), str(gone.value)) if "canary" in said]


async def test_an_error_in_mid_stream_that_quotes_the_thoughts_is_not_quoted() -> None:
    error: list[dict[str, object]] = [{"error": {"message": "died on canary-3d90aa", "code": 500}}]
    async with says(error, 1000) as url, OpenAIModel(url, options=Options(patience_s=0.1)) as model:
        with pytest.raises(ModelUnavailable, match="died on canary"):
            await whole_stream(model, draw())
        with pytest.raises(ModelUnavailable, match="500: an error"):
            await whole_stream(model, draw(begun="<think>canary-3d90aa"))


async def test_streams_wait_their_turn_like_other_requests() -> None:
    async with (
        DoubleServer(thinker(token_s=0.001)) as server,
        OpenAIModel(server.url, options=Options(max_in_flight=2)) as model,
    ):
        await model.ready()
        server.stats.most_in_flight = 0
        await asyncio.gather(*(whole_stream(model, draw()) for _ in range(6)))
        assert server.stats.most_in_flight == 2


# --- what comes over the wire ---


@asynccontextmanager
async def says(events: list[dict[str, object]], size: int) -> AsyncIterator[str]:
    """A server that streams just these events, in blocks of `size` bytes."""
    body = (
        "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events) + "data: [DONE]\n\n"
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        if not (await request.json()).get("stream"):
            return web.json_response({"choices": [{"index": 0, "text": "a", "finish_reason": "length"}]})
        response = web.StreamResponse()
        await response.prepare(request)
        raw = body.encode()
        for start in range(0, len(raw), size):
            await response.write(raw[start : start + size])
            await asyncio.sleep(0)
        return response

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m", "owned_by": "vllm"}]})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def chunk(text: str, **more: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "text": text, **more}]}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
async def test_blocks_may_end_in_mid_character_and_json_may_hold_any_line_separator(size: int) -> None:
    events = [chunk("<thi"), chunk("nk>ß\u2028\x85"), chunk("𝔸</think>é", finish_reason="stop")]
    async with says(events, size) as url, OpenAIModel(url) as model:
        whole = await whole_stream(model, draw())
    assert (whole.thought, whole.text) == ("ß\u2028\x85𝔸", "é")


async def test_what_vllm_does_not_know_of_log_probabilities_is_none() -> None:
    logprobs = {
        "tokens": ["a"],
        "token_logprobs": [-9999.0],
        "top_logprobs": [{"b": -0.5, "a": -9999.0, "c": -0.1}],
    }
    async with says([chunk("a", logprobs=logprobs)], 50) as url, OpenAIModel(url) as model:
        (token,) = (await whole_stream(model, draw(top_logprobs=3))).tokens
    assert token == ("a", None, (("c", -0.1), ("b", -0.5)))


async def test_usage_that_comes_with_every_chunk_makes_an_aborted_stream_exact() -> None:
    def usage(completion: int) -> dict[str, int]:
        return {"prompt_tokens": 7, "completion_tokens": completion}

    events = [{**chunk("a b c"), "usage": usage(3)}, {**chunk("d"), "usage": usage(4)}]
    events.append({**chunk("", finish_reason="stop"), "usage": usage(4)})
    async with says(events, 1000) as url, OpenAIModel(url) as model:
        pieces = await first(model, 2, draw())
    assert [piece.usage for piece in pieces] == [Usage(prompt=7, completion=3), Usage(completion=1)]


# --- llama.cpp ---


async def test_llama_cpp_streams_what_it_samples_and_goes_on_from_any_letter() -> None:
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, options=embedded_options()) as model:
            for prompt in (STEP, (Message("user", STEP),)):
                asked = Draw(prompt=prompt, temperature=0.0, max_tokens=40, seed=1, top_logprobs=2)
                async with aclosing(model.sample([Ask(prompt, 0.0, 40, 1)])) as samples:
                    async for _, sample in samples:
                        assert sample.text == STEP_ANSWER
                whole = await whole_stream(model, asked)
                assert whole.text == STEP_ANSWER
                assert "".join(token.text for token in whole.tokens) == STEP_ANSWER
                assert all(token.top[0] == token[:2] for token in whole.tokens)
                for border in range(1, len(STEP_ANSWER), 3):
                    rest = await whole_stream(model, replace(asked, begun=STEP_ANSWER[:border]))
                    assert STEP_ANSWER[:border] + rest.text == STEP_ANSWER


async def test_llama_cpp_says_what_an_aborted_stream_has_cost() -> None:
    with EmbeddedServer() as server:
        async with OpenAIModel(server.url, options=embedded_options()) as model:
            pieces = await first(model, 3, draw(STEP))
            usage = NOTHING
            for piece in pieces:
                usage += piece.usage
            assert (usage.prompt, usage.completion) == (len(STEP), 3)
            assert not await model.native_budget()
            assert await model.tokenize("ab") == [97, 98]


async def test_a_conversation_that_has_begun_keeps_its_pictures() -> None:
    picture = Picture(b"a picture")
    prompt = (Message("user", "2 + 2?", (picture,)),)
    async with (
        DoubleServer(thinker(), owned_by="vllm") as server,
        OpenAIModel(server.url) as model,
        aclosing(model.stream(draw(prompt, begun="<think>\n2 + 2"))) as pieces,
    ):
        async for _ in pieces:
            break
    messages = server.bodies[-1]["messages"]
    assert messages[0]["content"][0]["image_url"]["url"] == picture.url  # type: ignore[index]
    assert messages[-1]["role"] == "assistant"  # type: ignore[index]

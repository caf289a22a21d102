"""Answers as servers, gateways and providers really send them, against the client over loopback."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from surefoot.models.base import Ask, Message, ModelUnavailable
from surefoot.models.openai import OpenAIModel
from surefoot.models.openai.exchange import RequestRefused
from surefoot.models.openai.failures import UnreadableResponse
from surefoot.models.openai.options import Options, Wait
from surefoot.models.streaming import Draw, whole_stream
from surefoot.voting.samples import NOTHING, Sample, Usage

REAL = "what is 6 * 7?"
DRAW = Draw(prompt=(Message("user", REAL),), temperature=0.7, max_tokens=50, seed=0)
USAGE = {"prompt_tokens": 5, "completion_tokens": 3}
BILL = Usage(prompt=5, completion=3)


class Odd:
    """A server that answers probes as it should, and what is really asked with what it is told, in that order."""

    def __init__(self, *answers: bytes | web.Response) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        chat = "messages" in body
        if REAL not in json.dumps(body):
            count = body.get("n", 1) * (len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1)
            said = [choice(chat, False, index=index, text="a", finish="length") for index in range(count)]
            usage = {"prompt_tokens": 1, "completion_tokens": count}
            return web.json_response({"choices": said, "usage": usage})
        self.asked.append(body)
        said_next = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said_next, web.Response):
            return web.Response(body=said_next.body, status=said_next.status, headers=said_next.headers)
        kind = "application/json" if said_next.startswith((b"{", b"[")) else "text/event-stream"
        return web.Response(body=said_next, content_type=kind)


@asynccontextmanager
async def served(odd: Odd) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/models", odd.models)
    app.router.add_post("/v1/{_:.*completions}", odd.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def choice(
    chat: bool,
    stream: bool,
    *,
    index: int | None = 0,
    text: object = "",
    finish: str | None = None,
    **more: object,
) -> dict[str, object]:
    said: dict[str, object] = {} if index is None else {"index": index}
    if finish:
        said["finish_reason"] = finish
    if chat:
        said["delta" if stream else "message"] = {"content": text, **more}
    else:
        said["text"] = text
    return said


def sse(*chunks: object, done: bool = True) -> bytes:
    events = [chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}" for chunk in chunks]
    return "".join(f"{event}\n\n" for event in [*events, *(["data: [DONE]"] if done else [])]).encode()


def good(chat: bool = True, text: str = "42", finish: str = "stop") -> bytes:
    return json.dumps({"choices": [choice(chat, False, text=text, finish=finish)], "usage": USAGE}).encode()


def chunk(text: object = "", finish: str | None = None, **more: object) -> dict[str, object]:
    return {"choices": [choice(True, True, text=text, finish=finish, **more)]}


async def asked(
    odd: Odd, *, stream: bool = False, chat: bool = True, patience_s: float = 30.0
) -> tuple[list[Sample], Usage, list[str]]:
    waits: list[Wait] = []
    options = Options(stream=stream, on_wait=waits.append, patience_s=patience_s)
    async with served(odd) as url, OpenAIModel(url, options=options) as model:
        await model.ready()
        prompt = (Message("user", REAL),) if chat else REAL
        async with aclosing(model.sample([Ask(prompt, 0.7, 50, 0)])) as samples:
            found = [sample async for _, sample in samples]
        return found, model.usage, [wait.error for wait in waits]


# --- A: failures inside a 200 ---

GONE = {"code": 502, "message": "gone"}
TEXT = chunk("4")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(
            sse(
                TEXT,
                {
                    "error": GONE,
                    "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
                },
            ),
            "gone",
            id="A1 an error beside choices in a stream",
        ),
        pytest.param(
            json.dumps(
                {"id": "x", "choices": [], "error": {"message": "upstream failed", "code": 502}}
            ).encode(),
            "upstream failed",
            id="A3 no choices and an error",
        ),
        pytest.param(b'{"error": {"message": "later", "code": "503"}}', "later", id="a code as a string"),
        pytest.param(b'{"error": "upstream is gone"}', "upstream is gone", id="an error that is a string"),
        pytest.param(
            b'{"error": {"message": "x", "type": "server_error", "code": null}}', "x", id="a type alone"
        ),
        pytest.param(b'{"object": "error", "message": "engine died", "code": 500}', "engine died", id="bare"),
        pytest.param(
            b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}', "busy", id="typed"
        ),
        pytest.param(
            json.dumps(
                {"choices": [{**choice(True, False, text="4", finish="stop"), "error": GONE}]}
            ).encode(),
            "gone",
            id="an error in a choice",
        ),
        pytest.param(good(text="4", finish="error"), "error", id="a finish that is an error"),
        pytest.param(sse(TEXT, chunk("", "error")), "error", id="a finish that is an error, in a stream"),
        pytest.param(sse(TEXT, "event: error\ndata: engine died"), "engine died", id="an event of words"),
        pytest.param(
            sse(TEXT, 'event: error\ndata: {"message": "engine died"}'), "engine died", id="an event of JSON"
        ),
        pytest.param(sse(TEXT, {"error": GONE}, done=False), "gone", id="an error and the end"),
        pytest.param(sse({"error": "gone"}), "gone", id="an error alone"),
        pytest.param(sse(chunk("4", "stop"), {"error": GONE}), "gone", id="an error after the finish"),
        pytest.param(sse(), "no answer", id="nothing but the end"),
        pytest.param(b'{"choices": []}', "no answer", id="no choices"),
        pytest.param(b"{}", "no answer", id="an empty object"),
        pytest.param(b'{"detail": [{"msg": "worker died", "loc": []}]}', "worker died", id="FastAPI's words"),
    ],
)
async def test_a_failure_inside_an_answer_is_tried_again_and_is_no_sample(
    body: bytes, words: str, stream: bool
) -> None:
    (sample,), usage, waits = await asked(Odd(body, good()), stream=stream)
    assert (sample.text, sample.finish) == ("42", "stop")
    assert usage == BILL
    assert len(waits) == 1
    assert words in waits[0]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param({"message": "no credit", "code": 402}, "no credit", id="A5"),
        pytest.param({"message": "no such key", "code": 401}, "no such key", id="the key"),
        pytest.param({"message": "quota", "type": "insufficient_quota"}, "quota", id="a type that stays"),
        pytest.param({"message": "too long", "code": "400"}, "too long", id="a code as a string"),
        pytest.param({"message": "x", "code": "context_length_exceeded"}, "x", id="a code that is a word"),
    ],
)
async def test_a_failure_that_stays_is_refused_with_the_servers_words(
    error: dict[str, object], words: str, stream: bool
) -> None:
    body = sse(TEXT, {"error": error}) if stream else json.dumps({"error": error}).encode()
    odd = Odd(body)
    with pytest.raises(RequestRefused, match=words):
        await asked(odd, stream=stream)
    assert len(odd.asked) == 1


@pytest.mark.parametrize(
    "error", [None, "", {}, False, {"code": 0, "message": "success"}, {"code": 200, "message": ""}]
)
async def test_an_error_that_says_there_is_none_is_none(error: object) -> None:
    body = {"choices": [choice(True, False, text="42", finish="stop")], "usage": USAGE, "error": error}
    (sample,), _, waits = await asked(Odd(json.dumps(body).encode()))
    assert (sample.text, waits) == ("42", [])


# --- B, C, X: one odd field never throws an answer away ---


def answered(
    *, finish: object = "stop", usage: object = USAGE, index: object = 0, **message: object
) -> bytes:
    said = {"index": index, "message": message or {"content": "42"}, "finish_reason": finish}
    if index is None:
        del said["index"]
    return json.dumps({"choices": [said], "usage": usage}).encode()


def both(delta: str | None, message: str, finish: str | None) -> dict[str, object]:
    """A chunk with all that has been said so far, and beside it what is new if that is said."""
    said: dict[str, object] = {"index": 0, "message": {"content": message}, "finish_reason": finish}
    return {"choices": [said if delta is None else {**said, "delta": {"content": delta}}]}


BLOCKS = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "42"}]
ENDED = chunk("", "stop")
COUNTED = {"choices": [], "usage": USAGE}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(sse(chunk("42"), ENDED, {"usage": USAGE}), id="B1 usage without choices"),
        pytest.param(
            sse({"choices": [choice(True, True, index=None, text="42", finish="stop")]}, COUNTED),
            id="B2 no index, streamed",
        ),
        pytest.param(answered(index=None), id="B2 no index"),
        pytest.param(answered(index="0"), id="B2 an index that is a string"),
        pytest.param(
            sse(
                {"type": "ping"},
                "data:",
                {"choices": None},
                "data: null",
                ": hm",
                chunk("42"),
                ENDED,
                COUNTED,
            ),
            id="B3 other frames",
        ),
        pytest.param(answered(content=BLOCKS), id="B4 blocks"),
        pytest.param(sse(chunk(BLOCKS), ENDED, COUNTED), id="B4 blocks, streamed"),
        pytest.param(
            answered(content=[{"type": "text", "text": "4"}, {"text": "2"}]), id="B4 parts of a text"
        ),
        pytest.param(answered(content={"type": "text", "text": "42"}), id="B4 one block"),
        pytest.param(answered(content="42", reasoning={"text": "hm"}), id="B5 an object"),
        pytest.param(answered(content="42", reasoning=[{"text": "h"}, {"text": "m"}]), id="B5 a list"),
        pytest.param(answered(content="42", reasoning=5, tool_calls=None), id="B5 a number"),
        pytest.param(answered(content="42", reasoning_details=[{"text": "hm"}, 3, None]), id="B5 details"),
        pytest.param(
            sse(chunk("42", logprobs={"content": [None, 3]}), ENDED, COUNTED), id="odd log-probabilities"
        ),
        pytest.param(
            sse(chunk("42"), {"choices": [{"finish_reason": "stop"}]}, COUNTED), id="an end without a delta"
        ),
        pytest.param(sse(chunk("42", "stop"), COUNTED, done=False), id="C1 no [DONE]"),
        pytest.param(
            sse(chunk("42", "stop"), COUNTED, "data: done", done=False), id="C1 another word for [DONE]"
        ),
        pytest.param(
            sse(chunk("42", "stop"), COUNTED, done=False).rstrip(b"\n"), id="C1 no line feed either"
        ),
        pytest.param(sse(chunk("42", "stop"), COUNTED).replace(b"\n", b"\r\n"), id="carriage returns"),
        pytest.param(sse(chunk("42", "stop"), COUNTED).replace(b"\n\n", b"\n"), id="no blank lines"),
        pytest.param(b"\xef\xbb\xbf" + sse(": hi", chunk("42", "stop"), COUNTED), id="a byte order mark"),
        pytest.param(b"\xef\xbb\xbf" + answered(), id="a byte order mark before JSON"),
        pytest.param(
            b"\xef\xbb\xbf" + sse(chunk("4"), chunk("2", "stop"), COUNTED),
            id="a byte order mark before a text",
        ),
        pytest.param(
            sse("data: : PROCESSING", chunk("4"), "data: : PROCESSING", chunk("2", "stop"), COUNTED),
            id="comments that a gateway has made data of",
        ),
        pytest.param(b": PROCESSING\n\n: PROCESSING\n\n" + answered(), id="comments before JSON"),
        pytest.param(
            sse(
                *[both(*said) for said in (("4", "4", None), ("2", "42", None), ("", "42", "stop"))], COUNTED
            ),
            id="the message so far beside each delta",
        ),
        pytest.param(
            sse(*[both(None, *said) for said in (("4", None), ("42", None), ("42", "stop"))], COUNTED),
            id="the message so far in place of each delta",
        ),
        pytest.param(
            sse(chunk("4"), chunk("2"), both(None, "42", "stop"), COUNTED),
            id="the whole message after its deltas",
        ),
        pytest.param(
            sse(both(None, "4", None), both(None, "2", "stop"), COUNTED), id="deltas that are called messages"
        ),
        pytest.param(b"\n\n  " + answered(), id="keep-alive blanks before JSON"),
        pytest.param(
            sse(
                "\n".join(
                    f"data: {line}"
                    for line in json.dumps({**chunk("42", "stop"), "usage": USAGE}, indent=1).split("\n")
                )
            ),
            id="an event of several lines",
        ),
        pytest.param(
            json.dumps({"choices": [choice(True, True, text="42", finish="stop")], "usage": USAGE}).encode(),
            id="a delta in one piece",
        ),
    ],
)
async def test_an_odd_field_does_not_throw_an_answer_away(body: bytes, stream: bool) -> None:
    """X2 too: a stream is read where none was asked for, and an answer in one piece where a stream was."""
    odd = Odd(body)
    (sample,), usage, waits = await asked(odd, stream=stream)
    assert (sample.text, sample.finish, sample.tokens) == ("42", "stop", 3)
    assert usage == BILL
    assert (len(odd.asked), waits) == (1, [])


async def test_x2_streams_are_asked_for_by_name_and_so_is_their_absence() -> None:
    for stream in (False, True):
        odd = Odd(good())
        await asked(odd, stream=stream)
        assert odd.asked[0]["stream"] is stream


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(sse(chunk("4"), done=False), id="C1 cut before the finish"),
        pytest.param(sse(chunk("4"), COUNTED, done=False), id="C1 cut, though counted"),
        pytest.param(sse(chunk("4"), 'data: {"choices": [{"ind', done=False), id="C1 cut in an event"),
        pytest.param(sse(chunk("4"), "data: what?"), id="an event that is no JSON"),
        pytest.param(answered(content=42), id="an answer that is a number"),
        pytest.param(b'{"choices": [{"index": 0, "finish_reason": "stop"}]}', id="no text at all"),
        pytest.param(b'{"choices": ["42"]}', id="no choice at all"),
        pytest.param(b"42", id="neither JSON of the API nor a stream"),
    ],
)
async def test_what_a_sample_needs_is_not_made_up(body: bytes) -> None:
    (sample,), usage, waits = await asked(Odd(body, good()))
    assert (sample.text, usage, len(waits)) == ("42", BILL, 1)


GROWING = [chunk("the answer is 42"[:length]) for length in range(1, 17)]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_whose_every_piece_is_all_so_far_is_refused_and_not_put_together(stream: bool) -> None:
    odd = Odd(sse(*GROWING, ENDED))
    with pytest.raises(UnreadableResponse, match="holds all pieces before it") as caught:
        await asked(odd, stream=stream)
    assert "without `stream`" in str(caught.value)
    assert len(odd.asked) == 1


async def test_a_draw_of_such_a_stream_is_refused_too() -> None:
    async with served(Odd(sse(*GROWING, ENDED))) as url, OpenAIModel(url) as model:
        with pytest.raises(UnreadableResponse):
            await whole_stream(model, DRAW)


@pytest.mark.parametrize(
    "pieces", ["ha ha ha", "0 00 000 0000 00000", "a ab abc", "x x xy xyz xyz! 42 42 42 42"]
)
async def test_pieces_that_only_look_alike_are_put_together(pieces: str) -> None:
    said = pieces.split()
    (sample,), _, _ = await asked(Odd(sse(*map(chunk, said), ENDED)), stream=True)
    assert sample.text == "".join(said)


# --- D: why the model stopped ---


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        *((word, "stop") for word in ("stop", "eos", "end", "eos_token", "end_turn", "stop_sequence")),
        *((word, "stop") for word in ("STOP", "COMPLETE", "EOS-token", "<|im_end|>", "FINISH_REASON_STOP")),
        *((word, "length") for word in ("length", "max_tokens", "MAX_TOKENS", "model_length", "max_length")),
        *((word, "content_filter") for word in ("content_filter", "SAFETY")),
        (None, None),
        ("", None),
        (5, None),
        ("sunset", "sunset"),
        ("\x1b[31m" + "x" * 100, "\\x1b[31m" + "x" * 32),
    ],
    ids=lambda value: f"D1 {value!r}"[:40],
)
async def test_d1_finishes_are_told_in_the_words_of_the_api(word: object, finish: str | None) -> None:
    (sample,), _, _ = await asked(Odd(answered(finish=word)))
    assert sample.finish == finish


# --- G: tags in an answer that has been told apart ---

SPEAKS = "Close it with `</think>` at the end"


@pytest.mark.parametrize(
    ("content", "reasoning", "text"),
    [
        pytest.param(SPEAKS, "hm", SPEAKS, id="G1"),
        pytest.param("42</think>", "hm", "42", id="G2 left over after thoughts in a field"),
        pytest.param("<think>a</think>42</think>", None, "42", id="G2 left over after thoughts in tags"),
        pytest.param("</think>\n\n42", "hm", "42", id="left over before the answer"),
        pytest.param("42\n</think>\n", "hm", "42", id="left over with blanks"),
        pytest.param("`<think>` opens", "hm", "`<think>` opens", id="an opening tag"),
        pytest.param("a </think> b", "hm", "a </think> b", id="in the middle"),
        pytest.param("42</thi", "hm", "42</thi", id="half a tag"),
        pytest.param("a</think>42</think>", None, "42", id="thoughts that the template opened"),
        pytest.param(
            f"<think>a</think>{SPEAKS}", None, SPEAKS, id="a tag in the text after thoughts in tags"
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_tags_in_an_answer_are_text_and_leftovers_are_left_out(
    content: str, reasoning: str | None, text: str, stream: bool
) -> None:
    whole = answered(content=content, **({"reasoning": reasoning} if reasoning else {}))
    pieces = [chunk(content[place : place + 3]) for place in range(0, len(content), 3)]
    streamed = sse(*([chunk("", None, reasoning=reasoning)] if reasoning else []), *pieces, ENDED)
    (sample,), _, _ = await asked(Odd(streamed if stream else whole), stream=stream)
    assert sample.text == text


@pytest.mark.parametrize("size", [1, 2, 9, 1000])
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (SPEAKS, SPEAKS),
        ("42</think>", "42"),
        ("</think>\n\n42", "42"),
        ("a </think> b </think>\n ", "a </think> b "),
        ("42</thi", "42</thi"),
        ("4 < 5", "4 < 5"),
    ],
)
async def test_g_the_same_of_a_draw_however_it_is_cut(content: str, text: str, size: int) -> None:
    pieces = [chunk(content[place : place + size]) for place in range(0, len(content), size)]
    odd = Odd(sse(chunk("", None, reasoning="hm"), *pieces, ENDED))
    async with served(odd) as url, OpenAIModel(url) as model:
        found = await whole_stream(model, DRAW)
    assert (found.thought, found.text) == ("hm", text)


@pytest.mark.parametrize(
    "begins", [["<think>hm"], ["\n<think>hm"], ["<think>", "hm"], ["h", "m"], ["<think>h", "m"]]
)
async def test_g_the_opening_tag_is_no_thought_where_the_server_left_it_in(begins: list[str]) -> None:
    """vLLM does where the tag comes in one piece with what follows it."""
    thoughts = [chunk("", None, reasoning=piece) for piece in begins]
    async with served(Odd(sse(*thoughts, chunk("42"), ENDED))) as url, OpenAIModel(url) as model:
        found = await whole_stream(model, DRAW)
    assert (found.thought, found.text) == ("hm", "42")


async def test_g_a_tag_that_a_thought_speaks_of_stays_in_it() -> None:
    thoughts = [chunk("", None, reasoning=piece) for piece in ("first ", "<think>", " then")]
    async with served(Odd(sse(*thoughts, chunk("42"), ENDED))) as url, OpenAIModel(url) as model:
        found = await whole_stream(model, DRAW)
    assert found.thought == "first <think> then"


# --- usage ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("usage", "bill", "tokens"),
    [
        pytest.param(None, Usage(uncounted=1), None, id="none"),
        pytest.param({"prompt_tokens": 5}, Usage(5, uncounted=1), None, id="of the prompt alone"),
        pytest.param({"completion_tokens": 3}, Usage(completion=3, uncounted=1), 3, id="of the answer alone"),
        pytest.param({"prompt_tokens": 5, "completion_tokens": 2**63}, Usage(5, uncounted=1), None, id="Z6"),
        pytest.param(
            {"prompt_tokens": -5, "completion_tokens": 3},
            Usage(completion=3, uncounted=1),
            3,
            id="Z6 below 0",
        ),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0}, NOTHING, 0, id="nothing, said so"),
    ],
)
async def test_unknown_usage_is_unknown_and_never_0(
    usage: object, bill: Usage, tokens: int | None, stream: bool
) -> None:
    body = sse({**chunk("42", "stop"), "usage": usage}) if stream else answered(usage=usage)
    (sample,), found, _ = await asked(Odd(body), stream=stream)
    assert (found, sample.usage, sample.tokens) == (bill, bill, tokens)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("more", "bill"),
    [
        pytest.param(
            {"total_tokens": 48, "completion_tokens_details": {"reasoning_tokens": 40}},
            Usage(prompt=5, completion=43, reasoning=40),
            id="thoughts beside the answer, counted (xAI)",
        ),
        pytest.param(
            {"total_tokens": 48}, Usage(prompt=5, completion=43, reasoning=40), id="and not counted (Gemini)"
        ),
        pytest.param(
            {"total_tokens": 108, "prompt_tokens_details": {"cached_tokens": 100}},
            Usage(prompt=105, cached=100, completion=3),
            id="what came from the cache beside the prompt",
        ),
        pytest.param({"total_tokens": 8}, BILL, id="the sum"),
        pytest.param({"total_tokens": 3}, BILL, id="less than the sum"),
        pytest.param({"total_tokens": "48"}, BILL, id="no number"),
    ],
)
async def test_what_a_server_counts_in_its_total_alone_is_billed(
    more: dict[str, object], bill: Usage, stream: bool
) -> None:
    (sample,), usage, _ = await asked(Odd(answered(usage={**USAGE, **more})), stream=stream)
    assert usage == bill
    assert sample.tokens == bill.completion


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_without_a_choice_that_was_paid_for_is_a_sample_without_a_text(stream: bool) -> None:
    odd = Odd(sse(COUNTED) if stream else json.dumps(COUNTED).encode())
    (sample,), usage, waits = await asked(odd, stream=stream)
    assert (sample.text, sample.finish) == ("", None)
    assert (usage, len(odd.asked), waits) == (BILL, 1, [])


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0}])
async def test_an_answer_without_a_choice_that_cost_nothing_is_asked_for_again(usage: object) -> None:
    odd = Odd(json.dumps({"choices": [], "usage": usage}).encode(), good())
    (sample,), _, waits = await asked(odd)
    assert (sample.text, len(waits)) == ("42", 1)


async def test_an_uncounted_stream_is_estimated_and_says_so() -> None:
    odd = Odd(sse(chunk("4"), chunk("2"), ENDED))
    async with served(odd) as url, OpenAIModel(url) as model:
        found = await whole_stream(model, DRAW)
        assert found.usage == model.usage == Usage(completion=2, uncounted=1)


@pytest.mark.parametrize("repeats", [False, True])
async def test_t3_the_usage_of_each_choice_is_its_own(repeats: bool) -> None:
    """llama.cpp says it with the last chunk of each choice; others say what has come so far with every one."""
    chunks: list[object] = []
    for index, tokens in enumerate((3, 9)):
        for so_far in range(1, tokens + 1):
            said: dict[str, Any] = {"choices": [choice(False, True, index=index, text="x")]}
            if so_far == tokens:
                said["choices"][0]["finish_reason"] = "stop"
            if repeats or so_far == tokens:
                said["usage"] = {"prompt_tokens": 5, "completion_tokens": so_far}
            chunks.append(said)
    odd = Odd(sse(*chunks))
    async with served(odd) as url, OpenAIModel(url, options=Options(stream=True)) as model:
        async with aclosing(model.sample([Ask(REAL, 0.7, 50, seed) for seed in range(2)])) as samples:
            found = sorted([pair async for pair in samples])
        assert [sample.tokens for _, sample in found] == [3, 9]
        assert sum(sample.usage.completion for _, sample in found) == model.usage.completion == 12
        assert sum(sample.usage.prompt for _, sample in found) == model.usage.prompt == 5


async def test_a_connection_that_was_kept_and_is_closed_is_no_outage() -> None:
    """T1: the server says nothing of closing, and closes."""

    async def closing(request: web.Request) -> web.StreamResponse:
        response = await odd.answer(request)
        await response.prepare(request)
        await response.write_eof()
        assert request.transport
        request.transport.close()
        return response

    odd, waits = Odd(good()), []
    app = web.Application()
    app.router.add_get("/v1/models", odd.models)
    app.router.add_post("/v1/{_:.*completions}", closing)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        async with OpenAIModel(url, options=Options(on_wait=waits.append)) as model:
            for seed in range(30):
                async with aclosing(model.sample([Ask((Message("user", REAL),), 0.7, 50, seed)])) as samples:
                    assert [sample.text async for _, sample in samples] == ["42"]
    finally:
        await runner.cleanup()
    assert waits == []


def text_of(samples: Sequence[Sample]) -> list[str]:
    return [sample.text for sample in samples]


async def test_emoji_that_a_gateway_cut_in_two_are_put_together() -> None:
    raw = r'{"choices": [{"index": 0, "delta": {"content": "%s"}, "finish_reason": %s}]}'
    halves = [
        f"data: {raw % (half, end)}" for half, end in ((r"\ud83d", "null"), (r"\ude00\ud83d", '"stop"'))
    ]
    samples, _, _ = await asked(Odd(sse(*halves)), stream=True)
    assert text_of(samples) == ["\U0001f600\ufffd"]


async def test_a_server_that_never_says_anything_is_given_up_with_its_words() -> None:
    with pytest.raises(ModelUnavailable, match="upstream failed"):
        await asked(Odd(b'{"error": "upstream failed"}'), patience_s=0.3)

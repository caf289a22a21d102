"""What reads a server's text takes time linear in its length, whatever the text is (Z2)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from surefoot.models.offers import read_calls
from surefoot.models.openai.answers import Leftovers, answer_in
from surefoot.models.openai.error_bodies import failure_in_body
from surefoot.models.openai.function_calling import text_with_calls
from surefoot.models.openai.json_text import parsed
from surefoot.models.openai.limits import ResponseTooLarge
from surefoot.models.openai.wire import read_reply

TEXTS = {
    "blanks": " ",
    "newlines": "\n",
    "brackets": "[{",
    "quotes": '"',
    "backslashes": "\\",
    "closing tags": "</think>",
    "tags": "<think>a</think>",
    "half emoji": "\ud83d",
}
BLOCK = 16384
STEP = 512


async def blocks(body: bytes) -> AsyncIterator[bytes]:
    for place in range(0, len(body), BLOCK):
        yield body[place : place + BLOCK]


def read(body: bytes) -> None:
    asyncio.run(_read(body))


async def _read(body: bytes) -> None:
    with suppress(ValueError, ResponseTooLarge):
        await read_reply(blocks(body), lambda: None, 1 << 30)


def in_one_piece(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()


def in_one_token(text: str) -> bytes:
    return (
        b"data: "
        + json.dumps({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}).encode()
        + b"\n\n"
    )


def in_tokens(text: str) -> bytes:
    said = (
        json.dumps({"choices": [{"delta": {"content": text[at : at + STEP]}}]})
        for at in range(0, len(text), STEP)
    )
    return "".join(f"data: {token}\n\n" for token in said).encode() + b"data: [DONE]\n\n"


def leftovers(text: str) -> None:
    reader = Leftovers()
    for place in range(0, len(text), STEP):
        reader.feed(text[place : place + STEP])
    reader.end_of_answer()


def in_calls(text: str) -> bytes:
    said = (
        json.dumps(
            {
                "choices": [
                    {
                        "delta": {
                            "tool_calls": [{"function": {"name": "a", "arguments": text[at : at + STEP]}}]
                        }
                    }
                ]
            }
        )
        for at in range(0, len(text), STEP)
    )
    ended = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    return "".join(f"data: {token}\n\n" for token in [*said, ended]).encode() + b"data: [DONE]\n\n"


def read_with_calls(body: bytes) -> None:
    asyncio.run(_read_with_calls(body))


async def _read_with_calls(body: bytes) -> None:
    with suppress(ValueError, ResponseTooLarge):
        reply = await read_reply(blocks(body), lambda: None, 1 << 30, offered=True)
        assert reply.choices[0].calls
        for finish in ("stop", "length"):
            read_calls(text_with_calls("", reply.choices[0].calls, finish))


WORKS: dict[str, tuple[Callable[[str], object], Callable[..., object]]] = {
    "an answer in one piece": (in_one_piece, read),
    "one token": (in_one_token, read),
    "tokens": (in_tokens, read),
    "a stream of raw bytes": (lambda text: b"data:" + text.encode(errors="replace"), read),
    "calls": (in_calls, read_with_calls),
    "an answer": (str, answer_in),
    "an answer with blocks": (
        lambda text: "```tool_call\n" + text,
        lambda text: text_with_calls(text, (), "length"),
    ),
    "an answer told apart": (str, lambda text: answer_in(text, told=True)),
    "an answer cut up": (str, leftovers),
    "an error": (lambda text: json.dumps({"error": {"message": text}}).encode(), failure_in_body),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("work", WORKS)
def test_time_grows_with_the_length_and_no_faster(work: str, text: str, slope: Callable[..., float]) -> None:
    of, reads = WORKS[work]
    unit = TEXTS[text]
    sizes = (1 << 10, 1 << 16, 1 << 22)
    assert slope(reads, lambda size: of(unit * (size // len(unit))), sizes) <= 1.1


@pytest.mark.parametrize("body", ["[" * (1 << 23), '{"a":' * (1 << 21), "9" * (1 << 23), '"' * (1 << 23)])
def test_json_made_to_hurt_is_refused_in_linear_time(body: str, slope: Callable[..., float]) -> None:
    def refused(text: bytes) -> None:
        with pytest.raises((ValueError, ResponseTooLarge)):
            parsed(text)

    # Shorter ones are refused for their depth alone; from here on the values are counted first, which is another line.
    assert slope(refused, lambda size: body[:size].encode() + b" x", (1 << 22, 3 << 21, 1 << 23)) <= 1.1

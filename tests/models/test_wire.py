"""What is read of a server's answers, and what makes them unreadable."""

from collections.abc import AsyncGenerator

import pytest

from surefoot.models.openai.error_bodies import FailureReported
from surefoot.models.openai.wire import Choice, Reply, read_reply
from surefoot.models.openai.wire_server import error_kind, message_of
from surefoot.voting.samples import Usage


async def blocks(body: bytes) -> AsyncGenerator[bytes, None]:
    """A body as the network may cut it up."""
    for start in range(0, len(body), 7):
        yield body[start : start + 7]


async def reply(body: bytes) -> Reply:
    return await read_reply(blocks(body), lambda: None)


async def read(*events: str) -> tuple[Reply, list[bool]]:
    begun: list[bool] = []
    body = "".join(f"{event}\n\n" for event in events).encode()
    return await read_reply(blocks(body), lambda: begun.append(True)), begun


async def test_a_body_that_goes_on_after_its_end_is_closed_at_once() -> None:
    answer = b'data: {"choices": [{"text": "4", "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    body = blocks(answer + b"\n" * 99)
    assert (await read_reply(body, lambda: None)).choices == [Choice("4", "stop")]
    assert body.ag_frame is None, "left to the collector, which closes it in a task of its own"


async def test_every_kind_of_token_is_counted() -> None:
    body = b"""{"choices": [{"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}], "usage": {
        "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 6}}}"""
    assert await reply(body) == Reply([Choice("4", "stop")], Usage(10, 8, 7, 6), counted=True)


@pytest.mark.parametrize(
    ("usage", "counted", "uncounted"),
    [
        ("null", False, 1),
        ('{"prompt_tokens": null, "completion_tokens": null}', False, 1),
        ('{"prompt_tokens": 0, "completion_tokens": 0, "prompt_tokens_details": null}', True, 0),
        ('{"completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": null}}', True, 1),
        pytest.param('{"completion_tokens": "7", "prompt_tokens": "3"}', False, 1, id="Z6 strings"),
        pytest.param(
            '{"completion_tokens": 9223372036854775808, "prompt_tokens": 0}', False, 1, id="Z6 2^63"
        ),
        pytest.param('{"completion_tokens": 1e300, "prompt_tokens": 0}', False, 1, id="Z6 1e300"),
        pytest.param('{"completion_tokens": -1, "prompt_tokens": 0}', False, 1, id="Z6 negative"),
        pytest.param('{"completion_tokens": 0.5, "prompt_tokens": true}', False, 1, id="Z6 half a token"),
        pytest.param('{"completion_tokens": NaN, "prompt_tokens": []}', False, 1, id="Z6 no number"),
        pytest.param('{"completion_tokens": 0.0, "prompt_tokens": 0.0}', True, 0, id="Z6 JavaScript"),
        pytest.param("[1, 2]", False, 1, id="Z6 a list"),
    ],
)
async def test_unknown_tokens_stay_distinguishable_from_none(
    usage: str, counted: bool, uncounted: int
) -> None:
    body = b'{"choices": [{"index": 0, "text": "x"}], "usage": %s}' % usage.encode()
    assert await reply(body) == Reply([Choice("x", None)], Usage(uncounted=uncounted), counted)


async def test_reasoning_is_not_part_of_the_answer() -> None:
    for field in (b"reasoning", b"reasoning_content"):
        body = b'{"choices": [{"index": 0, "message": {"content": "4", "%s": "2 + 2"}}]}' % field
        assert (await reply(body)).choices == [Choice("4", None, thought="2 + 2")]


async def test_a_message_without_content_is_an_empty_answer() -> None:
    body = b'{"choices": [{"index": 0, "message": {"content": null, "reasoning": "hm"}, "finish_reason": "length"}]}'
    assert (await reply(body)).choices == [Choice("", "length", thought="hm")]


async def test_choices_are_put_in_the_order_of_their_index() -> None:
    body = b'{"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]}'
    assert [choice.text for choice in (await reply(body)).choices] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": null}',
        b'{"choices": [{"index": 0}]}',
        b'{"choices": [{"index": 0, "text": 5}]}',
        b'{"choices": [{"index": 1, "text": "a"}]}',
        b'{"choices": [{"index": 0, "text": "a"}, "and more"]}',
        b'{"choices": [{"index": 0, "text": "\xff"}]}',
    ],
)
async def test_what_is_not_a_completion_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        await reply(body)


ROLE = 'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}'
THOUGHT = 'data: {"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]}'
TEXT = 'data: {"choices": [{"index": 0, "delta": {"content": "4"}}]}'
STOP = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'
USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}'
DONE = "data: [DONE]"


async def test_a_stream_becomes_one_reply() -> None:
    reply, _ = await read(": ping", ROLE, THOUGHT, TEXT, TEXT, STOP, USAGE, DONE)
    assert reply == Reply([Choice("44", "stop", thought="hm")], Usage(prompt=3, completion=2), counted=True)


async def test_the_model_has_begun_with_its_first_thought_not_with_its_role() -> None:
    assert (await read(ROLE, DONE))[1] == []
    assert (await read(ROLE, THOUGHT, DONE))[1] == [True]


async def test_a_sample_that_ends_without_a_reason_has_none() -> None:
    assert (await read(TEXT, DONE))[0].choices == [Choice("4", None)]


async def test_a_stream_that_breaks_off_is_no_answer() -> None:
    with pytest.raises(ValueError, match="broke off"):
        await read(ROLE, TEXT)


async def test_an_error_in_mid_stream_is_passed_on() -> None:
    with pytest.raises(FailureReported, match="engine died"):
        await read(TEXT, 'data: {"error": {"message": "engine died", "code": 500}}')


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "no such model", "code": 404}}', "no such model"),
        (b'{"error": "busy"}', "busy"),
        (b'{"object": "error", "message": "too long", "code": 400}', "too long"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b"upstream\n  timed out", "upstream timed out"),
        (b"<html><body>Bad gateway</body></html>", ""),
        (b"", ""),
        (b"x" * 5000, "x" * 300),
    ],
)
def test_errors_are_quoted_in_the_servers_own_words(body: bytes, message: str) -> None:
    assert message_of(body) == message


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            b'{"error": {"message": "too long: secret", "type": "BadRequestError", "code": 400}}',
            "BadRequestError",
        ),
        (
            b'{"object": "error", "message": "secret", "type": "invalid_request_error"}',
            "invalid_request_error",
        ),
        (b'{"error": {"message": "secret", "type": "secret, and more"}}', ""),
        (b'{"error": {"message": "secret", "type": null}}', ""),
        (b'{"error": {"message": "secret"}}', ""),
        (b'{"error": "secret"}', ""),
        (b"secret", ""),
    ],
)
def test_of_an_error_that_may_quote_thoughts_the_kind_is_enough(body: bytes, kind: str) -> None:
    assert error_kind(body) == kind

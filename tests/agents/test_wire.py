"""What is read of a server's answers, and what makes them unreadable."""

from collections.abc import AsyncIterator

import pytest
from surefoot.agents.openai.wire import Choice, Reply, read_chat, read_completion, read_stream
from surefoot.agents.openai.wire_server import kind_of, message_of
from surefoot.voting.samples import Usage


def test_every_kind_of_token_is_counted() -> None:
    body = b"""{"choices": [{"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}], "usage": {
        "prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 6}}}"""
    assert read_chat(body) == Reply([Choice("4", "stop")], Usage(10, 8, 7, 6), counted=True)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ("null", False),
        ('{"prompt_tokens": null, "completion_tokens": null}', False),
        ('{"prompt_tokens": 0, "completion_tokens": 0, "prompt_tokens_details": null}', True),
        ('{"completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": null}}', True),
    ],
)
def test_unknown_tokens_stay_distinguishable_from_none(usage: str, counted: bool) -> None:
    body = b'{"choices": [{"index": 0, "text": "x"}], "usage": %s}' % usage.encode()
    assert read_completion(body) == Reply([Choice("x", None)], Usage(), counted)


def test_reasoning_is_not_part_of_the_answer() -> None:
    for field in (b"reasoning", b"reasoning_content"):
        body = b'{"choices": [{"index": 0, "message": {"content": "4", "%s": "2 + 2"}}]}' % field
        assert read_chat(body).choices == [Choice("4", None)]


def test_a_message_without_content_is_an_empty_answer() -> None:
    body = b'{"choices": [{"index": 0, "message": {"content": null, "reasoning": "hm"}, "finish_reason": "length"}]}'
    assert read_chat(body).choices == [Choice("", "length")]


def test_choices_are_put_in_the_order_of_their_index() -> None:
    body = b'{"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]}'
    assert [choice.text for choice in read_completion(body).choices] == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices": null}',
        b'{"choices": [{"index": 0}]}',
        b'{"choices": [{"index": "0", "text": "a"}]}',
        b'{"choices": [{"index": 0, "text": 5}]}',
        b'{"choices": [{"index": 1, "text": "a"}]}',
        b'{"choices": [{"index": 0, "text": "a"}], "usage": {"completion_tokens": "7"}}',
        b'{"choices": [{"index": 0, "text": "\xff"}]}',
    ],
)
def test_what_is_not_a_completion_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_completion(body)


async def lines(*events: str) -> AsyncIterator[str]:
    for event in events:
        yield event
        yield ""


async def read(*events: str) -> tuple[Reply, list[bool]]:
    begun: list[bool] = []
    return await read_stream(lines(*events), chat=True, first_token=lambda: begun.append(True)), begun


ROLE = 'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}'
THOUGHT = 'data: {"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]}'
TEXT = 'data: {"choices": [{"index": 0, "delta": {"content": "4"}}]}'
STOP = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'
USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}'
DONE = "data: [DONE]"


async def test_a_stream_becomes_one_reply() -> None:
    reply, _ = await read(": ping", ROLE, THOUGHT, TEXT, TEXT, STOP, USAGE, DONE)
    assert reply == Reply([Choice("44", "stop")], Usage(prompt=3, completion=2), counted=True)


async def test_the_model_has_begun_with_its_first_thought_not_with_its_role() -> None:
    assert (await read(ROLE, DONE))[1] == []
    assert (await read(ROLE, THOUGHT, DONE))[1] == [True]


async def test_a_sample_that_ends_without_a_reason_has_none() -> None:
    assert (await read(TEXT, DONE))[0].choices == [Choice("4", None)]


async def test_a_stream_that_breaks_off_is_no_answer() -> None:
    with pytest.raises(ValueError, match="broke off"):
        await read(TEXT, STOP)


async def test_an_error_in_mid_stream_is_passed_on() -> None:
    with pytest.raises(ValueError, match="engine died"):
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
    assert kind_of(body) == kind

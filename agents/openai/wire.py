"""The wire types of the OpenAI API: tolerant of fields that nobody here reads, strict about those that are read."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from pydantic import ValidationError

from ...voting.samples import NOTHING, Usage
from .wire_server import Wire, error_in


class _Cached(Wire):
    cached_tokens: int | None = None


class _Reasoning(Wire):
    reasoning_tokens: int | None = None


class WireUsage(Wire):
    """Tokens of one request; whatever a server leaves out or sets to null counts as 0."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None
    completion_tokens_details: _Reasoning | None = None

    def usage(self) -> Usage:
        """Return it in our own words."""
        cached, reasoning = self.prompt_tokens_details, self.completion_tokens_details
        return Usage(
            prompt=self.prompt_tokens or 0,
            cached=cached.cached_tokens or 0 if cached else 0,
            completion=self.completion_tokens or 0,
            reasoning=reasoning.reasoning_tokens or 0 if reasoning else 0,
        )


class _Timings(Wire):
    """What llama.cpp says with every chunk if asked to."""

    cache_n: int = 0
    prompt_n: int = 0
    """Tokens of the prompt that were not in the cache."""
    predicted_n: int = 0


class _TopToken(Wire):
    token: str
    logprob: float


class _Token(_TopToken):
    top_logprobs: list[_TopToken] | None = None


class WireLogprobs(Wire):
    """The log-probabilities of a choice in the chat endpoint's form, or in that of the completions endpoint."""

    content: list[_Token] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class Choice(NamedTuple):
    """One sample as the server sent it."""

    text: str
    finish: str | None


class Reply(NamedTuple):
    """The answer to one request."""

    choices: list[Choice]
    """By index: with a list of prompts, all samples of the first prompt come first."""
    usage: Usage = NOTHING
    counted: bool = False
    """Whether the server said anything about output tokens."""
    id: str = ""
    """What the server calls this answer; "" where it has no name."""


class _TextChoice(Wire):
    index: int
    text: str
    finish_reason: str | None = None
    logprobs: WireLogprobs | None = None

    @property
    def thought(self) -> str:
        return ""


class _Message(Wire):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _ChatChoice(Wire):
    index: int
    message: _Message
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        return self.message.content or ""


class _Delta(Wire):
    index: int
    delta: _Message
    finish_reason: str | None = None
    logprobs: WireLogprobs | None = None

    @property
    def text(self) -> str:
        return self.delta.content or ""

    @property
    def thought(self) -> str:
        return self.delta.reasoning or self.delta.reasoning_content or ""


class _Named(Wire):
    id: object = None
    """Of any type: no answer is worth less for its name."""


class _Completion(_Named):
    choices: list[_TextChoice]
    usage: WireUsage | None = None
    timings: _Timings | None = None


class _ChatCompletion(_Named):
    choices: list[_ChatChoice]
    usage: WireUsage | None = None


class _ChatChunk(_Named):
    choices: list[_Delta]
    usage: WireUsage | None = None
    timings: _Timings | None = None


Chunk = _ChatChunk | _Completion


class Malformed(ValueError):
    """The body of a response is not what the API says; the transport or the server is to blame, not the model."""


class Interrupted(ValueError):
    """The server reported an error in the middle of a stream."""


def read_completion(body: bytes) -> Reply:
    """Parse the answer of `/v1/completions`; raises `ValueError`."""
    completion = _Completion.model_validate_json(body)
    return _reply(
        {c.index: Choice(c.text, c.finish_reason) for c in completion.choices},
        completion.usage,
        completion.id,
    )


def read_chat(body: bytes) -> Reply:
    """Parse the answer of `/v1/chat/completions`, reasoning left out; raises `ValueError`."""
    chat = _ChatCompletion.model_validate_json(body)
    return _reply({c.index: Choice(c.text, c.finish_reason) for c in chat.choices}, chat.usage, chat.id)


async def read_stream(lines: AsyncIterator[str], chat: bool, first_token: Callable[[], None]) -> Reply:
    """Put the server-sent events of one request together; calls `first_token` once the model has begun.

    Raises `ValueError` if the stream ends before the server says that it is complete.
    """
    texts: dict[int, list[str]] = {}
    finish: dict[int, str | None] = {}
    usage: WireUsage | None = None
    name: object = None
    async for chunk in chunks(lines, chat, first_token):
        usage, name = chunk.usage or usage, name or chunk.id
        for choice in chunk.choices:
            texts.setdefault(choice.index, []).append(choice.text)
            finish[choice.index] = choice.finish_reason or finish.get(choice.index)
    return _reply({i: Choice("".join(texts[i]), finish[i]) for i in texts}, usage, name)


async def event_lines(body: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Yield the lines of a body as server-sent events have them: unlike `str.splitlines`, only at line feeds.

    JSON may hold the other line separators of Unicode as they are.  Raises `UnicodeDecodeError`, a `ValueError`.
    """
    rest = b""
    async for block in body:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.decode()
    yield rest.decode()


async def chunks(
    lines: AsyncIterator[str], chat: bool, first_token: Callable[[], None]
) -> AsyncIterator[Chunk]:
    """Yield the chunks of one stream of server-sent events; calls `first_token` whenever the model has written.

    Raises `ValueError` if the stream ends before the server says that it is complete.
    """
    chunk_type: type[Chunk] = _ChatChunk if chat else _Completion
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        chunk = _chunk(chunk_type, data)
        if any(choice.text or choice.thought or choice.finish_reason for choice in chunk.choices):
            first_token()
        yield chunk
    raise Malformed("the stream broke off")


def _chunk(chunk_type: type[Chunk], data: str) -> Chunk:
    try:
        return chunk_type.model_validate_json(data)
    except ValidationError:
        if message := error_in(data):
            raise Interrupted(message) from None
        raise


def _reply(choices: dict[int, Choice], usage: WireUsage | None, name: object) -> Reply:
    if sorted(choices) != list(range(len(choices))):
        raise Malformed(f"choices are numbered {sorted(choices)!r}")
    counted = usage is not None and usage.completion_tokens is not None
    ordered = [choices[index] for index in range(len(choices))]
    return Reply(ordered, usage.usage() if usage else NOTHING, counted, name if isinstance(name, str) else "")

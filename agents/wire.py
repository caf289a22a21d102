"""The wire types of the OpenAI API: tolerant of fields that nobody here reads, strict about those that are read."""

from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..voting.samples import NOTHING, Usage

MESSAGE_CHARACTERS = 300
"""How much of a server's own error message is quoted."""


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Cached(_Wire):
    cached_tokens: int | None = None


class _Reasoning(_Wire):
    reasoning_tokens: int | None = None


class WireUsage(_Wire):
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


class _TextChoice(_Wire):
    index: int
    text: str
    finish_reason: str | None = None

    @property
    def thought(self) -> bool:
        return False


class _Message(_Wire):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _ChatChoice(_Wire):
    index: int
    message: _Message
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        return self.message.content or ""


class _Delta(_Wire):
    index: int
    delta: _Message
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        return self.delta.content or ""

    @property
    def thought(self) -> bool:
        return bool(self.delta.reasoning or self.delta.reasoning_content)


class _Completion(_Wire):
    choices: list[_TextChoice]
    usage: WireUsage | None = None


class _ChatCompletion(_Wire):
    choices: list[_ChatChoice]
    usage: WireUsage | None = None


class _ChatChunk(_Wire):
    choices: list[_Delta]
    usage: WireUsage | None = None


class _Meta(_Wire):
    n_ctx: int | None = None
    """The context in tokens, from llama.cpp."""


class ModelCard(_Wire):
    """One model that the server offers."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    """The context in tokens, from vLLM."""
    meta: _Meta | None = None


class ModelList(_Wire):
    """What `/v1/models` answers."""

    data: list[ModelCard]


class ServerVersion(_Wire):
    """What vLLM's `/version` answers."""

    version: str


class ServerSlots(_Wire):
    """What llama.cpp's `/props` answers."""

    total_slots: int = Field(ge=1)


class Malformed(ValueError):
    """The body of a response is not what the API says; the transport or the server is to blame, not the model."""


class Interrupted(ValueError):
    """The server reported an error in the middle of a stream."""


def read_completion(body: bytes) -> Reply:
    """Parse the answer of `/v1/completions`; raises `ValueError`."""
    completion = _Completion.model_validate_json(body)
    return _reply({c.index: Choice(c.text, c.finish_reason) for c in completion.choices}, completion.usage)


def read_chat(body: bytes) -> Reply:
    """Parse the answer of `/v1/chat/completions`, reasoning left out; raises `ValueError`."""
    chat = _ChatCompletion.model_validate_json(body)
    return _reply({c.index: Choice(c.text, c.finish_reason) for c in chat.choices}, chat.usage)


async def read_stream(lines: AsyncIterator[str], chat: bool, first_token: Callable[[], None]) -> Reply:
    """Put the server-sent events of one request together; calls `first_token` once the model has begun.

    Raises `ValueError` if the stream ends before the server says that it is complete.
    """
    chunk_type: type[_ChatChunk] | type[_Completion] = _ChatChunk if chat else _Completion
    texts: dict[int, list[str]] = {}
    finish: dict[int, str | None] = {}
    usage: WireUsage | None = None
    async for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return _reply({i: Choice("".join(texts[i]), finish[i]) for i in texts}, usage)
        chunk = _chunk(chunk_type, data)
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts.setdefault(choice.index, []).append(choice.text)
            finish[choice.index] = choice.finish_reason or finish.get(choice.index)
            if choice.text or choice.thought or choice.finish_reason:
                first_token()
    raise Malformed("the stream broke off")


def message_of(body: bytes) -> str:
    """Return the server's own words from the body of an error, in whichever of the usual shapes it comes."""
    for shape in (_Wrapped, _Bare, _Detail):
        try:
            text = shape.model_validate_json(body).text
        except ValidationError:
            continue
        return " ".join(text.split())[:MESSAGE_CHARACTERS]
    text = body.decode(errors="replace").strip()
    return "" if text.startswith("<") else " ".join(text.split())[:MESSAGE_CHARACTERS]


class _Bare(_Wire):
    message: str

    @property
    def text(self) -> str:
        return self.message


class _Wrapped(_Wire):
    error: _Bare | str

    @property
    def text(self) -> str:
        return self.error if isinstance(self.error, str) else self.error.message


class _Detail(_Wire):
    detail: str

    @property
    def text(self) -> str:
        return self.detail


def _chunk(chunk_type: type[_ChatChunk] | type[_Completion], data: str) -> _ChatChunk | _Completion:
    try:
        return chunk_type.model_validate_json(data)
    except ValidationError:
        if message := _error_in(data):
            raise Interrupted(message) from None
        raise


def _error_in(data: str) -> str | None:
    try:
        return _Wrapped.model_validate_json(data).text
    except ValidationError:
        return None


def _reply(choices: dict[int, Choice], usage: WireUsage | None) -> Reply:
    if sorted(choices) != list(range(len(choices))):
        raise Malformed(f"choices are numbered {sorted(choices)!r}")
    counted = usage is not None and usage.completion_tokens is not None
    ordered = [choices[index] for index in range(len(choices))]
    return Reply(ordered, usage.usage() if usage else NOTHING, counted)

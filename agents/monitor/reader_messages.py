"""Chats: lists of messages as the OpenAI API takes them, and as LangGraph keeps them in its state."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Literal

from .reader_events import (
    Heard,
    Parts,
    Said,
    Wire,
    ended,
    joined,
    reasoning_tokens,
    string,
    turns_of,
    validated,
)
from .trajectory import Trajectory

OPENAI = "a list of chat messages with `role`, `content` and `tool_calls`"
LANGGRAPH = "a list of LangChain messages with `type` (human, ai, tool, system) and `content`"

SPEAKERS = frozenset(("ai", "AIMessageChunk", "assistant"))
"""What LangChain calls an answer of the model: whole, added up from a stream, or with a role instead of a type."""
ASKERS = frozenset(("human", "HumanMessageChunk", "user"))
SILENT = frozenset(("system", "SystemMessageChunk", "developer", "remove"))


class Role(Wire):
    """What a message of the chat endpoint must have."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]


Chat = list[Mapping[str, Any]]


def chat(data: Any, expected: str = OPENAI) -> Chat:
    """Return a list of chat messages as it is; raises `BadInput` if it is none."""
    validated(list[Role], data, expected)
    return list(data)


def calls(message: Mapping[str, Any]) -> bool:
    """Whether a message calls a tool as the API has it."""
    return bool(message.get("tool_calls") or message.get("function_call"))


def openai(data: Any) -> Trajectory:
    """Read a list of chat messages, with native tool calls or with the actions written into the text."""
    messages = chat(data)
    parts = Parts()
    written = not any(map(calls, messages))

    def events() -> Iterator[Said | Heard]:
        for message in messages:
            if message["role"] == "assistant":
                yield parts.answer(message, written)
            elif message["role"] not in SILENT:
                yield Heard(parts.text(message.get("content")))

    turns = turns_of(events())
    return Trajectory(issue_of(messages), turns, None, "OpenAI messages", parts.passed_over)


def issue_of(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return what was asked for: everything that users said before the model first spoke."""
    asked = []
    for message in messages:
        if message["role"] == "assistant":
            break
        if message["role"] == "user":
            asked.append(Parts().text(message.get("content")))
    return "\n\n".join(asked)


class LangMessage(Wire):
    """A message of LangChain as `model_dump` and LangGraph's own API write it."""

    type: str
    role: Any = None
    content: Any = None
    additional_kwargs: Any = None
    response_metadata: Any = None
    tool_calls: Any = None
    invalid_tool_calls: Any = None
    usage_metadata: Any = None
    status: Any = None

    @property
    def speaker(self) -> str:
        """Who speaks: a message of type `chat` says so by its role."""
        role = string(self.role) if self.type.startswith(("chat", "ChatMessage")) else None
        return role or self.type

    @property
    def speaks(self) -> bool:
        """Whether it is the model's."""
        return self.speaker in SPEAKERS

    @property
    def asks(self) -> bool:
        """Whether it is a person's."""
        return self.speaker in ASKERS

    @property
    def finish(self) -> str | None:
        """The server's word for why an answer ended."""
        told = self.response_metadata if isinstance(self.response_metadata, Mapping) else {}
        return string(told.get("finish_reason")) or string(told.get("stop_reason")) or ended(told)

    def said(self, parts: Parts) -> Said:
        """Return an answer of the model as an event; a call whose arguments cannot be read is one, too."""
        more = self.additional_kwargs if isinstance(self.additional_kwargs, Mapping) else {}
        called = parts.calls(self.tool_calls) + parts.calls(self.invalid_tool_calls)
        return Said(
            joined(parts.thought(more), parts.text(self.content)),
            called or parts.calls(more.get("tool_calls")) or parts.called_in(self.content),
            reasoning_tokens(self.usage_metadata),
            self.finish,
        )


def langgraph(data: Any) -> Trajectory:
    """Read the messages of a LangGraph state: message objects, or what they are dumped to."""
    found = [_plain(message) for message in _whole(data)] if isinstance(data, list | tuple) else data
    messages = validated(list[LangMessage], found, LANGGRAPH)
    parts = Parts()
    spoken = next((place for place, each in enumerate(messages) if each.speaks), len(messages))
    issue = [Parts().text(message.content) for message in messages[:spoken] if message.asks]
    last = messages[-1].finish if messages and messages[-1].speaks else None
    turns = turns_of(_lang_events(messages, parts))
    return Trajectory("\n\n".join(issue), turns, last, "LangGraph messages", parts.passed_over)


def _lang_events(messages: Iterable[LangMessage], parts: Parts) -> Iterator[Said | Heard]:
    for message in messages:
        if message.speaks:
            yield message.said(parts)
        elif message.speaker not in SILENT:
            yield Heard(parts.text(message.content), True if message.status == "error" else None)


def _whole(messages: Iterable[Any]) -> Iterator[Any]:
    """Put answers together that were kept in the pieces of their stream: chunks of one id, one after the other."""
    for stream, pieces in groupby(messages, _stream):
        first, *more = pieces
        if stream and more:
            yield first + more
        else:
            yield from (first, *more)


def _stream(message: Any) -> str | None:
    return getattr(message, "id", None) if getattr(message, "type", None) == "AIMessageChunk" else None


def _plain(message: Any) -> Any:
    """Return a message as LangChain's `model_dump` has it, whichever of its forms it comes in."""
    if hasattr(message, "model_dump"):
        return message.model_dump()
    if isinstance(message, tuple | list) and len(message) == 2:
        return {"type": message[0], "content": message[1]}
    if not isinstance(message, dict):
        return message
    if message.get("type") == "constructor":
        return message.get("kwargs")
    if isinstance(message.get("data"), dict):
        return {**message["data"], "type": message.get("type")}
    return {**message, "type": message["role"]} if "role" in message and "type" not in message else message

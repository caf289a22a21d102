"""Chats: lists of messages as the OpenAI API takes them, and as LangGraph keeps them in its state."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal

from pydantic import Field

from .reader_events import (
    Content,
    Heard,
    Said,
    Wire,
    joined,
    text_of,
    to_text,
    turns_of,
    validated,
    written_actions,
)
from .trajectory import Action, Trajectory, action

OPENAI = "a list of chat messages with `role`, `content` and `tool_calls`"
SPEAKERS = frozenset(("ai", "AIMessageChunk", "assistant"))
"""What LangChain calls an answer of the model: whole, added up from a stream, or with a role instead of a type."""
ASKERS = frozenset(("human", "HumanMessageChunk", "user"))
SILENT = frozenset(("system", "SystemMessageChunk", "developer", "remove"))
LANGGRAPH = "a list of LangChain messages with `type` (human, ai, tool, system) and `content`"


class Function(Wire):
    """What is called, and with which arguments."""

    name: str
    arguments: str | dict[str, Any] = ""

    def action(self) -> Action:
        """Return it in our own words."""
        return action(self.name, to_text(self.arguments))


class Call(Wire):
    """One entry of `tool_calls`."""

    function: Function


class ChatMessage(Wire):
    """A message of the chat endpoint, as it is sent and as it comes back."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None

    @property
    def calls(self) -> bool:
        """Whether a tool is called as the API has it."""
        return bool(self.tool_calls or self.function_call)

    def said(self, native: bool, reasoning_tokens: int = 0, finish: str | None = None) -> Said:
        """Return an assistant's message as an event; unless calls are `native` they are looked for in its text."""
        text = text_of(self.content)
        functions = [call.function for call in self.tool_calls or ()]
        if self.function_call is not None:
            functions.append(self.function_call)
        actions = tuple(function.action() for function in functions) if native else written_actions(text)
        return Said(joined(self.reasoning or self.reasoning_content, text), actions, reasoning_tokens, finish)


class _LangCall(Wire):
    name: str
    args: dict[str, Any] = Field(default_factory=dict)


class _Details(Wire):
    reasoning: int | None = None


class _LangUsage(Wire):
    output_token_details: _Details | None = None


class LangMessage(Wire):
    """A message of LangChain as `model_dump` and LangGraph's own API write it."""

    type: str
    content: str | list[str | dict[str, Any]] = ""
    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    response_metadata: dict[str, Any] = Field(default_factory=dict)
    tool_calls: list[_LangCall] = Field(default_factory=list)
    usage_metadata: _LangUsage | None = None
    status: str | None = None
    role: str | None = None

    @property
    def speaker(self) -> str:
        """Who speaks: a message of type `chat` says so by its role."""
        return (self.type.startswith(("chat", "ChatMessage")) and self.role) or self.type

    @property
    def speaks(self) -> bool:
        """Whether it is the model's."""
        return self.speaker in SPEAKERS

    @property
    def asks(self) -> bool:
        """Whether it is a person's."""
        return self.speaker in ASKERS

    def said(self) -> Said:
        """Return an AI message as an event."""
        details = self.usage_metadata.output_token_details if self.usage_metadata else None
        reasoning = self.additional_kwargs.get("reasoning_content")
        finish = self.response_metadata.get("finish_reason") or self.response_metadata.get("stop_reason")
        return Said(
            joined(reasoning if isinstance(reasoning, str) else None, _blocks(self.content)),
            tuple(action(call.name, to_text(call.args)) for call in self.tool_calls),
            (details.reasoning or 0) if details else 0,
            finish if isinstance(finish, str) else None,
        )


def openai(data: Any) -> Trajectory:
    """Read a list of chat messages, with native tool calls or with the actions written into the text."""
    messages = validated(list[ChatMessage], data, OPENAI)
    native = any(message.calls for message in messages)

    def events() -> Iterator[Said | Heard]:
        for message in messages:
            if message.role == "assistant":
                yield message.said(native)
            elif message.role not in ("system", "developer"):
                yield Heard(text_of(message.content))

    return Trajectory(issue_of(messages), turns_of(events()), None, "OpenAI messages")


def issue_of(messages: Iterable[ChatMessage]) -> str:
    """Return what was asked for: everything that users said before the model first spoke."""
    asked = []
    for message in messages:
        if message.role == "assistant":
            break
        if message.role == "user":
            asked.append(text_of(message.content))
    return "\n\n".join(asked)


def langgraph(data: Any) -> Trajectory:
    """Read the messages of a LangGraph state: message objects, or what they are dumped to."""
    found = [_plain(message) for message in _whole(data)] if isinstance(data, list | tuple) else data
    messages = validated(list[LangMessage], found, LANGGRAPH)
    spoken = next((place for place, each in enumerate(messages) if each.speaks), len(messages))
    issue = [_blocks(message.content) for message in messages[:spoken] if message.asks]
    last = messages[-1].said().finish if messages and messages[-1].speaks else None
    return Trajectory("\n\n".join(issue), turns_of(_lang_events(messages)), last, "LangGraph messages")


def _lang_events(messages: Iterable[LangMessage]) -> Iterator[Said | Heard]:
    for message in messages:
        if message.speaks:
            yield message.said()
        elif message.speaker not in SILENT:
            yield Heard(_blocks(message.content), True if message.status == "error" else None)


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
    if not isinstance(message, dict):
        return message
    if message.get("type") == "constructor":
        return message.get("kwargs")
    if isinstance(message.get("data"), dict):
        return {**message["data"], "type": message.get("type")}
    return {**message, "type": message["role"]} if "role" in message and "type" not in message else message


def _blocks(content: str | list[str | dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    words = (
        block
        if isinstance(block, str)
        else next((block[key] for key in ("text", "reasoning", "thinking") if key in block), "")
        for block in content
    )
    return "\n".join(word for word in words if isinstance(word, str) and word)

"""Chats: lists of messages as the OpenAI API takes them, and as LangGraph keeps them in its state."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby, takewhile
from typing import Any, Literal

from surefoot.agents.monitor.trajectory import Trajectory
from surefoot.errors import BadInput

from .log_entries import (
    Heard,
    LogSchema,
    Parts,
    Said,
    finish_reason,
    joined,
    reasoning_tokens,
    said_with,
    string,
    turns_of,
    validated,
)

OPENAI = "a list of chat messages with `role`, `content` and `tool_calls`"
LANGGRAPH = "a list of LangChain messages with `type` (human, ai, tool, system) and `content`"

SPEAKERS = frozenset(("ai", "AIMessageChunk", "assistant"))
"""What LangChain calls an answer of the model: whole, added up from a stream, or with a role instead of a type."""
ASKERS = frozenset(("human", "HumanMessageChunk", "user"))
HOLDS = frozenset(("content", "tool_calls", "additional_kwargs"))
"""Where an answer's words and calls are."""
STAYS = ("type", "id", "index", "role")
"""Fields of chunks that are said again, not added to."""
RESPONSES = "a list of items of the responses endpoint (messages, `reasoning`, `function_call`, `function_call_output`)"
ITEMS = frozenset(
    ("reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output")
)
"""Types of the responses endpoint's items that are no messages."""
SILENT = frozenset(("system", "SystemMessageChunk", "developer", "remove"))


class Role(LogSchema):
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
                yield from parts.heard(message)

    turns = turns_of(events())
    return Trajectory(issue_of(messages), turns, None, "OpenAI messages", parts.passed_over)


def of_responses(messages: Iterable[Any]) -> bool:
    """Whether a list is what was given to the responses endpoint, and came from it."""
    return any(
        isinstance(item, Mapping) and string(item.get("type")) in ITEMS and "role" not in item
        for item in messages
    )


def responses(data: Any) -> Trajectory:
    """Read items of the responses endpoint, as agents keep them: those of the model that follow each other are one answer."""
    items = validated(list[dict[str, Any]], data, RESPONSES)
    parts = Parts()

    def events() -> Iterator[Said | Heard]:
        for own, group in groupby(items, _of_the_model):
            told = list(group)
            if own:
                cut = "max_output_tokens" if told[-1].get("status") == "incomplete" else None
                yield said_with(parts.text(told), parts.called_in(told), 0, cut)
                continue
            for item in told:
                if "output" in item:
                    yield parts.result(item, item["output"])
                elif string(item.get("role")) not in SILENT:
                    yield from parts.heard(item)

    asked = issue_of(takewhile(lambda item: "role" in item, items))
    return Trajectory(asked, turns_of(events()), None, "OpenAI responses", parts.passed_over)


def _of_the_model(item: Mapping[str, Any]) -> bool:
    return item.get("role", "assistant") == "assistant" and not str(item.get("type")).endswith("_output")


def issue_of(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return what was asked for: everything that users said before the model first spoke."""
    asked = []
    for message in messages:
        if message["role"] == "assistant":
            break
        if message["role"] == "user":
            asked.append(Parts().text(message.get("content")))
    return "\n\n".join(asked)


class LangMessage(LogSchema):
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
    tool_call_id: Any = None

    @property
    def speaker(self) -> str:
        """The speaker: for a message of type `chat`, its role."""
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
        return string(told.get("finish_reason")) or string(told.get("stop_reason")) or finish_reason(told)

    def said(self, parts: Parts) -> Said:
        """Return an answer of the model as an event; a call whose arguments cannot be read is one, too."""
        more = self.additional_kwargs if isinstance(self.additional_kwargs, Mapping) else {}
        called = parts.calls(self.tool_calls) + parts.calls(self.invalid_tool_calls)
        return said_with(
            joined(parts.thought(more), parts.text(self.content)),
            called or parts.calls(more.get("tool_calls")) or parts.called_in(self.content),
            reasoning_tokens(self.usage_metadata),
            self.finish,
        )


def langgraph(data: Any) -> Trajectory:
    """Read the messages of a LangGraph state: message objects, or what they are dumped to."""
    found = list(_unchunked(map(_plain, _whole(data)))) if isinstance(data, list | tuple) else data
    messages = validated(list[LangMessage], found, LANGGRAPH)
    for place, message in enumerate(messages):
        # Of logs of another kind, whose answers lie one floor deeper, nothing would be left but empty turns.
        if message.speaks and message.model_fields_set.isdisjoint(HOLDS):
            raise BadInput(f"expected {LANGGRAPH}, but found an answer without `content` at '{place}'")
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
            told = {
                "content": message.content,
                "status": message.status,
                "tool_call_id": message.tool_call_id,
            }
            yield from parts.heard(told)


def _unchunked(messages: Iterable[Any]) -> Iterator[Any]:
    """The same for chunks that were dumped one by one."""
    for stream, group in groupby(messages, _dumped_stream):
        pieces = list(group)
        yield from [_added_up(pieces)] if stream and len(pieces) > 1 else pieces


def _dumped_stream(message: Any) -> str | None:
    chunk = isinstance(message, dict) and message.get("type") == "AIMessageChunk"
    return string(message.get("id")) if chunk else None


def _added_up(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """Make one answer of its chunks; its calls are read from their pieces."""
    whole: dict[str, Any] = _merged(pieces)
    lasting = {key: _last(pieces, key) for key in ("response_metadata", "usage_metadata")}
    called = whole.get("tool_call_chunks") or whole.get("tool_calls")
    return {**whole, **lasting, "tool_calls": called, "invalid_tool_calls": None}


def _last(pieces: list[dict[str, Any]], key: str) -> Any:
    return next((piece[key] for piece in reversed(pieces) if piece.get(key)), None)


def _merged(pieces: list[Any]) -> Any:
    """Add up what was streamed: texts and lists grow, and what has an index grows where that stands."""
    given = [piece for piece in pieces if piece is not None]
    if len(given) > 1 and all(isinstance(piece, str) for piece in given):
        return "".join(given)
    if len(given) > 1 and all(isinstance(piece, dict) for piece in given):
        fields: defaultdict[str, list[Any]] = defaultdict(list)
        for key, value in chain.from_iterable(piece.items() for piece in given):
            fields[key].append(value)
        return {key: _first(values) if key in STAYS else _merged(values) for key, values in fields.items()}
    if len(given) > 1 and all(isinstance(piece, list) for piece in given):
        places: defaultdict[Any, list[Any]] = defaultdict(list)
        for number, each in enumerate(chain.from_iterable(given)):
            index = each.get("index") if isinstance(each, dict) else None
            places[index if isinstance(index, int | str) else (number,)].append(each)
        return [_merged(values) for values in places.values()]
    return given[-1] if given else None


def _first(values: list[Any]) -> Any:
    return next((value for value in values if value is not None), None)


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

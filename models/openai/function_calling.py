"""Offers and calls on the wire: natively where a server has function calling, in words and fenced blocks where it has not.

Above the client there is one text form (`models.offers`).  Here an offer and a conversation become the fields of a request, and
the calls of an answer become text again.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pydantic_core import from_json, to_json

from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt
from surefoot.models.offers import CLOSES, OPENS, Call, Offer, read_calls, write_calls

from .call_deltas import SentCall, calls_of
from .failures import RequestRefused
from .messages import chat_message

UNREADABLE = "unreadable_call"
"""The name that a call without one goes by in a request, for there each has to have one."""
RAW = "raw"
"""The argument that holds what a model wrote in place of an object."""
BAD_REQUEST = (400, 422)

TOOL_CHOICE = re.compile(r"tool[_ ]choice", re.IGNORECASE)
"""A refusal that is about it says so."""
_NAME = re.compile(r"[^\w-]", re.ASCII)
_LONGEST_NAME = 64
_KIMI_ID = re.compile(r"functions\.[^:\s]+:\d+")

ToolChoice = Literal["auto", "required", "none"]
Returned = Mapping[str, object]
"""Fields of an assistant's message that hold its thoughts."""


@dataclass(frozen=True, slots=True)
class FunctionCalling:
    """How a server is offered tools."""

    native: bool
    required: bool = True
    """It takes `tool_choice` "required", and does as it says."""
    auto: bool = True
    """It takes `tool_choice` "auto"; vLLM without --enable-auto-tool-choice makes only calls that it must."""
    thoughts: Literal["kept", "owed", "refused"] = "kept"
    """Whether the thoughts of earlier answers go back: those that are there; an empty text for those that are lost, too; none."""
    kimi_ids: bool = False
    """The ids of its calls hold the name (`functions.NAME:0`), and its chat template has the name from there alone."""

    def of(self, offer: Offer) -> "FunctionCalling":
        """Return how this offer is made."""
        return self if self.auto or offer.choice == "required" else TEXT

    def notices(self) -> Iterator[str]:
        """Yield what a person should know about it, once it has been learnt from a refusal."""
        if not self.required:
            yield 'refuses tool_choice "required", which is said in words instead'
        if not self.auto:
            yield 'refuses tool_choice "auto": tools are offered in words where it is not "required"'
        if self.thoughts == "owed":
            yield "wants the thoughts before each call back: those that are no longer there go back empty"
        if self.thoughts == "refused":
            yield "refuses thoughts before calls: none go back to it"

    def corrected(self, refused: RequestRefused, said: Mapping[str, Any]) -> "Iterator[FunctionCalling]":
        """Yield what may help against the refusal of a request that said this, the likeliest first."""
        if "tools" not in said or refused.status not in BAD_REQUEST:
            return
        if TOOL_CHOICE.search(refused.words):
            if said["tool_choice"] == "required":
                yield replace(self, required=False)
            if said["tool_choice"] == "auto" and self.required:
                yield replace(self, auto=False)
        if "reasoning" not in refused.words:
            return
        if self.thoughts == "kept" and _calls_without_thoughts(said):
            yield replace(self, thoughts="owed")
        if self.thoughts != "refused" and returns_thoughts(said):
            yield replace(self, thoughts="refused")


def check_offer(prompt: Prompt, offer: Offer) -> None:
    """Raise `BadInput` for an offer that cannot be made."""
    if isinstance(prompt, str):
        raise BadInput("tools are offered in a conversation: give an ask with an offer messages, not a text")
    if not offer.tools:
        raise BadInput("an offer names at least one tool: leave it out where there is none")
    if offer.choice not in get_args(ToolChoice):
        raise BadInput(
            f"the choice of an offer is one of {', '.join(get_args(ToolChoice))}, not {offer.choice!r}"
        )
    for tool in offer.tools:
        if not is_object(tool.parameters):
            raise BadInput(
                f"the parameters of the tool {tool.name!r} are no JSON schema: {tool.parameters[:80]!r}"
            )


TEXT = FunctionCalling(native=False)
NATIVE = FunctionCalling(native=True)


def tool_fields(offer: Offer, calling: FunctionCalling) -> Iterator[tuple[str, object]]:
    """Yield the fields of a request that tell a server with function calling what it may call."""
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": from_json(tool.parameters)}
        for tool in offer.tools
    ]
    yield "tools", [{"type": "function", "function": function} for function in functions]
    yield "tool_choice", "auto" if offer.choice == "required" and not calling.required else offer.choice
    if not offer.parallel:
        yield "parallel_tool_calls", False


def native_messages(
    prompt: Sequence[Message],
    offer: Offer,
    calling: FunctionCalling,
    thoughts: Callable[[str], Returned | None] = lambda _: None,
) -> list[dict[str, object]]:
    """Return a conversation with its calls as fields of their own; raises `BadInput` if calls and results do not match.

    Ids go by position, and are nine letters and digits, as Mistral wants them.  `thoughts` returns what belongs to an answer.
    """
    if offer.choice == "required" and not calling.required:
        prompt = with_system(prompt, MUST_CALL)
    known = {tool.name for tool in offer.tools}
    said: list[dict[str, object]] = []
    waiting: list[str] = []
    number = 0
    for message in prompt:
        if message.role == "tool":
            if not waiting:
                raise BadInput("a message of the role `tool` follows no call that it could belong to")
            said.append({"role": "tool", "tool_call_id": waiting.pop(0), "content": message.content})
            continue
        _check_answered(waiting)
        if message.role != "assistant":
            said.append(chat_message(message))
            continue
        prose, calls = read_calls(message.content)
        own: dict[str, object] = {"role": "assistant", "content": message.content}
        if calls:
            sent = [_native_call(call, known, number + place, calling) for place, call in enumerate(calls)]
            waiting = [str(call["id"]) for call in sent]
            own = {"role": "assistant", "content": prose if prose.strip() else None, "tool_calls": sent}
            number += len(calls)
        said.append({**own, **_returned(thoughts(message.content), bool(calls), calling)})
    _check_answered(waiting)
    return said


def returns_thoughts(said: Mapping[str, Any]) -> bool:
    """Whether there are raw thoughts in what a request says."""
    return any(not _ALL_FIELDS.isdisjoint(message) for message in said.get("messages", ()))


def kimi_ids(calls: Sequence[SentCall]) -> bool:
    """Whether these are the calls of a server whose ids hold the name."""
    return bool(calls) and all(_KIMI_ID.fullmatch(call.id) for call in calls)


_ALL_FIELDS = {"reasoning", "reasoning_content", "reasoning_details"}


def _calls_without_thoughts(said: Mapping[str, Any]) -> bool:
    return any(
        "tool_calls" in message and _ALL_FIELDS.isdisjoint(message) for message in said.get("messages", ())
    )


def _returned(thoughts: Returned | None, calls: bool, calling: FunctionCalling) -> Returned:
    if calling.thoughts == "refused":
        return {}
    if thoughts is None:
        return {"reasoning_content": ""} if calls and calling.thoughts == "owed" else {}
    return thoughts


def _native_call(call: Call, known: set[str], number: int, calling: FunctionCalling) -> dict[str, object]:
    # A name that no API takes would have every later request refused, and so would arguments that are no object: llama.cpp
    # answers 500 to them, vLLM puts an empty object in their place.
    name = call.name if call.name in known else _NAME.sub("_", call.name)[:_LONGEST_NAME] or UNREADABLE
    arguments = call.arguments if is_object(call.arguments) else to_json({RAW: call.arguments}).decode()
    own = f"functions.{name}:{number}" if calling.kimi_ids else f"call{number:05d}"
    return {"id": own, "type": "function", "function": {"name": name, "arguments": arguments}}


def _check_answered(waiting: list[str]) -> None:
    if waiting:
        raise BadInput(
            f"{len(waiting)} of the calls in an assistant's message have no result: one message of the role `tool` a call "
            f"follows it, in their order"
        )


def is_object(arguments: str) -> bool:
    """Whether the arguments of a call are a whole JSON object."""
    if not arguments.lstrip().startswith("{"):
        return False
    try:
        from_json(arguments, allow_inf_nan=False)
    except ValueError:
        return False
    return True


# --- the text form ---

MUST_CALL = "In this answer you must call at least one of the tools."
_MUST_NOT = "In this answer you must not call a tool."
_ONE = "Write at most one such block in an answer, at its end."
_SEVERAL = (
    "Write such blocks at the end of an answer; for several calls, one after the other, write several blocks."
)


def text_messages(prompt: Sequence[Message], offer: Offer | None) -> tuple[Message, ...]:
    """Return a conversation for a server without function calling.

    The offer stands in the system message.  What calls came to is told by the user, in one message for all calls of an
    answer, since many chat templates want user and assistant to take turns.
    """
    if offer is not None:
        prompt = with_system(prompt, offered(offer))
    said: list[Message] = []
    calls: tuple[Call, ...] = ()
    results: list[str] = []

    def tell() -> None:
        if results:
            said.append(Message("user", "\n\n".join(results)))
            results.clear()

    for message in prompt:
        if message.role == "tool":
            which = len(results)
            name = calls[which].name if which < len(calls) else ""
            named = f"Result of call {which + 1}" + (f", {name}" if name else "")
            results.append(f"{named}:\n{message.content}")
            continue
        tell()
        calls = read_calls(message.content)[1] if message.role == "assistant" else ()
        said.append(message)
    tell()
    return tuple(said)


def offered(offer: Offer) -> str:
    """Return an offer in words: how to call, whether to, and each tool with its schema."""
    choice = {"required": MUST_CALL, "none": _MUST_NOT, "auto": ""}[offer.choice]
    tools = "\n\n".join(
        f"{tool.name}: {tool.description}\n{tool.parameters}"
        if tool.description
        else f"{tool.name}\n{tool.parameters}"
        for tool in offer.tools
    )
    example = _example(offer)
    told = [
        f"You can call tools. A call is a block of this form, with the name of a tool and a JSON object of its arguments:\n\n"
        f"{example}",
        " ".join(
            filter(None, (_SEVERAL if offer.parallel else _ONE, "The next message has the results.", choice))
        ),
        f"The tools, each with the JSON schema of its arguments:\n\n{tools}",
    ]
    return "\n\n".join(told)


def with_system(prompt: Sequence[Message], words: str) -> tuple[Message, ...]:
    """Return the conversation with this at the end of its system message."""
    if prompt and prompt[0].role in ("system", "developer"):
        first = prompt[0]
        content = f"{first.content}\n\n{words}" if first.content else words
        return (first._replace(content=content), *prompt[1:])
    return (Message("system", words), *prompt)


def _example(offer: Offer) -> str:
    """Return one call of the first tool, each required argument as a blank to be filled in."""
    if not offer.tools:
        return write_calls("", [Call("NAME", "{}")])
    schema = from_json(offer.tools[0].parameters)
    required = schema.get("required") if isinstance(schema, dict) else None
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    return write_calls(
        "", [Call(offer.tools[0].name, to_json({name: f"<{name}>" for name in names}).decode())]
    )


# --- answers ---


def text_with_calls(prose: str, sent: Sequence[SentCall], finish: str | None) -> str:
    """Return the text of an answer: its prose, then a block a call.

    What is cut off is no call: of an answer that did not end by itself only calls with a whole object of arguments are told, and
    a block that was not closed is left out.
    """
    whole = finish == "stop"
    if not whole:
        sent = [call for call in sent if is_object(call.arguments)]
        prose = _without_half_block(prose)
    if not sent:
        return prose
    if OPENS in prose:
        # A block of the text form that is not closed would swallow the first of the calls.
        prose, calls = read_calls(prose)
        return write_calls(prose, (*calls, *calls_of(sent)))
    return write_calls(prose, calls_of(sent))


def normal_end(finish: str | None) -> str | None:
    """Return why an answer to an offer ended: with calls is as good an end as any."""
    return "stop" if finish == "tool_calls" else finish


def _without_half_block(text: str) -> str:
    if OPENS not in text:
        return text
    begun: int | None = None
    at = 0
    for line in text.split("\n"):
        stripped = line.strip()
        if begun is None and stripped == OPENS:
            begun = at
        elif begun is not None and stripped == CLOSES:
            begun = None
        at += len(line) + 1
    return text if begun is None else text[:begun].rstrip("\n")

"""How the server double calls functions: its model's text, whose blocks become calls in fields of their own."""

from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Any

from pydantic_core import from_json

from surefoot.models.offers import Call, read_calls
from surefoot.voting.samples import Sample

from .replies import Body, choice, pieces
from .response_shapes import Quirk

PIECE = 5
"""Characters of arguments that are streamed at a time."""
TOOL_CALLS = "tool_calls"

ReplyChoice = dict[str, Any]


def refused_tools(body: Body, quirks: Collection[Quirk]) -> str:
    """Return why a request with tools is refused, in the words of servers that do; "" if it is not."""
    if body.tools and "no tools" in quirks:
        return "tools is not supported by this model"
    if body.tools and body.tool_choice == "required" and "no required" in quirks:
        return 'tool_choice "required" is not supported in thinking mode'
    for message in body.messages or ():
        if message.tool_calls and "thoughts back" in quirks and message.reasoning_content is None:
            return "The reasoning_content in the thinking mode must be passed back to the API."
        if message.reasoning_content is not None and "no thoughts back" in quirks:
            return "property 'messages.1.reasoning_content' is unsupported"
    return ""


def called(body: Body, index: int, sample: Sample, quirks: Collection[Quirk] = ()) -> ReplyChoice | None:
    """Return the choice of an answer with calls; None if it has none, or none was offered."""
    prose, calls = _calls(body, sample, quirks)
    if not calls:
        return None
    said = [_entry(call, place, quirks, index) for place, call in enumerate(calls)]
    message: dict[str, Any] = {"role": "assistant", "content": prose or None}
    if "function_call" in quirks:
        message["function_call"] = said[0]["function"]
    else:
        message[TOOL_CALLS] = said
    if thought := _thought(sample, quirks):
        message["reasoning_content"] = thought
    return {"index": index, "finish_reason": _finish(sample, quirks), "message": message}


def called_pieces(
    body: Body, samples: Sequence[Sample], quirks: Collection[Quirk] = ()
) -> Iterator[ReplyChoice]:
    """Yield the choices of a stream of answers to an offer."""
    for index, sample in enumerate(samples):
        prose, calls = _calls(body, sample, quirks)
        if not calls:
            for piece in pieces(body, [sample]):
                yield {**piece, "index": index}
            continue
        if thought := _thought(sample, quirks):
            yield _delta(index, {"reasoning_content": thought[:3]})
            yield _delta(index, {"reasoning_content": thought[3:]})
        if prose:
            yield choice(body, index, prose, None)
        for place, call in enumerate(calls[:1] if "function_call" in quirks else calls):
            for piece in _call_pieces(_entry(call, place, quirks, index), place, quirks):
                if "function_call" in quirks:
                    yield _delta(index, {"function_call": piece["function"]})
                else:
                    yield _delta(index, {TOOL_CALLS: [piece]})
        yield {**_delta(index, {}), "finish_reason": _finish(sample, quirks)}


def _calls(body: Body, sample: Sample, quirks: Collection[Quirk]) -> tuple[str, tuple[Call, ...]]:
    if body.tools is None or body.tool_choice == "none":
        return sample.text, ()
    prose, calls = read_calls(sample.text)
    calls = tuple(call for call in calls if call.name)
    if not calls and body.tool_choice == "required" and "ignores required" not in quirks:
        # What makes a server heed it is a grammar, which leaves a model no choice.
        return "", (Call(body.tools[0].function.name, "{}"),)
    return prose, calls if body.parallel_tool_calls else calls[:1]


def _entry(call: Call, place: int, quirks: Collection[Quirk], index: int) -> dict[str, Any]:
    arguments: object = "" if call.arguments == "{}" and "empty arguments" in quirks else call.arguments
    if "object arguments" in quirks:
        arguments = from_json(call.arguments)
    own = "call_" + blake2b(f"{index} {place} {call}".encode(), digest_size=8).hexdigest()
    return {"id": own, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _call_pieces(entry: dict[str, Any], place: int, quirks: Collection[Quirk]) -> Iterator[dict[str, Any]]:
    number = {} if "calls without index" in quirks else {"index": 0 if "one index" in quirks else place}
    name, arguments = entry["function"]["name"], entry["function"]["arguments"]
    if "whole calls" in quirks or not isinstance(arguments, str):
        yield {**number, **entry}
        return
    first = {**number, "type": "function", "function": {"name": name, "arguments": ""}}
    yield first if "late ids" in quirks else {**first, "id": entry["id"]}
    again = {"name": name} if "names again" in quirks else {}
    parts = [arguments[at : at + PIECE] for at in range(0, len(arguments), PIECE)]
    for part in parts:
        last = {"id": entry["id"]} if "late ids" in quirks and part is parts[-1] else {}
        yield {**number, **last, "function": {**again, "arguments": part}}


def _delta(index: int, delta: dict[str, Any]) -> ReplyChoice:
    return {"index": index, "finish_reason": None, "delta": delta}


def _thought(sample: Sample, quirks: Collection[Quirk]) -> str:
    wanted = "thoughts back" in quirks or "no thoughts back" in quirks
    return f"Thought {blake2b(sample.text.encode(), digest_size=4).hexdigest()}." if wanted else ""


def _finish(sample: Sample, quirks: Collection[Quirk]) -> str | None:
    if sample.finish != "stop":
        return sample.finish
    return "function_call" if "function_call" in quirks else TOOL_CALLS

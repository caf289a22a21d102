"""What all readers share: a log as what was said and what was heard, and turns made of that.

A log is refused if it has not the shape of its format.  An odd value inside a message costs no more than itself: it is
passed over and counted (`Parts`), for servers and frameworks add parts all the time.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from surefoot.agents.monitor.failures import tells_failure
from surefoot.agents.monitor.trajectory import Action, Turn, action, turn
from surefoot.errors import BadInput

from .text_actions import to_text, written_actions

T = TypeVar("T")

PLACE = re.compile(r"\d+|[a-z_]+")
"""What of a place that pydantic names is a key or an index, and no type."""
WORDS = ("summary", "reasoning", "thinking", "text", "content", "refusal", "value")
"""Where the words of a part may stand; a list or an object there holds parts itself."""
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
"""Where the thoughts of a message may stand, apart from its text; the first that holds any counts, for some repeat others."""
UNREADABLE = frozenset(
    ("image", "image_url", "input_image", "input_audio", "audio", "document", "file", "input_file")
)
CALLS = frozenset(
    ("tool_use", "tool_call", "function_call", "custom_tool_call", "invalid_tool_call", "server_tool_use")
)
ARGUMENTS = ("arguments", "args", "input", "parameters")
RESULTS = ("tool_result", "mcp_tool_result")
"""Parts of a message that are results of calls, as Anthropic has them."""
NAMES_A_CALL = ("tool_call_id", "tool_use_id", "call_id")
"""Where a result says which call it is of."""
DEEPEST = 16
"""Parts within parts that are looked into."""
CUT = frozenset(("length", "max_tokens", "max_output_tokens"))


class LogSchema(BaseModel):
    """A shape of another program's file: strict about what is read, tolerant of the rest."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Said(NamedTuple):
    """An answer of the model."""

    thought: str
    actions: tuple[Action, ...] = ()
    reasoning_tokens: int = 0
    finish: str | None = None
    ids: tuple[str | None, ...] = ()
    """What the log calls each of the actions, where it has names for them."""


class Called(NamedTuple):
    """A call of a tool, and the name by which its result refers to it."""

    action: Action
    id: str | None


class Heard(NamedTuple):
    """What came back: the result of a tool, or a message."""

    text: str
    failed: bool | None = None
    """What the log says of it, if it does."""
    code: int | None = None
    """The exit code beside it."""
    printed: str | None = None
    """What the command printed, where the text is that and more."""
    call: str | None = None
    """The name of the call that it is the result of."""


class Parts:
    """Reads the values inside messages, of any type, and counts those that it cannot use."""

    def __init__(self) -> None:
        self.passed_over = 0

    def text(self, content: Any, depth: int = 0) -> str:
        """Return what a content says: a string, a part, or a list of them; a part without text is named or passed over."""
        if content is None or isinstance(content, str):
            return content or ""
        if isinstance(content, Mapping) and depth < DEEPEST:
            return self._part(content, depth + 1)
        if isinstance(content, list | tuple) and depth < DEEPEST:
            return "\n".join(filter(None, (self.text(part, depth + 1) for part in content)))
        self.passed_over += 1
        return ""

    def _part(self, part: Mapping[str, Any], depth: int) -> str:
        kind = string(part.get("type"))
        told = [self.text(part[key], depth) for key in WORDS if part.get(key) is not None]
        if not told and kind in UNREADABLE:
            return f"[{kind}]"
        if not told and kind not in CALLS and not any(key in part for key in WORDS):
            self.passed_over += 1
        return "\n".join(filter(None, told))

    def thought(self, message: Mapping[str, Any]) -> str:
        """Return the thoughts that a message keeps apart from its text."""
        found = (self.text(message[key]) for key in THOUGHTS if message.get(key) is not None)
        return next(filter(None, found), "")

    def heard(self, message: Mapping[str, Any]) -> list[Heard]:
        """Return what a message brings back: one thing, or a result for each of several calls."""
        content = message.get("content")
        parts = content if isinstance(content, list | tuple) else ()
        results = [part for part in parts if _is_result(part)]
        if not results:
            return [self.result(message, content)]
        rest = self.text([part for part in parts if not _is_result(part)])
        return [self.result(part, part.get("content")) for part in results] + ([Heard(rest)] if rest else [])

    def result(self, message: Mapping[str, Any], content: Any) -> Heard:
        """Return the result of one call, with what the log itself says of how it went."""
        text, error = self.text(content), message.get("error")
        why = error.get("message") if isinstance(error, Mapping) else error
        if isinstance(why, str) and why not in text:
            text = joined(text, why)
        failed = message.get("is_error") is True or message.get("status") == "error" or bool(error)
        name = next((found for key in NAMES_A_CALL if (found := string(message.get(key)))), None)
        return Heard(text, True if failed else None, call=name)

    def calls(self, entries: Any) -> tuple[Called, ...]:
        """Return the calls in a list of them, in the forms of OpenAI's endpoints, LangChain and Anthropic."""
        if entries is None:
            return ()
        if not isinstance(entries, list | tuple):
            self.passed_over += 1
            return ()
        return tuple(called for entry in entries if (called := self._call(entry)))

    def _call(self, entry: Any) -> Called | None:
        if isinstance(entry, Mapping):
            function = entry.get("function")
            bare = {**entry, "name": function} if isinstance(function, str) else entry  # Inspect's form
            for inner in (function, entry.get("custom"), bare):
                if isinstance(inner, Mapping) and isinstance(name := inner.get("name"), str):
                    given = next((inner[key] for key in ARGUMENTS if inner.get(key) is not None), "")
                    # The responses endpoint numbers its items, too: results refer to the other name.
                    own = string(entry.get("call_id")) or string(entry.get("id"))
                    return Called(action(name, to_text(given)), own)
        self.passed_over += 1
        return None

    def called_in(self, content: Any) -> tuple[Called, ...]:
        """Return the calls among the parts of a content."""
        if not isinstance(content, list | tuple):
            return ()
        return self.calls(
            [part for part in content if isinstance(part, Mapping) and string(part.get("type")) in CALLS]
        )

    def answer(self, message: Mapping[str, Any], written: bool = False) -> Said:
        """Return a message of the chat endpoint as what was said; `written`: without calls they are looked for in its text."""
        thought, text = self.thought(message), self.text(message.get("content"))
        called = self.calls(message.get("tool_calls"))
        if message.get("function_call") is not None:
            called += self.calls([message["function_call"]])
        called = called or self.called_in(message.get("content"))
        if written and not called:
            text, found = written_actions(text, told_apart=bool(thought))
            return Said(joined(thought, text), found)
        return said_with(joined(thought, text), called)

    def reply(self, data: Any, written: bool = False) -> Said | None:
        """Return the raw answer of a server as what was said: of the chat endpoint or of the responses endpoint; else None."""
        if not isinstance(data, Mapping):
            return None
        tokens = reasoning_tokens(data.get("usage"))
        if isinstance(output := data.get("output"), list):
            said = said_with(self.text(output), self.called_in(output))
            return said._replace(reasoning_tokens=tokens, finish=finish_reason(data))
        choices = data.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, Mapping):
            return None
        message = first.get("message")
        said = self.answer(message, written) if isinstance(message, Mapping) else Said("")
        return said._replace(reasoning_tokens=tokens, finish=string(first.get("finish_reason")))


def _is_result(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in RESULTS


def said_with(thought: str, called: tuple[Called, ...], tokens: int = 0, finish: str | None = None) -> Said:
    """Return an answer that makes these calls."""
    actions, ids = tuple(each.action for each in called), tuple(each.id for each in called)
    return Said(thought, actions, tokens, finish, ids)


def finish_reason(data: Mapping[str, Any]) -> str | None:
    """Return the word of the responses endpoint for why an answer ended."""
    details = data.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    return string(reason) or string(data.get("status"))


def reasoning_tokens(usage: Any) -> int:
    """Return the reasoning tokens that a server counted, or 0."""
    for name in ("completion_tokens_details", "output_tokens_details", "output_token_details"):
        details = usage.get(name) if isinstance(usage, Mapping) else None
        for key in ("reasoning_tokens", "reasoning"):
            found = details.get(key) if isinstance(details, Mapping) else None
            if isinstance(found, int) and 0 <= found < 1 << 53:
                return int(found)
    return 0


def string(value: Any) -> str | None:
    """Return a value if it is a string, for fields that may hold anything."""
    return value if isinstance(value, str) and value else None


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Make the validator of a kind once: making it takes as long as reading ten messages, and a live run is read turn by turn."""
    return TypeAdapter(kind)


def validated(kind: type[T], data: Any, expected: str) -> T:
    """Return `data` as `kind`, or raise `BadInput` with what was expected and where something else was found.

    Of what was found only the type is named: anything in a log may be a thought.
    """
    try:
        found: T = _adapter(kind).validate_python(data)  # type: ignore[arg-type]  # every type is hashable
    except ValidationError as error:
        # Of a union every branch complains: the one that got furthest is the one that was meant.
        first = max(error.errors(), key=lambda each: len(each["loc"]))
        where = ".".join(
            str(place) for place in first["loc"] if PLACE.fullmatch(str(place)) and place != "str"
        )
        found_type = type(first["input"]).__name__
        raise BadInput(
            f"expected {expected}, but found a {found_type} at {where or 'the top'!r}: {first['msg']}"
        ) from None
    return found


def joined(*texts: str | None) -> str:
    """Return reasoning and visible text as one thought."""
    return "\n\n".join(text for text in texts if text)


def turns_of(events: Iterable[Said | Heard]) -> tuple[Turn, ...]:
    """Make turns; what is heard before the model first speaks is left out.

    A log that ends with an answer that calls no tool and was not cut off ends with the action `answer`: the agent is done.
    """
    turns: list[Turn] = []
    said: Said | None = None
    heard: list[Heard] = []
    for event in events:
        if isinstance(event, Heard):
            heard.append(event)
            continue
        if said is not None:
            turns.append(_turn(said, heard))
        said, heard = event, []
    if said is not None:
        if not said.actions and not heard and said.finish not in CUT and said.thought:
            said = said._replace(actions=(action("answer"),))
        turns.append(_turn(said, heard))
    return tuple(turns)


def _turn(said: Said, heard: list[Heard]) -> Turn:
    observation = "\n\n".join(each.text for each in heard) if heard else None
    results = map(_failed, heard, _answered(said, heard))
    return turn(
        said.thought, said.actions, observation, any(results) if heard else None, said.reasoning_tokens
    )


def _answered(said: Said, heard: list[Heard]) -> list[tuple[Action, ...]]:
    """Return of which calls each thing heard is the result: by name, for parallel ones end in any order, or else by place.

    A command that comes with another's result is judged by both.
    """
    named = dict(zip(said.ids, said.actions, strict=True)) if len(said.ids) == len(said.actions) else {}
    known = named if None not in named and len(named) == len(said.actions) else {}
    if any(each.call in known for each in heard):
        return [(known[each.call],) if each.call in known else said.actions for each in heard]
    paired = len(heard) == len(said.actions)
    return [(call,) for call in said.actions] if paired else [said.actions] * len(heard)


def _failed(heard: Heard, calls: Sequence[Action]) -> bool:
    if heard.failed is not None:
        return heard.failed
    return tells_failure(heard.text if heard.printed is None else heard.printed, calls, heard.code)

"""How the server double tells an answer: as the OpenAI API says, or with the manners of servers that one meets."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from .replies import Body

_MARK = b"\xef\xbb\xbf"

Quirk = Literal[
    "no done",
    "no index",
    "pings",
    "usage apart",
    "no usage",
    "odd usage",
    "blocks",
    "odd reasoning",
    "stray tag",
    "streams",
    "bare list",
    "no list",
    "no single tokens",
    "no logprobs",
    "comments",
    "mark",
    "message so far",
    "no tools",
    "no required",
    "ignores required",
    "whole calls",
    "calls without index",
    "names again",
    "late ids",
    "one index",
    "object arguments",
    "empty arguments",
    "function_call",
    "thoughts back",
    "no thoughts back",
]
"""`no done`: streams end without [DONE].  `no index`: choices have no number.  `pings`: other frames come between, the first
before anything else.  `usage apart`: it comes in a chunk without choices.  `odd usage`: numbers that no count of tokens can be.
`blocks`: the content of a message is a list.  `odd reasoning`: thoughts in a field of their own, as an object, before answers
that have none.  `stray tag`: thoughts are told apart, and a closing tag is left over at the end of the answer.  `streams`: also where no stream was asked for.
`bare list`, `no list`: of models.  `no single tokens`: a limit below 16 tokens is refused, as thinking servers do.
`no logprobs`: requests for log-probabilities are refused.
`comments`: before JSON, and as data before each event.  `mark`: a byte order mark before everything.  `message so far`: beside each delta.

Of calls: `no tools`: any offer is refused.  `no required`, `ignores required`: as `tool_choice`.  Of their streams: `whole calls`: each in one
piece; `calls without index`; `names again`: with every piece; `late ids`: with the last piece; `one index`: all calls have index 0;
`object arguments`: as JSON and not as a text of JSON; `empty arguments`: none where there are none; `function_call`: the API's first
form, of one call.  `thoughts back`: answers with calls have thoughts, without which they are refused when they come back, as DeepSeek does;
`no thoughts back`: they have thoughts, and are refused with them."""


@dataclass(frozen=True, slots=True)
class Manner:
    """What is odd about all that a server says."""

    quirks: frozenset[Quirk] = frozenset()
    finishes: Mapping[str, str] = field(default_factory=dict)
    """Its own words for `stop` and `length`."""


class Telling:
    """One answer: a name of its own, and each piece in the form of its endpoint."""

    def __init__(self, body: Body, manner: Manner) -> None:
        self._quirks, self._finishes = manner.quirks, manner.finishes
        self._chat = body.messages is not None
        self._streams = body.stream
        self._begun: set[object] = set()
        self._so_far: dict[object, str] = {}
        kind = ("chat.completion" if self._chat else "text_completion") + (
            ".chunk" if self._chat and self._streams else ""
        )
        name = ("chatcmpl-" if self._chat else "cmpl-") + secrets.token_hex(12)
        self._head = {"id": name, "object": kind, "created": int(time.time()), "model": body.model}

    def whole(self, choices: list[dict[str, Any]], usage: dict[str, object]) -> web.Response:
        """Return the answer in one piece."""
        said = {**self._head, "choices": [self._odd(choice) for choice in choices], **self._usage(usage)}
        before = (_MARK if "mark" in self._quirks else b"") + (
            b": still here\n\n" if "comments" in self._quirks else b""
        )
        return web.Response(body=before + json.dumps(said).encode(), content_type="application/json")

    def piece(self, choice: dict[str, Any], so_far: dict[str, object] | None = None) -> bytes:
        """Return the event that tells a piece of one choice, with the usage so far if that is wanted."""
        before = _MARK if "mark" in self._quirks and not self._begun else b""
        if "comments" in self._quirks:
            before += b"data: : still here\n\n"
        first = choice["index"] not in self._begun
        self._begun.add(choice["index"])
        if first and "delta" in choice:
            choice = {**choice, "delta": {"role": "assistant", **choice["delta"]}}
        said = _event(
            {**self._head, "choices": [self._odd(choice, first)], **(self._usage(so_far) if so_far else {})}
        )
        if "pings" not in self._quirks:
            return before + said
        return before + b'data: {"type": "ping"}\n\n: still here\n\ndata: null\n\ndata:\n\n' + said

    def end(self, usage: dict[str, object]) -> bytes:
        """Return the events after the last piece."""
        counted = self._usage(usage)
        if counted and "usage apart" in self._quirks:
            last = _event(counted)
        else:
            last = _event({**self._head, "choices": [], **counted}) if counted else b""
        return last if "no done" in self._quirks else last + b"data: [DONE]\n\n"

    def _odd(self, choice: dict[str, Any], first: bool = True) -> dict[str, Any]:
        choice = dict(choice)
        finish = choice["finish_reason"]
        choice["finish_reason"] = self._finishes.get(finish, finish)
        if "no index" in self._quirks:
            del choice["index"]
        where = next((name for name in ("message", "delta") if name in choice), None)
        if "stray tag" in self._quirks:
            choice = _with_stray_tag(choice, where, first, bool(finish))
        if where and "odd reasoning" in self._quirks and first:
            choice[where] = {**choice[where], "reasoning": {"type": "summary", "text": "hm"}}
        if where == "delta" and "message so far" in self._quirks:
            told = self._so_far.get(choice["index"], "") + (choice["delta"].get("content") or "")
            self._so_far[choice["index"]] = told
            choice["message"] = {"role": "assistant", "content": told}
        if where and "blocks" in self._quirks and choice[where].get("content"):
            choice[where] = {**choice[where], "content": [{"type": "text", "text": choice[where]["content"]}]}
        return choice

    def _usage(self, usage: dict[str, object]) -> dict[str, object]:
        if "no usage" in self._quirks:
            return {}
        return {
            "usage": {**usage, "completion_tokens": 2**63, "prompt_tokens": -1}
            if "odd usage" in self._quirks
            else usage
        }


def _with_stray_tag(choice: dict[str, Any], where: str | None, first: bool, last: bool) -> dict[str, Any]:
    left_over = "</think>" if last else ""
    if where is None:
        return {**choice, "text": ("<think>hm</think>" if first else "") + choice["text"] + left_over}
    words = choice[where]
    words = {**words, "content": (words.get("content") or "") + left_over}
    return {**choice, where: {**words, "reasoning_content": "hm"} if first else words}


def _event(chunk: dict[str, object]) -> bytes:
    """Return a server-sent event."""
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"

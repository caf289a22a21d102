"""What a server says went wrong: beside an error status, in place of an answer with status 200, or in the middle of a stream."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from surefoot.printable import printable

from .json_text import parsed
from .limits import ResponseTooLarge

MESSAGE_CHARACTERS = 300
"""How much of a server's own error message is quoted."""
LOOKED_AT = 20_000
"""Characters of it that are looked at."""

_NO_ERROR = ("", "0", "200", "none", "null", "ok", "success")
"""Gateways send `"error": {"code": 0, "message": "success"}` with an answer."""
_CODES = ("code", "status", "status_code", "http_code")
_WORDS = ("message", "msg", "detail", "error_msg", "error_message", "reason", "title")


class ReportedError(NamedTuple):
    """An error that a server reports."""

    said: str
    """Its own words, the first `LOOKED_AT` characters, raw: `quoted` makes them fit to be shown."""
    status: int | None = None
    """As HTTP numbers them, where the server says so."""
    kind: str = ""
    """Its type and its code, one word each; they quote nothing of what was asked."""
    all: str = ""
    """All that it says, raw and of bounded length, to search for words."""


class FailureReported(ValueError):
    """A server reported a failure where its answer should be."""

    def __init__(self, failure: ReportedError) -> None:
        super().__init__(failure.said)
        self.failure = failure


def failure_in(said: object) -> ReportedError | None:
    """Return the failure that a JSON value with no answer beside it reports, or one with an `error`; None if it reports none.

    The usual shapes are `{"error": {"message", "type", "code"}}`, `{"error": "words"}`, `{"object": "error", "message"}`,
    `{"type": "error", "error": ...}`, `{"detail": "words"}`, `{"errors": [...]}`, each of them also in a list.
    """
    if isinstance(said, list) and said:
        said = said[0]
    if not isinstance(said, dict):
        return None
    error = said.get("error") or said.get("errors")
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict):
        found = failure_of({**_beside(said), **error})
        return None if found.said.strip().lower() in _NO_ERROR and found.kind.lower() in _NO_ERROR else found
    if error and isinstance(error, str | bool):
        return failure_of(
            {**_beside(said), "message": error if isinstance(error, str) else said.get("message")}
        )
    if "choices" in said:
        return None
    alone = said.get("object") == "error" or said.get("type") == "error" or "detail" in said
    return failure_of(said) if alone or _number(said) is not None else None


def failure_of(error: object) -> ReportedError:
    """Return the failure that an error says, a JSON value."""
    if not isinstance(error, dict):
        said = error[:LOOKED_AT] if isinstance(error, str) else ""
        return ReportedError(said, all=said)
    said = next((words for name in _WORDS if (words := _text(error.get(name)))), "")
    kinds = [kind for name in ("type", "code") if isinstance(kind := error.get(name), str) and _is_word(kind)]
    everything = json.dumps(error, default=str)[:LOOKED_AT]
    return ReportedError(said[:LOOKED_AT], _number(error), " ".join(kinds), everything)


def failure_in_body(body: bytes, status: int | None = None) -> ReportedError:
    """Return what the body of an error says, JSON in any shape or plain text; a web page says nothing."""
    try:
        said = parsed(body)
    except (ResponseTooLarge, ValueError):
        text = body.decode(errors="replace").strip()
        return ReportedError("" if text.startswith("<") else text[:LOOKED_AT], status, all=text[:LOOKED_AT])
    found = failure_in(said) or failure_of(said)
    return found if status is None else found._replace(status=status)


def quoted(text: str) -> str:
    """Return a server's words as they may be quoted: on one line, nothing in them hidden, of bounded length."""
    return printable(" ".join(text[:LOOKED_AT].split())[:MESSAGE_CHARACTERS])[:MESSAGE_CHARACTERS]


def _beside(said: Mapping[object, object]) -> dict[object, object]:
    """Return what may stand beside an `error` and belongs to it."""
    return {name: said[name] for name in ("message", *_CODES) if name in said}


def _text(words: object) -> str:
    """Return words that may lie in a list (FastAPI's `detail`) or an object."""
    for _ in range(3):
        if isinstance(words, list) and words:
            words = words[0]
        elif isinstance(words, dict):
            words = words.get("msg") or words.get("message")
    return words if isinstance(words, str) else ""


def _number(error: Mapping[object, object]) -> int | None:
    """Return the first HTTP status of an error among its codes, also as a string."""
    for name in _CODES:
        code = error.get(name)
        if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdigit():
            code = int(code)
        if isinstance(code, int) and 400 <= code < 600:
            return code
    return None


def _is_word(kind: str) -> bool:
    return len(kind) <= 60 and kind.replace(".", "_").replace("-", "_").isidentifier()

"""From the command line to how a model server is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import surefoot
from surefoot.errors import BadInput
from surefoot.models.keys import key_in

LIMITS = ("max_tokens", "max_completion_tokens")


def key(api_key: str | None, file: Path | None) -> str | None:
    """Return the key: that of the file if there is one, or else the given one."""
    return api_key if file is None else key_in(file)


def client_options(chat_limit: str | None, fields: Sequence[str] | None) -> surefoot.Options:
    """Return the client's options; raises `BadInput` for what cannot be one."""
    if chat_limit is not None and chat_limit not in LIMITS:
        raise BadInput(f"--chat-limit is one of {', '.join(LIMITS)}, not {chat_limit!r}")
    limit = cast(Literal["max_tokens", "max_completion_tokens"], chat_limit or LIMITS[0])
    return surefoot.Options(chat_limit=limit, extra=dict(map(_field, fields or ())))


def _field(said: str) -> tuple[str, Any]:
    name, equals, value = said.partition("=")
    if not name or not equals:
        raise BadInput(f"--option is NAME=VALUE, such as top_k=0, not {said!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

"""Thoughts that a server wants back: kept in memory, by the text of the answer that they belong to, and for one client alone.

DeepSeek and Kimi refuse a conversation whose answers with calls come back without their thoughts, and vLLM (0.32) hands them to
the chat template, which for models that think between calls has a use for them.  Where they came they go back, field by
field: `reasoning_content` (DeepSeek, Kimi, llama.cpp), `reasoning` (vLLM), `reasoning_details` (OpenRouter).
"""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b

from pydantic_core import to_json

from surefoot.models.base import Prompt

from .json_text import whole_characters

MOST_BYTES = 32 << 20
"""Of all that is kept; what was not used for longest goes first."""
FIELDS = ("reasoning_content", "reasoning", "reasoning_details")
_GROW = ("text", "summary", "data")
"""Texts of an item that come in pieces."""


_Key = tuple[bytes, str]


def opening(prompt: Prompt) -> bytes:
    """Return what a conversation is known by: how it begins, for two may have an answer of the same text."""
    begun = blake2b(digest_size=16)
    for message in prompt:
        if isinstance(message, str) or message.role == "assistant":
            break
        begun.update(f"{len(message.content)} {message.role} {message.content}".encode(errors="replace"))
        for picture in message.pictures:
            begun.update(picture.digest.encode())
    return begun.digest()


class KeptThoughts:
    """What the answers of one server were preceded by."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[_Key, tuple[int, Mapping[str, object]]] = OrderedDict()

    def keep(self, begun: bytes, text: str, thoughts: Mapping[str, object]) -> None:
        """Remember the thoughts before an answer of this very text in the conversation that opens so (`opening`)."""
        key = begun, text
        self._forget(key)
        try:
            size = len(text) + len(to_json(thoughts))
        except ValueError:  # no JSON can hold it, so that it cannot be sent back
            return
        if not thoughts or size > self._most:
            return
        self._kept[key] = size, thoughts
        self._bytes += size
        while self._bytes > self._most:
            self._forget(next(iter(self._kept)))

    def of(self, begun: bytes, text: str) -> Mapping[str, object] | None:
        """Return what was kept; None if nothing was, or no longer."""
        found = self._kept.get((begun, text))
        if found is None:
            return None
        self._kept.move_to_end((begun, text))
        return found[1]

    def __repr__(self) -> str:
        """Show no text."""
        return f"KeptThoughts({len(self._kept)} answers, {self._bytes} bytes)"

    def _forget(self, key: _Key) -> None:
        size, _ = self._kept.pop(key, (0, None))
        self._bytes -= size


class ThoughtsSoFar:
    """Puts together the fields of one answer that hold thoughts; they come whole or in pieces."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._details: list[dict[str, object]] = []

    def add(self, message: Mapping[str, object], whole: bool) -> None:
        """Take in a message or a piece of one; `whole`: all that came before is in it."""
        for name in FIELDS[:2]:
            if isinstance(said := message.get(name), str):
                pieces = self._texts.setdefault(name, [])
                if whole:
                    pieces.clear()
                pieces.append(said)
        details = message.get(FIELDS[2])
        if isinstance(details, list):
            if whole:
                self._details.clear()
            for item in details:
                if isinstance(item, dict):
                    self._add_detail(item)

    def all(self) -> dict[str, object]:
        """Return the fields as they are to be sent back: the details alone where there are any, for they hold the rest."""
        if self._details:
            return {FIELDS[2]: [_joined(item) for item in self._details]}
        return {name: whole_characters("".join(pieces)) for name, pieces in self._texts.items()}

    def _add_detail(self, item: Mapping[str, object]) -> None:
        last = self._details[-1] if self._details else None
        goes_on = (
            last is not None
            and "index" in item
            and all(last.get(key) == item.get(key) for key in ("index", "type"))
        )
        if last is None or not goes_on:
            last = {}
            self._details.append(last)
        for key, value in item.items():
            if key in _GROW and isinstance(value, str):
                pieces = last.setdefault(key, _Pieces())
                if isinstance(pieces, _Pieces):
                    pieces.append(value)
            elif value is not None or key not in last:
                last[key] = value


class _Pieces(list[str]):
    """Pieces of a text, joined at the end."""


def _joined(item: Mapping[str, object]) -> dict[str, object]:
    return {key: "".join(value) if isinstance(value, _Pieces) else value for key, value in item.items()}

"""Calls of functions as servers send them: whole, or in pieces that have to be put together.

The API says that pieces of a call share an index, and that its id and name come once, with the first.  Servers send whole calls
at once, leave the index out or give all calls the same, repeat the name, send the id later, and arguments that are no text.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic_core import to_json

from surefoot.models.offers import Call

from .json_text import whole_characters
from .limits import ResponseTooLarge

MOST_CALLS = 1000
"""Of one answer."""
FUNCTION_CALL = "function_call"
"""The field of the API's first form, which has one call and no id."""


class CallDelta(NamedTuple):
    """A piece of a call."""

    index: int | None  # type: ignore[assignment]  # it is never searched for a value
    id: str
    name: str
    arguments: str
    place: int = 0
    """Which one it is among those of its chunk."""


class SentCall(NamedTuple):
    """A call as the server has sent it."""

    name: str
    arguments: str
    """"" where there are none."""
    id: str = ""


def deltas_in(message: Mapping[str, object], whole: bool) -> tuple[CallDelta, ...]:
    """Return the pieces of calls in a message; `whole`: they are no pieces, so that each is a call of its own."""
    found = message.get("tool_calls")
    entries = found if isinstance(found, list) else []
    deltas = [_delta(entry, place, whole) for place, entry in enumerate(entries) if isinstance(entry, dict)]
    if not deltas and isinstance(legacy := message.get(FUNCTION_CALL), dict):
        deltas = [_delta({"function": legacy}, 0, whole)]
    return tuple(deltas)


def _delta(entry: Mapping[str, object], place: int, whole: bool) -> CallDelta:
    said = entry.get("function")
    function = said if isinstance(said, dict) else {}
    index, name, own = entry.get("index"), function.get("name"), entry.get("id")
    if isinstance(index, str) and len(index) < 10 and index.isdecimal():
        index = int(index)
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else to_json(arguments).decode()
    return CallDelta(
        place if whole else index if type(index) is int else None,
        own if isinstance(own, str) else "",
        name.strip() if isinstance(name, str) else "",
        arguments,
        place,
    )


class CallsSoFar:
    """Puts the calls of one choice together, in time linear in what comes."""

    def __init__(self) -> None:
        self._calls: list[_Growing] = []
        self._latest: dict[int, _Growing] = {}
        self._by_id: dict[tuple[int | None, str], _Growing] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, deltas: Iterable[CallDelta]) -> None:
        """Take in the pieces of a chunk."""
        for delta in deltas:
            call = self._of(delta)
            if call is None:
                if len(self._calls) >= MOST_CALLS:
                    raise ResponseTooLarge(f"it makes more than {MOST_CALLS:,} calls")
                call = _Growing(delta.id)
                self._calls.append(call)
            if delta.index is not None:
                self._latest[delta.index] = call
            if delta.id:
                call.id = call.id or delta.id
                self._by_id[delta.index, delta.id] = call
            call.add(delta)

    def whole(self) -> tuple[SentCall, ...]:
        """Return the calls in the order in which they began."""
        return tuple(
            SentCall(whole_characters(call.name), whole_characters(call.arguments()), call.id)
            for call in self._calls
        )

    def _of(self, delta: CallDelta) -> "_Growing | None":
        """Return the call that this is a piece of; None if another one begins."""
        if delta.id and (known := self._by_id.get((delta.index, delta.id))):
            return known
        if delta.index is not None:
            call = self._latest.get(delta.index)
        else:
            call = self._calls[-1] if self._calls else None
        if call is None or (delta.id and call.id):
            return None
        if not delta.name or not call.name:
            return call
        # What has a name may be another call of a server that numbers none, or the same of one that repeats names.
        if delta.index is None and (delta.place or delta.name != call.name):
            return None
        return None if call.complete() else call


class _Growing:
    """A call of which more may come."""

    def __init__(self, own: str) -> None:
        self.id = own
        self.name = ""
        self._pieces: list[str] = []
        self._begun = False
        self._scanned = 0
        self._depth = 0
        self._quoted = self._escaped = False

    def add(self, delta: CallDelta) -> None:
        if delta.name and delta.name != self.name and not self._begun:
            self.name += delta.name
        self._begun = self._begun or bool(delta.arguments)
        self._pieces.append(delta.arguments)

    def complete(self) -> bool:
        """Whether the arguments so far are a whole object; each character is looked at once."""
        for piece in self._pieces[self._scanned :]:
            for sign in piece:
                self._look_at(sign)
        self._scanned = len(self._pieces)
        return self._begun and not self._depth and not self._quoted

    def _look_at(self, sign: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._quoted:
            self._escaped, self._quoted = sign == "\\", sign != '"'
        elif sign == '"':
            self._quoted = True
        else:
            self._depth += (sign in "{[") - (sign in "}]")

    def arguments(self) -> str:
        """Return what has come; some servers begin with an empty object and then send the real one."""
        text = "".join(self._pieces).strip()
        rest = text.removeprefix("{}").lstrip()
        return rest if rest.startswith("{") else text


def calls_of(sent: Iterable[SentCall]) -> tuple[Call, ...]:
    """Return calls in the form of the text: a call without arguments has none, which is an empty object."""
    return tuple(Call(call.name, call.arguments or "{}") for call in sent)

"""Following a chat while it grows: each look reads what is new and the turn before it, however long the chat has become.

found = follow(messages, memory)       # with the memory of the last look; None at first
if found:
    reading, memory = found

The memory is plain data, a few kilobytes at most, and serves in another process, too.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, TypedDict

from .readers.messages import SPEAKERS, langgraph
from .signals import SignalReading, Signals

MOST = 50
"""Turns that are read where there is no memory, or none that fits the chat: messages were taken out of it."""


class Memory(TypedDict):
    """What was known before the latest turn: that one is read again, for more may have come to it."""

    at: int
    """Where the latest turn begins in the list of messages."""
    key: str
    """Which message stood there."""
    signals: Mapping[str, Any]


class Followed(NamedTuple):
    """What is known now."""

    reading: SignalReading
    memory: Memory
    """For the next look."""


def follow(
    messages: Sequence[Any],
    memory: Memory | None = None,
    *,
    goes_on: bool = False,
    leave_out: Callable[[Any], bool] = lambda message: False,
) -> Followed | None:
    """Read what came to a list of LangChain messages since the last look; None while the model has said nothing.

    `goes_on`: an answer without a tool call is no end, but a turn without action.  `leave_out` names messages that are not the run's own.
    """
    at = None if memory is None else _place(messages, memory)
    signals = Signals(None if memory is None or at is None else memory["signals"])
    places = [
        place
        for place in range(_start(messages) if at is None else at, len(messages))
        if _speaks(messages[place])
    ]
    if not places:
        return None
    last = places[-1]
    turns = langgraph([message for message in messages[places[0] :] if not leave_out(message)]).turns
    if goes_on and _answers(messages[-1]):
        turns = (*turns[:-1], turns[-1]._replace(actions=()))
    for turn in turns[:-1]:
        signals.see(turn)
    known = Memory(at=last, key=_key(messages[last]), signals=signals.memory())
    return Followed(signals.see(turns[-1]), known)


def _place(messages: Sequence[Any], memory: Memory) -> int | None:
    """Return where the message lies that was the latest answer, though others before it may have been taken out."""
    at, key = memory["at"], memory["key"]
    if at < len(messages) and _key(messages[at]) == key:
        return at
    named = (place for place in reversed(range(min(at, len(messages)))) if messages[place].id == key)
    return next(named, None)


def _start(messages: Sequence[Any]) -> int:
    """Return where the last `MOST` turns begin."""
    spoken = 0
    for place in reversed(range(len(messages))):
        spoken += _speaks(messages[place])
        if spoken == MOST:
            return place
    return 0


def _speaks(message: Any) -> bool:
    return message.type in SPEAKERS


def _answers(message: Any) -> bool:
    return _speaks(message) and not message.tool_calls


def _key(message: Any) -> str:
    """Return the message's id, or for one without a digest of what it says."""
    if message.id:
        return str(message.id)
    said = f"{message.type} {message.content!r}"
    return blake2b(said.encode(errors="replace"), digest_size=8).hexdigest()

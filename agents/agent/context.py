"""What of a run the model is shown: everything while it fits, then old observations cut, then old turns summed up."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from pydantic_core import from_json

from surefoot.models.base import Message
from surefoot.models.offers import Call, arguments_of

from .state import BYTES_A_TOKEN, OVERHEAD, AgentTurn, Conversation, bytes_in

LEAST, MOST = 0.5, 4.5
"""Bytes of a token, as far as a count of tokens is believed."""
NO_COUNT = 6.0
"""Bytes of a token that no text has: the server has cut the prompt and counts what is left, or counts only what was in no cache."""
SPARE = 0.95
"""Of the bytes that a count promises: the next turns may be of another kind of text."""
LEAST_ROOM = 6_000
"""Bytes that the turns need at least."""
LAST = 4
"""The latest turns are never summed up, and cut only where they do not fit by themselves."""
CUT = 400
"""Characters that are left of an old observation, half of them from its end."""
LONGEST = 10_000
"""Bytes of an observation that a model is told at first, and fewer where its window is small."""


def longest(room: int, calls: int) -> int:
    """Return how many bytes of an observation a model is told at first, `calls` being those of its turn: the latest turns fit."""
    return min(LONGEST, room // ((LAST + 2) * max(1, calls)))


def room_of(window: int, fixed: int, answer: int, bytes_a_token: float = BYTES_A_TOKEN) -> int:
    """Return the bytes that turns may fill in a window of so many tokens: what a prompt always holds, `fixed` bytes, and the
    tokens of an answer are set aside.
    """
    return int((window - answer) * bytes_a_token) - fixed


def counted(prompt: int, tokens: int) -> float:
    """Return how many bytes a token has, for the room, in the text of a prompt of so many bytes that a server has counted."""
    found = prompt / tokens
    return BYTES_A_TOKEN if found > NO_COUNT else SPARE * min(max(found, LEAST), MOST)


def size(state: Conversation) -> int:
    """Return about how many bytes the turns and the summary take in a prompt."""
    return OVERHEAD + bytes_in(state.summary) + bytes_in(state.watched.said) + size_of_turns(state)


def size_of_turns(state: Conversation) -> int:
    """Return about how many bytes the turns take in a prompt."""
    if not state.turns:
        return 0
    earlier = _size_of(state.turns[:-1]) if state.earlier is None else state.earlier
    return earlier + state.turns[-1].size


def fitted(state: Conversation, room: int) -> Conversation:
    """Return the state as it fits a room of so many bytes, `crowded` if only a summary helps.

    The latest turn is never cut, and the three before it last of all.
    """
    # Room for one more observation stays free, so that a request to sum up fits, too.
    excess = size(state) + longest(room, 1) - room
    if excess <= 0 or state.due is not None:
        return state
    turns, earlier = list(state.turns), size_of_turns(state) - state.turns[-1].size
    # The oldest first, and no more than is needed: what is cut once stays cut, so that a server's prefix cache holds.
    old = max(0, len(turns) - LAST)
    for place in range(len(turns) - 1 if room < _size_of(turns[old:]) else old):
        if excess <= 0:
            break
        before = turns[place].size
        turns[place] = _shortened(turns[place])
        excess -= before - turns[place].size
        earlier -= before - turns[place].size
    crowded = excess > 0 and len(turns) > LAST
    return replace(state, turns=tuple(turns), earlier=earlier, crowded=crowded)


def summed_up(state: Conversation, summary: str, room: int) -> Conversation:
    """Return the state with a summary in the place of all but the latest turns."""
    short = within(summary, room // 4)
    return replace(state, turns=state.turns[-LAST:], earlier=None, summary=short, crowded=False)


def messages(state: Conversation) -> tuple[Message, ...]:
    """Return the turns as a chat has them."""
    shown: list[Message] = []
    if state.summary:
        shown.append(Message("user", f"What you did before, in your own words:\n{state.summary}"))
    shown += chain.from_iterable([turn.messages for turn in state.turns])
    if state.watched.said and not state.crowded:
        shown.append(Message("user", state.watched.said))
    return tuple(shown)


def within(text: str, most: int) -> str:
    """Return a text, or its beginning and its end where it is longer than `most` bytes, with what was left out in between."""
    if text.isascii():
        return cut(text, most)
    data, half = text.encode(), most // 2
    if len(data) <= most:
        return text
    head, tail = (part.decode(errors="ignore") for part in (data[:half], data[len(data) - half :]))
    return _without_middle(head, len(text) - len(head) - len(tail), tail)


def cut(text: str, most: int) -> str:
    """Return a text, or its beginning and its end where it is longer than `most` characters, with what was left out in between."""
    if len(text) <= most:
        return text
    half = most // 2
    return _without_middle(text[:half], len(text) - 2 * half, text[len(text) - half :])


def _without_middle(head: str, left_out: int, tail: str) -> str:
    return f"{head}\n[... {left_out:,} characters left out ...]\n{tail}"


def _shortened(turn: AgentTurn) -> AgentTurn:
    """Return a turn with its long texts cut, the very same one if it has none."""
    short = AgentTurn(
        _cut_once(turn.prose),
        tuple([Call(call.name, _cut_arguments(call.arguments)) for call in turn.calls]),
        tuple([replace(seen, text=_cut_once(seen.text)) for seen in turn.seen]),
    )
    return turn if short == turn else short


def _cut_arguments(arguments: str) -> str:
    """Cut long texts in the arguments of a call, such as a file that was written, so that they stay what they are: JSON."""
    if len(arguments) <= 2 * CUT:
        return arguments
    try:
        found = from_json(arguments)
    except ValueError:
        return _cut_once(arguments)
    if not isinstance(found, dict):
        return _cut_once(arguments)
    return arguments_of(
        {name: _cut_once(value) if isinstance(value, str) else value for name, value in found.items()}
    )


def _cut_once(text: str) -> str:
    # With what the cut itself adds it is below the mark, so that it stays as it is from then on.
    return text if len(text) <= 2 * CUT else cut(text, CUT)


def _size_of(turns: Iterable[AgentTurn]) -> int:
    return sum([turn.size for turn in turns])

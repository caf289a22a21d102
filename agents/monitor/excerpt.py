"""A trajectory as text of a bounded size, its end kept.

Sizes are bytes of UTF-8, which follow tokens more evenly over languages than characters do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...errors import BadInput
from .trajectory import Trajectory, Turn

LAST = 3
"""Turns at the end that stay whole as long as anything else can give way."""
FLOOR = 96
"""Bytes that a shortened part keeps, the note of what is missing included."""
LEAST = 1024
"""Smallest size that an issue and the last turn can be told in."""
WHOLE = 1 << 40


@dataclass(frozen=True, slots=True)
class _Caps:
    """Most bytes of each part; `shown` is how many of the middle turns are told at all."""

    observation: int = WHOLE
    thought: int = WHOLE
    action: int = WHOLE
    shown: int = WHOLE
    issue: int = WHOLE
    end: int = WHOLE
    """Of every part of the last turns."""


ORDER = ("observation", "thought", "action", "shown", "issue", "end")
"""What gives way first."""


def excerpt(trajectory: Trajectory, size: int) -> str:
    """Tell a trajectory in at most `size` bytes of UTF-8.

    What does not fit gives way in this order: the middles of observations, of thoughts and of arguments in all but the last
    turns; then those turns themselves, from the middle outwards, with their number; then the issue; the last turns only in
    the end.  The same trajectory and size always give the same text.
    """
    if size < LEAST:
        raise BadInput(f"a trajectory needs at least {LEAST} bytes to be told in, not {size!r}")
    caps = _Caps()
    for part in ORDER:
        floor = replace(caps, **{part: 0 if part == "shown" else FLOOR})
        if _size(_told(trajectory, floor)) <= size:
            return _told(trajectory, _widest(trajectory, caps, part, size))
        caps = floor
    return _last_resort(trajectory, size)


def _widest(trajectory: Trajectory, caps: _Caps, part: str, size: int) -> _Caps:
    """Return the caps with the largest bound on `part` that was found to fit; its floor is known to."""
    low, high = (0, len(trajectory.turns)) if part == "shown" else (FLOOR, min(size, _largest(trajectory)))
    while low < high:
        middle = (low + high + 1) // 2
        if _size(_told(trajectory, replace(caps, **{part: middle}))) <= size:
            low = middle
        else:
            high = middle - 1
    return replace(caps, **{part: low})


def _told(trajectory: Trajectory, caps: _Caps) -> str:
    parts = [f"[issue]\n{shorten(trajectory.issue, caps.issue)}"]
    middle, last = trajectory.turns[:-LAST], trajectory.turns[-LAST:]
    shown = min(caps.shown, len(middle))
    before = shown // 2
    after = len(middle) - (shown - before)
    for number, turn in enumerate(middle, 1):
        if number <= before or number > after:
            parts.append(_turn(number, turn, caps.thought, caps.action, caps.observation))
        elif number == before + 1:
            parts.append(f"[turns {number} to {after} are left out here: {after - before} of them]")
    for number, turn in enumerate(last, len(middle) + 1):
        parts.append(_turn(number, turn, caps.end, caps.end, caps.end))
    return "\n\n".join([*parts, _end(trajectory)])


def _turn(number: int, turn: Turn, thought: int, action: int, observation: int) -> str:
    lines = [f"[turn {number}]"]
    if turn.thought:
        lines.append(f"THOUGHT: {shorten(turn.thought, thought)}")
    for call in turn.actions:
        lines.append(f"ACTION: {shorten(f'{call.name}({call.arguments})', action)}")
    if not turn.actions:
        lines.append("(no action)")
    if turn.observation is not None:
        lines.append(f"OBSERVATION: {shorten(turn.observation, observation)}")
    return "\n".join(lines)


def _end(trajectory: Trajectory) -> str:
    why = f": {shorten(trajectory.finish, FLOOR)}" if trajectory.finish else ""
    return f"[the run ends after turn {len(trajectory.turns)}{why}]"


def _last_resort(trajectory: Trajectory, size: int) -> str:
    """Tell the issue and the last turn alone: a turn may hold more actions than there is room for."""
    number = len(trajectory.turns)
    issue = f"[issue]\n{shorten(trajectory.issue, size // 4)}"
    missing = [f"[turns 1 to {number - 1} are left out here: {number - 1} of them]"] if number > 1 else []
    around = "\n\n".join([issue, *missing, "", _end(trajectory)])
    last = _turn(number, trajectory.turns[-1], WHOLE, WHOLE, WHOLE)
    return "\n\n".join([issue, *missing, shorten(last, size - _size(around)), _end(trajectory)])


def shorten(text: str, size: int) -> str:
    """Cut the middle out of a text that is longer than `size` bytes, and say how much is missing."""
    raw = _bytes(text)
    if len(raw) <= size:
        return raw.decode()
    room = size - len(_note(len(raw)))
    head = max(room, 0) // 2
    tail = max(room, 0) - head
    note = _note(len(raw) - head - tail)
    end = raw[len(raw) - tail :]
    return raw[:head].decode(errors="ignore") + note + end.decode(errors="ignore")


def _note(missing: int) -> str:
    return f" [... {missing} bytes left out ...] "


def _largest(trajectory: Trajectory) -> int:
    return max(map(_size, _texts(trajectory)))


def _texts(trajectory: Trajectory) -> Iterator[str]:
    yield trajectory.issue
    for turn in trajectory.turns:
        yield turn.thought
        yield turn.observation or ""
        yield from (f"{call.name}({call.arguments})" for call in turn.actions)


def _bytes(text: str) -> bytes:
    """Encode, half a surrogate pair becoming a question mark: JSON logs hold such things, and requests may not."""
    return text.encode(errors="replace")


def _size(text: str) -> int:
    return len(_bytes(text))

"""A trajectory as text of a bounded size, its end kept.

Sizes are bytes of UTF-8, which follow tokens more evenly over languages than characters do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

from surefoot.errors import BadInput

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


class _Line(NamedTuple):
    """A part of a trajectory in UTF-8, encoded once: what stands before it, itself, and which cap it gives way to."""

    label: bytes
    text: bytes
    part: str


class _Run(NamedTuple):
    """A trajectory in UTF-8."""

    issue: bytes
    turns: list[list[_Line]]
    end: bytes


def excerpt(trajectory: Trajectory, size: int) -> str:
    """Tell a trajectory in at most `size` bytes of UTF-8.

    What does not fit gives way in this order: the middles of observations, of thoughts and of arguments in all but the last
    turns; then those turns themselves, from the middle outwards, with their number; then the issue; the last turns only in
    the end.  The same trajectory and size always give the same text.
    """
    if size < LEAST:
        raise BadInput(f"a trajectory needs at least {LEAST} bytes to be told in, not {size!r}")
    turns = [_lines(number, turn) for number, turn in enumerate(trajectory.turns, 1)]
    run = _Run(_bytes(trajectory.issue), turns, _end(trajectory))
    caps = _Caps()
    for part in ORDER:
        floor = replace(caps, **{part: 0 if part == "shown" else FLOOR})
        if _size(run, floor) <= size:
            fitting = _widest(run, caps, part, size)
            told = (
                each for label, text, cap in _told(run, fitting) for each in (label, _shortened(text, cap))
            )
            return b"".join(told).decode()
        caps = floor
    return _last_resort(run, size)


def _widest(run: _Run, caps: _Caps, part: str, size: int) -> _Caps:
    """Return the caps with the largest bound on `part` that was found to fit; its floor is known to."""
    low, high = (0, len(run.turns)) if part == "shown" else (FLOOR, min(size, _largest(run)))
    while low < high:
        middle = (low + high + 1) // 2
        if _size(run, replace(caps, **{part: middle})) <= size:
            low = middle
        else:
            high = middle - 1
    return replace(caps, **{part: low})


def _told(run: _Run, caps: _Caps) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield what is told, in order: a label, a text, and how many bytes of the text there is room for."""
    yield b"[issue]\n", run.issue, caps.issue
    middle, last = run.turns[:-LAST], run.turns[-LAST:]
    shown = min(caps.shown, len(middle))
    before = shown // 2
    after = len(middle) - (shown - before)
    for line in chain.from_iterable(middle[:before]):
        yield line.label, line.text, getattr(caps, line.part)
    if before < after:
        yield _left_out(before + 1, after), b"", 0
    for line in chain.from_iterable(middle[after:]):
        yield line.label, line.text, getattr(caps, line.part)
    for line in chain.from_iterable(last):
        yield line.label, line.text, caps.end
    yield run.end, b"", 0


def _lines(number: int, turn: Turn) -> list[_Line]:
    lines = [_Line(b"\n\n[turn %d]" % number, b"", "shown")]
    if turn.thought:
        lines.append(_Line(b"\nTHOUGHT: ", _bytes(turn.thought), "thought"))
    for call in turn.actions:
        lines.append(_Line(b"\nACTION: ", _bytes(f"{call.name}({call.arguments})"), "action"))
    if not turn.actions:
        lines.append(_Line(b"\n(no action)", b"", "action"))
    if turn.observation is not None:
        lines.append(_Line(b"\nOBSERVATION: ", _bytes(turn.observation), "observation"))
    return lines


def _left_out(first: int, last: int) -> bytes:
    return b"\n\n[turns %d to %d are left out here: %d of them]" % (first, last, last - first + 1)


def _end(trajectory: Trajectory) -> bytes:
    why = b": " + _shortened(_bytes(trajectory.finish), FLOOR) if trajectory.finish else b""
    return b"\n\n[the run ends after turn %d%b]" % (len(trajectory.turns), why)


def _last_resort(run: _Run, size: int) -> str:
    """Tell the issue and the last turn alone: a turn may hold more actions than there is room for."""
    number = len(run.turns)
    begin = b"[issue]\n" + _shortened(run.issue, size // 4)
    if number > 1:
        begin += _left_out(1, number - 1)
    begin += b"\n\n"
    last = b"".join(line.label + line.text for line in run.turns[-1]).removeprefix(b"\n\n")
    return (begin + _shortened(last, size - len(begin) - len(run.end)) + run.end).decode()


def _size(run: _Run, caps: _Caps) -> int:
    """Return how many bytes are told, without telling them."""
    told = 0
    for label, text, cap in _told(run, caps):
        head, note, tail = _cut(text, cap)
        told += len(label) + head + len(note) + len(text) - tail
    return told


def shorten(text: str, size: int) -> str:
    """Cut the middle out of a text that is longer than `size` bytes, and say how much is missing."""
    return _shortened(_bytes(text), size).decode()


def _shortened(text: bytes, size: int) -> bytes:
    head, note, tail = _cut(text, size)
    return text[:head] + note + text[tail:] if note else text


def _cut(text: bytes, size: int) -> tuple[int, bytes, int]:
    """Return where the middle of a text begins that has to go, what stands there instead, and where it ends."""
    if len(text) <= size:
        return len(text), b"", len(text)
    room = max(size - len(_note(len(text))), 0)
    head = room // 2
    tail = len(text) - (room - head)
    note = _note(tail - head)
    # A character of several bytes goes as a whole.
    while head and text[head] & 0xC0 == 0x80:
        head -= 1
    while tail < len(text) and text[tail] & 0xC0 == 0x80:
        tail += 1
    return head, note, tail


def _note(missing: int) -> bytes:
    return b" [... %d bytes left out ...] " % missing


def _largest(run: _Run) -> int:
    return max(len(run.issue), *(len(line.text) for line in chain.from_iterable(run.turns)))


def _bytes(text: str) -> bytes:
    """Encode, half a surrogate pair becoming a question mark: JSON logs hold such things, and requests may not."""
    return text.encode(errors="replace")

"""The compact text of a Towers of Hanoi step, for character-level micro models.

A step is asked as the previous answer plus a mark, so the text chains by itself:

    prompt   ---;AabcBC>        three disks on peg A, nothing moved yet; full answer wanted
    answer   aAB;AbcBaC         disk a (1) goes from A to B, and the board after it
    prompt   aAB;AbcBaC?        the next step, move-only answer wanted
    answer   bAC

Pegs are A, B, C with their disks top first; disk 1 is `a`.  In this text disk 1 always travels A -> B -> C -> A.
"""

import re
import string

from .board import MAX_DISKS, Move, Pegs, new_move

PEG_NAMES = "ABC"
DISK_NAMES = (
    string.ascii_lowercase + "".join(c for c in string.ascii_uppercase if c not in PEG_NAMES)
    + string.digits + "!#$%&"
)  # fmt: skip
FULL, MOVE_ONLY = ">", "?"
NO_MOVE = "---"

assert len(DISK_NAMES) == MAX_DISKS

# Disks are single bytes on both sides, so that a peg is written and read by one table look-up in C.
_WRITE = bytes([0, *DISK_NAMES.encode()]).ljust(256, b"\0")
_READ = bytes(max(0, DISK_NAMES.find(chr(code)) + 1) for code in range(256))
_DISK = f"[{re.escape(DISK_NAMES)}]"
_MOVE = re.compile(rf"({_DISK})([{PEG_NAMES}])([{PEG_NAMES}])")
_ANSWER = re.compile(rf"({_MOVE.pattern});A({_DISK}*)B({_DISK}*)C({_DISK}*)")


def write_move(move: Move | None) -> str:
    """`aAB` for disk 1 from peg 0 to peg 1; `---` before the first move."""
    if move is None:
        return NO_MOVE
    disk, source, target = move
    return DISK_NAMES[disk - 1] + PEG_NAMES[source] + PEG_NAMES[target]


def write_pegs(pegs: Pegs) -> str:
    """`AabcBC` for three disks on peg 0."""
    a, b, c = [bytes(peg).translate(_WRITE)[::-1].decode() for peg in pegs]
    return f"A{a}B{b}C{c}"


def prompt(pegs: Pegs, previous: Move | None, *, move_only: bool = False) -> str:
    """Ask for the step on `pegs`, `previous` being the move that led there."""
    return f"{write_move(previous)};{write_pegs(pegs)}{MOVE_ONLY if move_only else FULL}"


def answer(move: Move, after: Pegs | None = None) -> str:
    """Return the right shape of an answer: the move, and the board after it unless move-only."""
    return write_move(move) if after is None else f"{write_move(move)};{write_pegs(after)}"


def read_move(text: str) -> Move | None:
    """Parse a move-only answer; None unless the whole text is one."""
    match = _MOVE.fullmatch(text)
    return None if match is None else _move(*match.groups())


def read_answer(text: str) -> tuple[Move, Pegs] | None:
    """Parse a full answer; None unless the whole text is one."""
    match = _ANSWER.fullmatch(text)
    if match is None:
        return None
    _, disk, source, target, a, b, c = match.groups()
    return _move(disk, source, target), (_peg(a), _peg(b), _peg(c))


def _move(disk: str, source: str, target: str) -> Move:
    return new_move((_READ[ord(disk)], PEG_NAMES.index(source), PEG_NAMES.index(target)))


def _peg(names: str) -> tuple[int, ...]:
    return tuple(names.encode().translate(_READ)[::-1])

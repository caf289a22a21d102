"""The verbose text of a Towers of Hanoi step: chat messages with the rules written out, for language models.

One step is asked as the paper asks it: the procedure, the previous move and the board.  Several steps are asked in the
same way, for drafts only; their answer is one move a line.

The answer is what the text ends with: see `last_lines`.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from pydantic_core import from_json

from surefoot.models.base import Message, Prompt
from surefoot.tools.answers.last_lines import in_form, last_lines, line, missing
from surefoot.tools.towers.board import Move, Pegs
from surefoot.voting.flags import NotAnAnswer

BOARD = """\
There are three pegs, 0, 1 and 2, and disks numbered from 1 (the smallest) upwards. A board is written as three lists,
one per peg, each from the bottom disk to the top disk. Only the top disk of a peg can be moved, one at a time, and
a disk never lies on a smaller one.

Procedure:
- If the previous move did not move disk 1, or if there was none, move disk 1 one peg clockwise: 0 -> 1, 1 -> 2, 2 -> 0.
- If the previous move moved disk 1, make the only legal move that does not move disk 1.

Example for three disks.
Previous move: [1, 0, 1]
Current board: [[3, 2], [1], []]"""
RULES = f"""\
You carry out one step of a Towers of Hanoi procedure.

{BOARD}
Disk 1 was moved last, so the other disks' turn has come: disk 2 can only go to peg 2.
move = [2, 0, 2]
next_state = [[3], [1], [2]]

You may think first, but briefly. End with exactly these lines:
{{lines}}"""
FULL_LINES = "move = [disk, from peg, to peg]\nnext_state = [[...], [...], [...]]"
MOVE_LINE = "move = [disk, from peg, to peg]"
AHEAD_RULES = f"""\
You carry out the next steps of a Towers of Hanoi procedure.

{BOARD}
The next three moves are:
move = [2, 0, 2]
move = [1, 1, 2]
move = [3, 0, 1]

Answer with the next {{steps}} moves, in order, one a line in exactly this form, and nothing else:
{MOVE_LINE}"""

_PEG = r"\[\s*+(?:\d++\s*+(?:,\s*+\d++\s*+)*+)?+\]"
_MOVE = line("move", r"\[\s*+\d++\s*+,\s*+\d++\s*+,\s*+\d++\s*+\]")
_BOARD = line("next_state", rf"\[\s*+{_PEG}\s*+,\s*+{_PEG}\s*+,\s*+{_PEG}\s*+\]")
_MOVE_LINE, _BOARD_LINE = "move = [...]", "next_state = [...]"


def prompt(pegs: Pegs, previous: Move | None, *, move_only: bool = False) -> Prompt:
    """Ask for the step on `pegs`, `previous` being the move that led there."""
    return _messages(RULES.format(lines=MOVE_LINE if move_only else FULL_LINES), pegs, previous)


def prompt_ahead(pegs: Pegs, previous: Move | None, steps: int) -> Prompt:
    """Ask for the next `steps` moves from `pegs` on."""
    return _messages(AHEAD_RULES.format(steps=steps), pegs, previous)


def read_move(text: str) -> Move:
    """Return the move that the text ends with; raise `NotAnAnswer` if its last line is none."""
    return Move(*_numbers(in_form(_MOVE, _MOVE_LINE, last_lines(text))))


def read_answer(text: str) -> tuple[Move, Pegs]:
    """Return the move and the board that the text ends with; raise `NotAnAnswer` if its last two lines are none."""
    lines = last_lines(text)
    board, move = in_form(_BOARD, _BOARD_LINE, lines), in_form(_MOVE, _MOVE_LINE, lines)
    first, second, third = _numbers(board)
    return Move(*_numbers(move)), (tuple(first), tuple(second), tuple(third))


def read_moves(text: str) -> Sequence[Move]:
    """Return the moves that the text ends with, one a line; raise `NotAnAnswer` if its last line is none."""
    matches = takewhile(bool, map(_MOVE.fullmatch, last_lines(text)))
    moves = [Move(*_numbers(match[1])) for match in matches if match]
    if not moves:
        raise missing(_MOVE_LINE)
    return moves[::-1]


def _messages(rules: str, pegs: Pegs, previous: Move | None) -> Prompt:
    shown = "none" if previous is None else str(list(previous))
    return (
        Message("system", rules),
        Message("user", f"Previous move: {shown}\nCurrent board: {[list(peg) for peg in pegs]}"),
    )


def _numbers(text: str) -> list[Any]:
    """Parse a list that has the wanted shape; its numbers may still be none, such as 01."""
    try:
        value: list[Any] = from_json(text)
    except ValueError as error:
        raise NotAnAnswer(f"{text!r} is not a list of numbers: {error}") from None
    return value

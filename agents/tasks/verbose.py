"""The verbose text of a Towers of Hanoi step: chat messages with the rules written out, for language models.

One step is asked as the paper asks it: the procedure, the previous move and the board.  Several steps are asked in the
same way, for drafts only; their answer is one move a line.

The answer is what the text ends with, whole: the wanted lines, one after the other, with nothing between or after them but
marks.  What comes before is ignored: thoughts, or an answer that was taken back.  A model that goes on after its
answer, with half of another or with words, is correcting itself, and lines that are taken from two answers are the
decision of neither: such a text is no answer.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from pydantic_core import from_json

from surefoot.models.base import Message, Prompt
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
_MOVE = re.compile(r"\W*+move\s*+=\s*+(\[\s*+\d++\s*+,\s*+\d++\s*+,\s*+\d++\s*+\])\W*+")
_BOARD = re.compile(rf"\W*+next_state\s*+=\s*+(\[\s*+{_PEG}\s*+,\s*+{_PEG}\s*+,\s*+{_PEG}\s*+\])\W*+")
_WORD = re.compile(r"\w")


def prompt(pegs: Pegs, previous: Move | None, *, move_only: bool = False) -> Prompt:
    """Ask for the step on `pegs`, `previous` being the move that led there."""
    return _messages(RULES.format(lines=MOVE_LINE if move_only else FULL_LINES), pegs, previous)


def prompt_ahead(pegs: Pegs, previous: Move | None, steps: int) -> Prompt:
    """Ask for the next `steps` moves from `pegs` on."""
    return _messages(AHEAD_RULES.format(steps=steps), pegs, previous)


def read_move(text: str) -> Move:
    """Return the move that the text ends with; raise `NotAnAnswer` if its last line is none."""
    return Move(*_numbers(_in_form(_MOVE, "move", _lines(text))))


def read_answer(text: str) -> tuple[Move, Pegs]:
    """Return the move and the board that the text ends with; raise `NotAnAnswer` if its last two lines are none."""
    lines = _lines(text)
    board, move = _in_form(_BOARD, "next_state", lines), _in_form(_MOVE, "move", lines)
    first, second, third = _numbers(board)
    return Move(*_numbers(move)), (tuple(first), tuple(second), tuple(third))


def read_moves(text: str) -> Sequence[Move]:
    """Return the moves that the text ends with, one a line; raise `NotAnAnswer` if its last line is none."""
    matches = takewhile(bool, map(_MOVE.fullmatch, _lines(text)))
    moves = [Move(*_numbers(match[1])) for match in matches if match]
    if not moves:
        raise _missing("move")
    return moves[::-1]


def _messages(rules: str, pegs: Pegs, previous: Move | None) -> Prompt:
    shown = "none" if previous is None else str(list(previous))
    return (
        Message("system", rules),
        Message("user", f"Previous move: {shown}\nCurrent board: {[list(peg) for peg in pegs]}"),
    )


def _lines(text: str) -> Iterator[str]:
    """Yield the lines that say something, the last one first; others are blank, or marks such as those around code."""
    return filter(_WORD.search, reversed(text.splitlines()))


def _in_form(form: re.Pattern[str], what: str, lines: Iterator[str]) -> str:
    """Return the list on the next of the lines; raise `NotAnAnswer` if that has another form."""
    match = form.fullmatch(next(lines, ""))
    if match is None:
        raise _missing(what)
    return match[1]


def _missing(what: str) -> NotAnAnswer:
    return NotAnAnswer(
        f"there is no line '{what} = [...]' in the wanted form where the text should end with it"
    )


def _numbers(text: str) -> list[Any]:
    """Parse a list that has the wanted shape; its numbers may still be none, such as 01."""
    try:
        value: list[Any] = from_json(text)
    except ValueError as error:
        raise NotAnAnswer(f"{text!r} is not a list of numbers: {error}") from None
    return value

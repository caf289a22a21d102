"""Right and wrong answers to one step of a puzzle, found in the question, for the puzzles' double."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from surefoot.models.base import Prompt
from surefoot.tools.puzzles.blocks import BLOCKS
from surefoot.tools.puzzles.checkers import CHECKERS
from surefoot.tools.puzzles.crossing import CROSSING
from surefoot.tools.puzzles.puzzle import NoMove, Puzzle

CANNOT_READ = "not a position of a puzzle"
"""The answer to anything else."""
LOST = "no move"
"""The answer where the procedure knows none, since an earlier step was wrong."""

_PUZZLES: Mapping[str, Puzzle[Any, Any, Any]] = {
    puzzle.name: puzzle for puzzle in (CHECKERS, CROSSING, BLOCKS)
}


class _Step(NamedTuple):
    puzzle: Puzzle[Any, Any, Any]
    position: Any
    full: bool
    """Whether the board after the move is wanted, too."""


def puzzle_right(prompt: Prompt) -> str:
    """Answer a step of checkers, crossing or blocks by the procedure; `LOST` or `CANNOT_READ` where that cannot be."""
    step = _step(prompt)
    if step is None:
        return CANNOT_READ
    puzzle, position, full = step
    try:
        move = puzzle.right(position)
        return puzzle.answer(move, puzzle.after(position, move) if full else None)
    except NoMove:
        return LOST


def puzzle_wrong(prompt: Prompt, which: int) -> str:
    """Answer a step wrongly but in form: another move, legal or not, or a board that does not follow."""
    right, step = puzzle_right(prompt), _step(prompt)
    if step is None or right == LOST:
        return right
    puzzle, position, full = step
    others = puzzle.others(position)
    chosen = which % (len(others) + full)
    stale = puzzle.before(position)
    if chosen == len(others):
        return puzzle.answer(puzzle.right(position), stale)
    move = others[chosen]
    if not full:
        return puzzle.answer(move)
    try:
        return puzzle.answer(move, puzzle.after(position, move))
    except NoMove:
        return puzzle.answer(move, stale)


def _step(prompt: Prompt) -> _Step | None:
    if isinstance(prompt, str) or len(prompt) < 2:
        return None
    name, *lines = prompt[-1].content.splitlines() or [""]
    puzzle = _PUZZLES.get(name)
    if puzzle is None:
        return None
    try:
        position = puzzle.read_position(lines)
    except (ValueError, IndexError):
        return None
    return _Step(puzzle, position, f"and {puzzle.board_label} = ..." in prompt[0].content)

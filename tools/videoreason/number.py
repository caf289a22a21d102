"""Number: a sliding puzzle whose numbers are masked; a tile slides into the gap.

A direction is that of the TILE: "up" moves the tile below the gap up into it.
"""

import random

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

from .boards import (
    DIRECTIONS,
    SIDES,
    Board,
    Cell,
    Move,
    beside,
    cells,
    changed,
    check_move,
    on,
    read_board,
    read_move,
    squared,
    write_board,
)
from .demo import Demo

GAP = 0
BACK = {"up": "down", "down": "up", "left": "right", "right": "left"}
_VALUES = {str(number): number for number in range(SIDES[-1] ** 2)}


class Number(Demo[Board, Move]):
    """A board of the numbers 0 to side² - 1, 0 for the gap; an operation is a direction."""

    name = "number"
    sizes = SIDES

    def start(self, size: int, rng: random.Random) -> Board:
        """Draw any order of the numbers."""
        return squared(rng.sample(range(size * size), size * size))

    def draw(self, state: Board, rng: random.Random) -> Move:
        """Draw one of the tiles beside the gap."""
        gap = gap_of(state)
        return (rng.choice([each for each in DIRECTIONS if on(state, beside(gap, BACK[each]))]),)

    def after(self, state: Board, operation: Move) -> Board:
        """Slide the tile."""
        gap, tile = gap_of(state), moved(state, operation)
        if not on(state, tile):
            raise NoMove(f"move {operation[0]!r} is illegal: no tile is on that side of the gap")
        return changed(state, {gap: state[tile[0]][tile[1]], tile: GAP})

    def write_operation(self, operation: Move) -> str:
        """`up`."""
        return operation[0]

    def read_operation(self, text: str) -> Move:
        """Read the direction."""
        return read_move(text)

    def write_state(self, state: Board) -> str:
        """`(a,1): 3, (a,2): 0, ...`."""
        return write_board(state, str)

    def read_state(self, text: str) -> Board:
        """Read the board; every number is there once."""
        board = read_board(text, _VALUES)
        if sorted(sum(board, ())) != [*range(len(board) ** 2)]:
            raise NotAnAnswer(f"{text[:100]!r} does not hold each number from 0 on once")
        return board


def gap_of(board: Board) -> Cell:
    """Return the cell of the gap."""
    return next(cell for cell in cells(board) if board[cell[0]][cell[1]] == GAP)


def moved(board: Board, move: Move) -> Cell:
    """Return the cell that a tile leaves if it goes into the gap by this move; it may lie off the board."""
    return beside(gap_of(board), BACK[check_move(move)])


NUMBER = Number()

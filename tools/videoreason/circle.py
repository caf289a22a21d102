"""Circle: a red circle walks over hidden black and white pieces; each piece that it enters flips, and so do those beside it.

The piece that it starts on does not flip.  Columns are numbered from 0.
"""

import random
import re

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

from .boards import (
    DIRECTIONS,
    LETTERS,
    SIDES,
    Board,
    Cell,
    Move,
    beside,
    cells,
    changed,
    check_move,
    drawn_values,
    label,
    on,
    read_board,
    read_move,
    write_board,
)
from .demo import Demo

CircleState = tuple[Board, Cell]
"""The pieces, 1 for black, and where the circle is."""

FIRST_COLUMN = 0
COLOURS = ("white", "black")
BLACK_SHARE = 0.47
_WORDS = {word: value for value, word in enumerate(COLOURS)}
_SHOWN = re.compile(r"([^;]*+); circle \(([a-i]),([0-8])\)")


class Circle(Demo[CircleState, Move]):
    """A board of pieces and the circle's cell; an operation is the direction of the circle."""

    name = "circle"
    sizes = SIDES

    def start(self, size: int, rng: random.Random) -> CircleState:
        """Draw pieces, 47 % of them black, and a cell for the circle."""
        black = sum(rng.random() < BLACK_SHARE for _ in range(size * size))
        return drawn_values(size, black, rng), (rng.randrange(size), rng.randrange(size))

    def draw(self, state: CircleState, rng: random.Random) -> Move:
        """Draw a direction that stays on the board."""
        board, circle = state
        return (rng.choice([each for each in DIRECTIONS if on(board, beside(circle, each))]),)

    def after(self, state: CircleState, operation: Move) -> CircleState:
        """Move the circle, and flip the piece it enters and its neighbours."""
        board, circle = state
        entered = beside(circle, check_move(operation))
        if not on(board, entered):
            raise NoMove(f"move {operation[0]!r} is illegal: the circle would leave the board")
        flipped = [entered, *(beside(entered, each) for each in DIRECTIONS)]
        values = {cell: 1 - board[cell[0]][cell[1]] for cell in flipped if on(board, cell)}
        return changed(board, values), entered

    def write_operation(self, operation: Move) -> str:
        """`up`."""
        return operation[0]

    def read_operation(self, text: str) -> Move:
        """Read the direction."""
        return read_move(text)

    def write_state(self, state: CircleState) -> str:
        """`(a,0): black, (a,1): white, ...; circle (b,1)`."""
        board, circle = state
        return f"{write_pieces(board)}; circle {label(circle, FIRST_COLUMN)}"

    def read_state(self, text: str) -> CircleState:
        """Read the pieces and the circle's cell."""
        shown = _SHOWN.fullmatch(text)
        if shown is None:
            raise NotAnAnswer(f"{text[:100]!r} is not ...; circle (b,1)")
        board = read_board(shown[1], _WORDS, FIRST_COLUMN)
        circle = LETTERS.index(shown[2]), int(shown[3])
        if circle not in cells(board):
            raise NotAnAnswer(f"the board has no cell {label(circle, FIRST_COLUMN)}")
        return board, circle


def write_pieces(board: Board) -> str:
    """Write the pieces alone."""
    return write_board(board, COLOURS.__getitem__, FIRST_COLUMN)


CIRCLE = Circle()

"""Square boards: cells, their labels, and their text.

Rows are lettered from `a` at the top of the picture; columns are numbered from 1, on Circle's board from 0.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from math import isqrt

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

Board = tuple[tuple[int, ...], ...]
"""The rows from the top."""
Cell = tuple[int, int]
"""Row and column, both from 0."""
Move = tuple[str]
"""`("up",)`: the direction in which something goes by one cell."""

SIDES = range(2, 10)
LETTERS = "abcdefghi"
NONE = "None"
"""What is written if there is nothing to name."""
DIRECTIONS: Mapping[str, Cell] = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""What a direction adds to a cell."""
_CELL = r"\([a-i],\d\): \w{1,5}+"
_CELLS = re.compile(rf"{_CELL}(?:, {_CELL})*+")


def beside(cell: Cell, direction: str) -> Cell:
    """Return the next cell in a direction, which may lie off the board."""
    down, right = DIRECTIONS[direction]
    return cell[0] + down, cell[1] + right


def on(board: Board, cell: Cell) -> bool:
    """Whether the board has the cell."""
    return 0 <= cell[0] < len(board) and 0 <= cell[1] < len(board)


def cells(board: Board) -> list[Cell]:
    """Return all cells, row by row."""
    return [(row, column) for row in range(len(board)) for column in range(len(board))]


def squared(values: Sequence[int]) -> Board:
    """Lay out n² values row by row."""
    side = isqrt(len(values))
    return tuple(tuple(values[row * side : (row + 1) * side]) for row in range(side))


def changed(board: Board, values: Mapping[Cell, int]) -> Board:
    """Return the board with new values in some cells."""
    return tuple(
        tuple(values.get((row, column), old) for column, old in enumerate(line))
        for row, line in enumerate(board)
    )


def label(cell: Cell, first: int = 1) -> str:
    """`(a,1)`: the letter of the row and the number of the column, which are numbered from `first`."""
    return f"({LETTERS[cell[0]]},{cell[1] + first})"


def write_board(board: Board, word: Callable[[int], str], first: int = 1) -> str:
    """`(a,1): 3, (a,2): 0, ...`: every cell, row by row, and what is in it."""
    return ", ".join(f"{label(cell, first)}: {word(board[cell[0]][cell[1]])}" for cell in cells(board))


def write_differing(
    before: Board, after: Board, name: Callable[[Cell], str], word: Callable[[int], str]
) -> str:
    """Write the cells that differ, with what is in them in `after`; "None" if none does."""
    different = [cell for cell in cells(after) if before[cell[0]][cell[1]] != after[cell[0]][cell[1]]]
    return ", ".join(f"{name(cell)}: {word(after[cell[0]][cell[1]])}" for cell in different) or NONE


def read_board(text: str, values: Mapping[str, int], first: int = 1) -> Board:
    """Parse what `write_board` writes; raises `NotAnAnswer` for anything else."""
    if len(text) > 2_000 or not _CELLS.fullmatch(text):
        raise NotAnAnswer(f"{text[:100]!r} is not a board, (a,{first}): ..., (a,{first + 1}): ...")
    words = [cell.rpartition(" ")[2] for cell in text.split(", ")]
    if any(word not in values for word in words):
        raise NotAnAnswer(f"{text[:100]!r} holds what is on no board of this kind")
    board = squared([values[word] for word in words])
    names = {value: word for word, value in values.items()}
    if len(board) not in SIDES or write_board(board, names.__getitem__, first) != text:
        raise NotAnAnswer(f"{text[:100]!r} does not name each cell of a square board once, row by row")
    return board


def read_move(text: str) -> Move:
    """Parse a direction; raises `NotAnAnswer` for anything else."""
    if text not in DIRECTIONS:
        raise NotAnAnswer(f"{text[:100]!r} is not one of {', '.join(DIRECTIONS)}")
    return (text,)


def check_move(move: Move) -> str:
    """Return the direction; raises `NoMove` if it is none."""
    if move[0] not in DIRECTIONS:
        raise NoMove(f"{move!r} is illegal: a move goes {', '.join(DIRECTIONS)}")
    return move[0]


def drawn_values(side: int, ones: int, rng: random.Random) -> Board:
    """Draw a board with `ones` ones, and zeros elsewhere."""
    chosen = set(rng.sample(range(side * side), ones))
    return squared([int(place in chosen) for place in range(side * side)])

"""Cup: a coin or nothing lies under each cup of a board; two cups change places, with what is under them."""

import random
import re

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

from .boards import LETTERS, SIDES, Board, Cell, cells, changed, drawn_values, on, squared
from .demo import Demo

Swap = tuple[Cell, Cell]
"""Two different cells, in the order of their labels."""

_SWAP = re.compile(r"([a-i][1-9]),([a-i][1-9])")
_COINS = re.compile(r"([2-9])x([2-9]): (none|[a-i][1-9](?:, [a-i][1-9])*+)")


class Cup(Demo[Board, Swap]):
    """A board with 1 for a coin; an operation is a pair of cells."""

    name = "cup"
    sizes = SIDES

    def start(self, size: int, rng: random.Random) -> Board:
        """Draw coins for a third to three quarters of the cups."""
        places = size * size
        return drawn_values(size, rng.randint(places // 3, 3 * places // 4), rng)

    def draw(self, state: Board, rng: random.Random) -> Swap:
        """Draw any two cups."""
        one, other = sorted(rng.sample(cells(state), 2))
        return one, other

    def after(self, state: Board, operation: Swap) -> Board:
        """Swap the cups."""
        one, other = operation
        if one == other or not (on(state, one) and on(state, other)):
            raise NoMove(f"swap {operation!r} is illegal: it takes two cups of the board")
        return changed(state, {one: state[other[0]][other[1]], other: state[one[0]][one[1]]})

    def write_operation(self, operation: Swap) -> str:
        """`a2,c1`."""
        return ",".join(map(name_of, operation))

    def read_operation(self, text: str) -> Swap:
        """Read two cups, in any order."""
        shown = _SWAP.fullmatch(text)
        if shown is None or shown[1] == shown[2]:
            raise NotAnAnswer(f"{text[:100]!r} is not two cups, as a2,c1")
        one, other = sorted(map(cell_of, shown.groups()))
        return one, other

    def write_state(self, state: Board) -> str:
        """`3x3: a1, b3`: the size, and where coins are."""
        return f"{len(state)}x{len(state)}: {', '.join(map(name_of, coins(state))) or 'none'}"

    def read_state(self, text: str) -> Board:
        """Read the size and the coins' cells."""
        shown = _COINS.fullmatch(text)
        if shown is None:
            raise NotAnAnswer(f"{text[:100]!r} is not a board of cups, as 3x3: a1, b3")
        side, named = int(shown[1]), set(shown[3].split(", "))
        board = squared(
            [int(f"{row}{column}" in named) for row in LETTERS[:side] for column in range(1, side + 1)]
        )
        if self.write_state(board) != text:
            raise NotAnAnswer(f"{text[:100]!r} does not name the coins of a square board row by row")
        return board


def coins(board: Board) -> list[Cell]:
    """Return the cells with a coin, row by row."""
    return [cell for cell in cells(board) if board[cell[0]][cell[1]]]


def name_of(cell: Cell) -> str:
    """`a1`."""
    return f"{LETTERS[cell[0]]}{cell[1] + 1}"


def cell_of(name: str) -> Cell:
    """Return the cell of a name such as `a1`."""
    return LETTERS.index(name[0]), int(name[1]) - 1


CUP = Cup()

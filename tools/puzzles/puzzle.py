"""The seam of a puzzle: what is legal, which move a procedure makes, and how a position, a move and a board are written.

A position is all that the next move depends on; a question shows it, and its answer is a move and, unless the move alone is wanted, the
board after it:

    checkers
    Previous move: [2, 3]                    move = [4, 2]
    Board: R R . R B B B                     board = R R B R . B B

Nothing of this is within a model's reach: it reads the question.  The procedure serves calibration (known answers), the audit, and
the doubles, which find the position in the question.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar, Generic, TypeVar

from surefoot.errors import BadInput

P = TypeVar("P", bound=Hashable)
B = TypeVar("B", bound=Hashable)
M = TypeVar("M", bound=Hashable)


class NoMove(BadInput):
    """The move breaks a rule of the puzzle, or the procedure knows none; the message says which."""


class Puzzle(ABC, Generic[P, B, M]):
    """One kind of puzzle, at any size: a position holds all there is to know."""

    name: ClassVar[str]
    """The first line of a question."""
    board_label: ClassVar[str]
    """What the board is called in an answer."""
    move_form: ClassVar[str]
    """The pattern of a written move; it gives nothing back."""
    board_form: ClassVar[str]
    """The pattern of a written board; it gives nothing back."""

    @abstractmethod
    def write_position(self, position: P) -> str:
        """Write a position, some lines."""

    @abstractmethod
    def read_position(self, lines: Sequence[str]) -> P:
        """Return the position that these lines show; raises ValueError if they show none."""

    @abstractmethod
    def right(self, position: P) -> M:
        """Return the move that the procedure makes; raises `NoMove` where it knows none."""

    @abstractmethod
    def others(self, position: P) -> Sequence[M]:
        """Return some moves that are not the procedure's, legal or not, in a fixed order."""

    @abstractmethod
    def after(self, position: P, move: M) -> B:
        """Return the board after a legal move; raises `NoMove` otherwise."""

    @abstractmethod
    def before(self, position: P) -> B:
        """Return the board as it is."""

    @abstractmethod
    def write_move(self, move: M) -> str:
        """Write a move."""

    @abstractmethod
    def read_move(self, text: str) -> M:
        """Parse what has the form of a move; raises `NotAnAnswer` if it is none."""

    @abstractmethod
    def write_board(self, board: B) -> str:
        """Write a board, on one line."""

    @abstractmethod
    def read_board(self, text: str) -> B:
        """Parse what has the form of a board, into its canonical form; raises `NotAnAnswer` if it is none."""

    def question(self, position: P) -> str:
        """Ask for the next move."""
        return f"{self.name}\n{self.write_position(position)}"

    def answer(self, move: M, board: B | None = None) -> str:
        """Return the right shape of an answer: the move, and the board after it unless the move alone is wanted."""
        written = f"move = {self.write_move(move)}"
        return written if board is None else f"{written}\n{self.board_label} = {self.write_board(board)}"


class FromTo(Puzzle[P, B, tuple[int, int]]):
    """A puzzle whose moves are two numbers: what moves, or from where, and to where."""

    move_form = r"\[\s*+\d{1,6}+\s*+,\s*+\d{1,6}+\s*+\]"

    def write_move(self, move: tuple[int, int]) -> str:
        """`[2, 3]`."""
        return str(list(move))

    def read_move(self, text: str) -> tuple[int, int]:
        """Read the two numbers."""
        source, target = map(int, re.findall(r"\d+", text))
        return source, target


def listed(item: str) -> str:
    """Return the pattern of a list of such items, perhaps empty, in square brackets."""
    return rf"\[\s*+(?:{item}\s*+(?:,\s*+{item}\s*+)*+)?+\]"

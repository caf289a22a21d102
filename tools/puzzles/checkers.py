"""Checkers jumping: two colours change sides on one line of 2n + 1 places, in (n + 1)² - 1 moves.

Red pieces `R` move to the right and blue ones `B` to the left, to the next place if that is empty, or over one piece of the other colour
to the empty place behind it.  The procedure, by which nothing is ever blocked:

    1. The colour that moved last jumps, if it can.
    2. Otherwise, if that last move was a jump, the same colour goes on to the next place, if it can.
    3. Otherwise the other colour jumps, if it can, or else goes on to the next place.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from surefoot.errors import BadInput

from .puzzle import FromTo, NoMove

Board = str
"""`RRR.BBB`: three red pieces, the empty place, three blue ones."""
CheckersMove = tuple[int, int]
"""From which place, and to which, counted from 0 on the left."""

EMPTY = "."
MOST_PAIRS = 1_000
"""1,002,000 moves."""
OTHER = {"R": "B", "B": "R"}
AHEAD = {"R": 1, "B": -1}
"""Which way a colour goes."""
_MIRROR = str.maketrans("RB", "BR")
_PREVIOUS = re.compile(r"Previous move: (?:none, ([RB]) begins|\[(\d{1,6}), (\d{1,6})\])")
_BOARD = re.compile(r"Board: ([RB.](?: [RB.])*)")


class CheckersPosition(NamedTuple):
    """What the next move depends on."""

    previous: CheckersMove | None
    begins: str
    """The colour that makes the first move."""
    board: Board


def start(pairs: int) -> Board:
    """Return the line with `pairs` pieces of each colour; raises `BadInput` for a number that cannot be played."""
    if not 1 <= pairs <= MOST_PAIRS:
        raise BadInput(f"checkers are played with 1 to {MOST_PAIRS} pieces of each colour, not {pairs!r}")
    return "R" * pairs + EMPTY + "B" * pairs


def length(pairs: int) -> int:
    """Return the number of moves of the only kind of solution there is, (n + 1)² - 1."""
    return (pairs + 1) ** 2 - 1


def reached(pairs: int, step: int) -> tuple[CheckersMove | None, Board]:
    """Return the move before step `step` of the solution, and the board that it led to.

    The colours take turns, red first, in 2n + 1 turns of 1, 2, ..., n, n, n, ..., 2, 1 moves.  The first n turns are jumps and then one step, the
    next one is all jumps, the last n are one step and then jumps.  At the end of a turn the board is known; from there it is walked.
    """
    begun, board, previous = 0, start(pairs), None
    for turn in range(1, 2 * pairs + 2):
        moves = min(turn, pairs, 2 * pairs + 2 - turn)
        if begun + moves > step:
            break
        begun += moves
        red, left = turn % 2 == 1, turn - pairs - 1
        if turn <= pairs:
            mixed, ends = "RB" * turn, ("R" * (pairs - turn), "B" * (pairs - turn))
        else:
            mixed, ends = "BR" * (pairs - left), ("B" * left, "R" * left)
        middle = EMPTY + mixed if red else mixed + EMPTY
        board = ends[0] + middle + ends[1]
        places = (1 if turn <= pairs or turn == 2 * pairs + 1 else 2) * (1 if red else -1)
        empty = board.index(EMPTY)
        previous = empty, empty + places
    for _ in range(step - begun):
        move = CHECKERS.right(position := CheckersPosition(previous, "R", board))
        previous, board = move, CHECKERS.after(position, move)
    return previous, board


def solved(board: Board) -> bool:
    """Whether the colours have changed sides."""
    pairs = len(board) // 2
    return board == "B" * pairs + EMPTY + "R" * pairs


def mirrored(board: Board) -> Board:
    """Return the board as it is seen from the other side, the colours named the other way round."""
    return board[::-1].translate(_MIRROR)


class CheckersPuzzle(FromTo[CheckersPosition, Board]):
    """Checkers jumping, of any length."""

    name = "checkers"
    board_label = "board"
    board_form = r"\[?+\s*+[RB.](?:[\s,]*+[RB.])*+"

    def write_position(self, position: CheckersPosition) -> str:
        """Write the move before and the board."""
        previous = position.previous
        told = f"none, {position.begins} begins" if previous is None else self.write_move(previous)
        return f"Previous move: {told}\nBoard: {self.write_board(position.board)}"

    def read_position(self, lines: Sequence[str]) -> CheckersPosition:
        """Read them back."""
        previous, board = _PREVIOUS.fullmatch(lines[0]), _BOARD.fullmatch(lines[1])
        if previous is None or board is None:
            raise ValueError("no position of checkers")
        begins, source, target = previous.groups()
        line = board[1].replace(" ", "")
        return CheckersPosition(None if begins else (int(source), int(target)), begins or "R", line)

    def right(self, position: CheckersPosition) -> CheckersMove:
        """Go by the procedure; the first move is a step of the colour that begins."""
        previous, begins, line = position
        empty = line.find(EMPTY)
        last = OTHER[begins] if previous is None else "R" if previous[1] > previous[0] else "B"
        jumped = previous is not None and abs(previous[1] - previous[0]) == 2
        for wanted, colour, places in ((True, last, 2), (jumped, last, 1), (True, OTHER[last], 2), (True, OTHER[last], 1)):  # fmt: skip
            move = empty - places * AHEAD[colour], empty
            if wanted and _broken_rule(line, move) is None and line[move[0]] == colour:
                return move
        raise NoMove(f"no piece can move as the procedure says on {line!r}")

    def others(self, position: CheckersPosition) -> Sequence[CheckersMove]:
        """Return what else can move, and a move the wrong way round."""
        right, empty = self.right(position), position.board.find(EMPTY)
        moves = [(empty + away, empty) for away in (-2, -1, 1, 2)]
        return [
            *(move for move in moves if move != right and _broken_rule(position.board, move) is None),
            (right[1], right[0]),
        ]

    def after(self, position: CheckersPosition, move: CheckersMove) -> Board:
        """Put the piece down on the empty place."""
        line = position.board
        if why := _broken_rule(line, move):
            raise NoMove(f"move {list(move)!r} is illegal: {why}")
        source, target = move
        pieces = list(line)
        pieces[target], pieces[source] = pieces[source], EMPTY
        return "".join(pieces)

    def before(self, position: CheckersPosition) -> Board:
        """Return the line."""
        return position.board

    def write_board(self, board: Board) -> str:
        """`R R . R B B B`: letters apart, since many tokenizers make one token of several."""
        return " ".join(board)

    def read_board(self, text: str) -> Board:
        """Leave out what is between the letters."""
        return re.sub(r"[\s,\[]", "", text)


def _broken_rule(line: Board, move: CheckersMove) -> str | None:
    """Say which rule a move breaks, or None if it is legal."""
    source, target = move
    if not (0 <= source < len(line) and 0 <= target < len(line)):
        return f"there is no place {max(move) if min(move) >= 0 else min(move)}"
    colour = line[source]
    if colour == EMPTY or line[target] != EMPTY:
        return "a piece goes to the empty place"
    places = (target - source) * AHEAD[colour]
    if places == 1:
        return None
    if places != 2:
        return f"{colour} goes one place ahead, or two over one piece"
    return (
        None
        if line[(source + target) // 2] == OTHER[colour]
        else f"{colour} jumps over {OTHER[colour]} alone"
    )


CHECKERS = CheckersPuzzle()

"""Frames of the demos on a square board: number, circle and cup."""

from collections.abc import Iterator

from .boards import LETTERS, Board, Cell, Move, beside, cells
from .canvas import BLACK, GOLD, GREY, LIGHT, ORANGE, RED, WHITE, Canvas, Colour, Point
from .circle import FIRST_COLUMN, CircleState
from .cup import Swap
from .number import GAP, moved

EDGE = 0.09
"""What the labels take on the left and at the top."""
ARROW = 0.24
"""The shaft of an arrow, in cells."""


class BoardGrid:
    """Where the cells of a board are, with labels of its rows and columns."""

    def __init__(self, canvas: Canvas, board: Board, first: int = 1) -> None:
        self.pitch = (1 - EDGE) / len(board)
        for number in range(len(board)):
            middle = EDGE + (number + 0.5) * self.pitch
            canvas.text((EDGE / 2, middle), LETTERS[number], EDGE, GREY)
            canvas.text((middle, EDGE / 2), str(number + first), EDGE, GREY)

    def at(self, cell: Cell) -> Point:
        """Return the middle of a cell."""
        return EDGE + (cell[1] + 0.5) * self.pitch, EDGE + (cell[0] + 0.5) * self.pitch


def _filled(board: Board) -> Iterator[tuple[Cell, int]]:
    return ((cell, board[cell[0]][cell[1]]) for cell in cells(board))


def number_state(canvas: Canvas, board: Board) -> None:
    """Show the numbers."""
    grid = BoardGrid(canvas, board)
    for cell, value in _filled(board):
        fill = WHITE if value == GAP else LIGHT
        canvas.box(grid.at(cell), 0.94 * grid.pitch, 0.94 * grid.pitch, fill, GREY)
        if value != GAP:
            canvas.text(grid.at(cell), str(value), 0.6 * grid.pitch, BLACK)


def number_operation(canvas: Canvas, board: Board, move: Move) -> None:
    """Show masked tiles, and an arrow across the one that moves."""
    grid, tile = BoardGrid(canvas, board), moved(board, move)
    for cell, value in _filled(board):
        fill = WHITE if value == GAP else canvas.style.tile
        canvas.box(grid.at(cell), 0.94 * grid.pitch, 0.94 * grid.pitch, fill, GREY)
    _arrow(canvas, grid, tile, move[0], (-0.4, 0.7), GOLD)


def circle_state(canvas: Canvas, state: CircleState) -> None:
    """Show the pieces, and the circle around one."""
    board, circle = state
    grid = _lines(canvas, board)
    canvas.disc(grid.at(circle), 0.48 * grid.pitch, RED)
    for cell, value in _filled(board):
        canvas.disc(grid.at(cell), 0.34 * grid.pitch, BLACK if value else WHITE, GREY)


def circle_operation(canvas: Canvas, state: CircleState, move: Move) -> None:
    """Show the circle, the pieces hidden, and an arrow to where it goes."""
    board, circle = state
    grid = _lines(canvas, board)
    for cell in cells(board):
        canvas.disc(grid.at(cell), 0.2 * grid.pitch, LIGHT)
    canvas.disc(grid.at(circle), 0.36 * grid.pitch, RED)
    _arrow(canvas, grid, circle, move[0], (0.0, 1.2), RED)


def cup_state(canvas: Canvas, board: Board) -> None:
    """Show the coins; a cup without one is an empty ring."""
    grid = BoardGrid(canvas, board)
    for cell, value in _filled(board):
        canvas.box(grid.at(cell), 0.94 * grid.pitch, 0.94 * grid.pitch, canvas.style.paper, LIGHT)
        canvas.disc(grid.at(cell), 0.36 * grid.pitch, GOLD if value else canvas.style.paper, GREY)


def cup_operation(canvas: Canvas, board: Board, swap: Swap) -> None:
    """Show covered cups, the two that change places in orange."""
    grid = BoardGrid(canvas, board)
    for cell in cells(board):
        _cup(canvas, grid.at(cell), grid.pitch, ORANGE if cell in swap else GREY)


def _lines(canvas: Canvas, board: Board) -> BoardGrid:
    grid, last = BoardGrid(canvas, board, FIRST_COLUMN), len(board) - 1
    for number in range(len(board)):
        canvas.line(grid.at((number, 0)), grid.at((number, last)), 0.012, GREY)
        canvas.line(grid.at((0, number)), grid.at((last, number)), 0.012, GREY)
    return grid


def _arrow(
    canvas: Canvas, grid: BoardGrid, cell: Cell, direction: str, reach: tuple[float, float], fill: Colour
) -> None:
    """Draw an arrow along a direction; `reach` is where it begins and ends, in cells from the middle of `cell`."""
    (x, y), ahead = grid.at(cell), grid.at(beside(cell, direction))
    start, end = ((x + each * (ahead[0] - x), y + each * (ahead[1] - y)) for each in reach)
    canvas.arrow(start, end, ARROW * grid.pitch, fill)


def _cup(canvas: Canvas, at: Point, pitch: float, fill: Colour) -> None:
    """Draw a cup upside down."""
    x, y = at
    outline = [(-0.26, -0.38), (0.26, -0.38), (0.42, 0.4), (-0.42, 0.4)]
    canvas.polygon([(x + right * pitch, y + down * pitch) for right, down in outline], fill)

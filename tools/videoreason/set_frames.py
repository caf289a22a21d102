"""Frames of the demos with piles, cups and paths: cards, chips and files."""

from collections.abc import Mapping, Sequence

from .canvas import BLACK, BLUE, GREEN, GREY, LIGHT, ORANGE, RED, WHITE, Canvas, Colour, Point
from .cards import Piles
from .chips import ChipChange, Cups
from .files import FILES, Command, Paths
from .sets import Change

CHIP_COLOURS: Mapping[int, Colour] = {5: RED, 10: BLUE, 20: GREEN, 50: ORANGE, 100: BLACK}
MARKS: Mapping[str, tuple[str, Colour]] = {"add": ("+", GREEN), "remove": ("-", RED)}
TERMINAL, LETTER = (24, 28, 34), (235, 235, 225)
COLUMNS = 16
"""Characters in a line of the terminal, where letters have their usual size."""


def cards_state(canvas: Canvas, piles: Piles) -> None:
    """Show the piles side by side, each from its top card down."""
    for number, pile in enumerate(piles):
        x = _middle(number, len(piles))
        canvas.text((x, 0.95), str(number), 0.1, GREY)
        height = 0.88 / max(len(pile), 5)
        for place, card in enumerate(reversed(pile)):
            _card(canvas, (x, (place + 0.5) * height + 0.01), (0.36, 0.92 * height), card)


def cards_operation(canvas: Canvas, piles: Piles, change: Change) -> None:
    """Show the piles face down, the card, its sign, and an arrow into the top or out of the bottom."""
    action, card, number = change
    for each in range(len(piles)):
        x = 0.12 if each == 0 else 0.88
        canvas.box((x, 0.5), 0.24, 0.3, ORANGE if each == number else LIGHT, GREY)
        canvas.text((x, 0.5), str(each), 0.22, BLACK)
    sign, colour = MARKS[action]
    x, away = (0.12, 1) if number == 0 else (0.88, -1)
    top = action == "add"
    start, end = (0.06, 0.32) if top else (0.68, 0.94)
    canvas.arrow((x, start), (x, end), 0.06, colour)
    _sign(canvas, (x + 0.25 * away, 0.13 if top else 0.87), sign, colour)
    _card(canvas, (0.5, 0.5), (0.46, 0.5), card)


def chips_state(canvas: Canvas, cups: Cups) -> None:
    """Show the chips of each cup."""
    for number, cup in enumerate(cups):
        x = _middle(number, len(cups))
        canvas.box((x, 0.5), 0.46, 0.96, WHITE, GREY)
        canvas.text((x, 0.92), str(number), 0.1, GREY)
        for place, value in enumerate(cup):
            right, down = place % 2, place // 2
            _chip(canvas, (x - 0.105 + 0.21 * right, 0.11 + 0.165 * down), 0.08, value)


def chips_operation(canvas: Canvas, cups: Cups, change: ChipChange) -> None:
    """Show the covered cups, the chip above one, its sign, and an arrow in or out."""
    action, value, number = change
    for each in range(len(cups)):
        at = _middle(each, 2), 0.84
        canvas.box(at, 0.44, 0.3, ORANGE if each == number else LIGHT, GREY)
        canvas.text(at, str(each), 0.24, BLACK)
    sign, colour = MARKS[action]
    x = _middle(number, 2)
    _chip(canvas, (x, 0.22), 0.21, value)
    start, end = (0.45, 0.68) if action == "add" else (0.68, 0.45)
    canvas.arrow((x, start), (x, end), 0.07, colour)
    _sign(canvas, (1 - x, 0.3), sign, colour)


def files_state(canvas: Canvas, paths: Paths) -> None:
    """Show what `ls` lists."""
    lines = [f"$ ls {' '.join(f'path{number}' for number in range(len(paths)))}"]
    for number, names in enumerate(paths):
        lines += [f"path{number}:", *_wrapped(names)]
    _terminal(canvas, lines)


def files_operation(canvas: Canvas, paths: Paths, command: Command) -> None:
    """Show the command line, broken into lines of the terminal."""
    line = f"$ {FILES.write_operation(command)}"
    _terminal(canvas, [line[start : start + COLUMNS] for start in range(0, len(line), COLUMNS)])


def _wrapped(names: Sequence[str]) -> list[str]:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > COLUMNS:
            lines.append("")
        lines[-1] += f"{name}  "
    return lines


def _terminal(canvas: Canvas, lines: Sequence[str]) -> None:
    """Write characters in columns of one width; more lines than there is room for are written smaller."""
    height = min(1.6 / COLUMNS, 0.96 / len(lines))
    width = height / 1.6
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            at = 0.01 + (column + 0.5) * width, 0.02 + (row + 0.5) * height
            canvas.text(at, character, 0.8 * height, LETTER)


def _middle(number: int, of: int) -> float:
    return (number + 0.5) / of


def _sign(canvas: Canvas, at: Point, sign: str, fill: Colour) -> None:
    """Draw + or - as bars: bolder than a letter."""
    canvas.box(at, 0.2, 0.06, fill)
    if sign == "+":
        canvas.box(at, 0.06, 0.2, fill)


def _chip(canvas: Canvas, at: Point, radius: float, value: int) -> None:
    canvas.disc(at, radius, CHIP_COLOURS[value], GREY)
    canvas.text(at, str(value), radius * (1.1 if value < 100 else 0.9), WHITE)


def _card(canvas: Canvas, at: Point, size: Point, card: str) -> None:
    """Draw a card: its rank on the left, or above if the card is upright, and its suit."""
    (x, y), (width, height) = at, size
    canvas.box(at, width, height, WHITE, GREY)
    fill = RED if card[-1] in "HD" else BLACK
    upright = height > width
    letter = 0.52 * height if upright else 0.8 * height
    rank, suit = ((x, y - 0.24 * height), (x, y + 0.24 * height)) if upright else ((x - 0.22 * width, y), (x + 0.22 * width, y))  # fmt: skip
    canvas.text(rank, card[:-1], letter, fill)
    _suit(canvas, suit, 0.42 * (height if upright else 1.8 * height), card[-1], fill)


def _suit(canvas: Canvas, at: Point, size: float, suit: str, fill: Colour) -> None:
    """Draw a suit about `size` high: the default font has no letters for them."""

    def place(right: float, down: float) -> Point:
        return at[0] + right * size, at[1] + down * size

    if suit == "D":
        canvas.polygon([place(0, -0.5), place(0.38, 0), place(0, 0.5), place(-0.38, 0)], fill)
        return
    if suit == "H":
        discs, point, base = [(-0.22, -0.2), (0.22, -0.2)], 0.5, -0.1
    elif suit == "S":
        discs, point, base = [(-0.22, 0.12), (0.22, 0.12)], -0.5, 0.05
    else:
        discs, point, base = [(-0.23, 0.1), (0.23, 0.1), (0, -0.23)], 0.0, 0.1
    for disc in discs:
        canvas.disc(place(*disc), 0.25 * size, fill)
    canvas.polygon([place(-0.43, base), place(0.43, base), place(0, point)], fill)
    if suit in "SC":
        canvas.polygon([place(-0.18, 0.5), place(0.18, 0.5), place(0, 0)], fill)

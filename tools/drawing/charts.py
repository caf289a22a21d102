"""Bar charts whose values are known."""

from typing import NamedTuple

from PIL import Image

from surefoot.errors import BadInput

from .canvas import COLOURS, DrawingStyle, canvas, write

MOST_BARS = 8
LARGEST = 999
BAR_PX, HEIGHT_PX, ROOM_PX = 52, 64, 24
_FILLS = list(COLOURS.values())

Place = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""


class Bars(NamedTuple):
    """A chart, and where its parts are."""

    image: Image.Image
    columns: tuple[Place, ...]
    """Each bar with its number and its letter."""
    numbers: tuple[Place, ...]


def draw_bars(values: tuple[int, ...], look: DrawingStyle | None = None) -> Bars:
    """Draw a bar for each value, its number above and its letter, A for the first, below."""
    look = look or DrawingStyle()
    if not 1 <= len(values) <= MOST_BARS or not all(0 <= value <= LARGEST for value in values):
        raise BadInput(f"a chart has 1 to {MOST_BARS} values from 0 to {LARGEST}, not {values!r}")
    image, draw = canvas(BAR_PX * len(values), HEIGHT_PX + 2 * ROOM_PX, look)
    columns, numbers = [], []
    for place, value in enumerate(values):
        left, middle = place * BAR_PX, place * BAR_PX + BAR_PX // 2
        top = round(ROOM_PX + HEIGHT_PX * (1 - value / max(1, *values)))
        draw.rectangle((left + 8, top, left + BAR_PX - 8, ROOM_PX + HEIGHT_PX), _FILLS[place % len(_FILLS)])
        write(draw, (middle, top - ROOM_PX / 2), str(value), 18, look)
        write(draw, (middle, HEIGHT_PX + 1.5 * ROOM_PX), chr(ord("A") + place), 18, look)
        columns.append((left, 0, left + BAR_PX, image.height))
        numbers.append((left, top - ROOM_PX, left + BAR_PX, top))
    return Bars(image, tuple(columns), tuple(numbers))

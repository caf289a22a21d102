"""What frames are drawn with: shapes and letters on a square of side 1, in few colours."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from PIL import Image, ImageDraw, ImageFont

from surefoot.errors import BadInput

Colour = tuple[int, int, int]
Point = tuple[float, float]
"""To the right and down, from 0 to 1 inside the margin."""

WHITE, BLACK, GREY, LIGHT = (255, 255, 255), (20, 20, 20), (140, 140, 140), (215, 215, 215)
RED, BLUE, GREEN, GOLD, ORANGE = (215, 30, 40), (40, 90, 205), (30, 140, 70), (245, 190, 30), (245, 130, 20)
PAPERS = (WHITE, (240, 240, 232), (228, 236, 245))
TILES = (BLUE, (25, 60, 150), (70, 120, 220))
FINER = 2
"""Shapes are drawn this many times as large and then reduced, for smooth edges."""
SIDES_PX = range(32, 2049)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a frame looks, beside what it shows."""

    margin: float = 0.03
    """The share of the picture that is left free on each side, at least."""
    shift: Point = (0.0, 0.0)
    """Where the drawing lies between its margins: -1 to 1, to the right and down."""
    font: float = 1.0
    """The size of letters, relative to the usual one."""
    paper: Colour = WHITE
    """The ground, but for terminals."""
    tile: Colour = BLUE
    """The mask of the number board."""

    @classmethod
    def drawn(cls, rng: random.Random) -> Self:
        """Draw a style at random."""
        return cls(
            margin=rng.uniform(0.01, 0.07),
            shift=(rng.uniform(-1, 1), rng.uniform(-1, 1)),
            font=rng.uniform(0.85, 1.1),
            paper=rng.choice(PAPERS),
            tile=rng.choice(TILES),
        )


class Canvas:
    """A square picture; all lengths are shares of the side inside the margin."""

    def __init__(self, size_px: int, style: Style, ground: Colour | None = None) -> None:
        if size_px not in SIDES_PX:
            raise BadInput(f"a frame has {SIDES_PX[0]} to {SIDES_PX[-1]} pixels a side, not {size_px!r}")
        self.style, self._size_px = style, size_px
        full = size_px * FINER
        self._image = Image.new("RGB", (full, full), ground or style.paper)
        self._draw = ImageDraw.Draw(self._image)
        self._side = full * (1 - 2 * style.margin)
        left, top = (full * style.margin * (1 + each / 2) for each in style.shift)
        self._origin = left, top

    def image(self) -> Image.Image:
        """Return what has been drawn, `size_px` pixels a side."""
        return self._image.reduce(FINER)

    def box(self, at: Point, width: float, height: float, fill: Colour, line: Colour | None = None) -> None:
        """Draw a rectangle with its centre at a point."""
        self._draw.rectangle(self._around(at, width, height), fill, line, FINER * 2)

    def disc(self, at: Point, radius: float, fill: Colour, line: Colour | None = None) -> None:
        """Draw a disc."""
        self._draw.ellipse(self._around(at, 2 * radius, 2 * radius), fill, line, FINER * 2)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Draw a filled polygon."""
        self._draw.polygon([self._at(point) for point in points], fill)

    def line(self, start: Point, end: Point, width: float, fill: Colour) -> None:
        """Draw a straight line."""
        self._draw.line([self._at(start), self._at(end)], fill, max(1, round(width * self._side)))

    def arrow(self, start: Point, end: Point, width: float, fill: Colour) -> None:
        """Draw an arrow upright or level, its head three times as wide as its shaft."""
        length = abs(end[0] - start[0]) + abs(end[1] - start[1])
        ahead = (end[0] - start[0]) / length, (end[1] - start[1]) / length
        head = min(2 * width, 0.6 * length)
        neck = end[0] - ahead[0] * head, end[1] - ahead[1] * head
        across = ahead[1] * 1.5 * width, ahead[0] * 1.5 * width
        self.line(start, neck, width, fill)
        sides = [(neck[0] + sign * across[0], neck[1] + sign * across[1]) for sign in (1, -1)]
        self.polygon([end, *sides], fill)

    def text(self, at: Point, text: str, height: float, fill: Colour) -> None:
        """Write text with its middle at a point; `height` is the size of the font."""
        size = max(4.0, height * self.style.font * self._side)
        self._draw.text(self._at(at), text, fill, ImageFont.load_default(size), anchor="mm")

    def _at(self, point: Point) -> Point:
        return self._origin[0] + point[0] * self._side, self._origin[1] + point[1] * self._side

    def _around(self, at: Point, width: float, height: float) -> tuple[float, float, float, float]:
        left, top = self._at((at[0] - width / 2, at[1] - height / 2))
        return left, top, left + width * self._side, top + height * self._side

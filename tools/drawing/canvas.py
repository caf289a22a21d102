"""What all drawings share: colours, and text in the middle of a place."""

from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

WHITE, BLACK = (255, 255, 255), (20, 20, 20)
COLOURS: dict[str, Colour] = {
    "red": (214, 39, 40),
    "blue": (31, 99, 190),
    "green": (30, 150, 60),
    "yellow": (240, 200, 30),
    "purple": (140, 60, 170),
    "orange": (245, 130, 30),
}


class DrawingStyle(NamedTuple):
    """How a drawing looks; what it shows does not depend on it."""

    ground: Colour = WHITE
    ink: Colour = BLACK
    scale: float = 1.0
    """Of letters and marks."""
    face: str | None = None
    """A TrueType file; None is the face that comes with Pillow."""


def canvas(width: int, height: int, look: DrawingStyle) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """Return an empty picture, and what draws on it."""
    image = Image.new("RGB", (width, height), look.ground)
    return image, ImageDraw.Draw(image)


def write(
    draw: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    text: str,
    size: float,
    look: DrawingStyle,
    ink: Colour | None = None,
) -> None:
    """Write `text` around a point, in letters of `size` pixels."""
    pixels = max(6.0, size * look.scale)
    font = ImageFont.truetype(look.face, pixels) if look.face else ImageFont.load_default(pixels)
    draw.text(centre, text, ink or look.ink, font=font, anchor="mm")

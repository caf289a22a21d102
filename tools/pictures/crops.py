"""Pieces of a picture: cut out by a box, cut to the ink, and framed in ways that make readers err differently."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, get_args

from surefoot.errors import BadInput
from surefoot.typed_input import check_fields

from .picture import Picture
from .pixels import decoded, encoded

with suppress(ImportError):  # `decoded` says so
    from PIL import Image, ImageChops, ImageOps

INK = 16
"""How far a pixel is from the background in any channel, of 255, to be ink; JPEG's noise on a plain ground stays below."""
MARGIN = 6
"""Pixels of background around the ink: with 2 to 8 readers erred least (measured on digits of 8 to 28 pixels)."""
MOST_SIDE = 1024
"""Pixels of a framed picture's longer side."""

Framing = Literal["as it is", "ink", "double", "inverted"]
FRAMINGS: tuple[Framing, ...] = get_args(Framing)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels: `left` and `top` are in it, `right` and `bottom` just outside.

    Raises `BadInput` for one without area, or beyond the left and upper edge of any picture.
    """

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        check_fields(self)
        if not (0 <= self.left < self.right and 0 <= self.top < self.bottom):
            raise BadInput(f"a box has 0 <= left < right and 0 <= top < bottom, not {self.edges!r}")

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def area(self) -> int:
        """Its pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    def common(self, other: "Box") -> int:
        """Return how many pixels are in both."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0, width) * max(0, height)

    def iou(self, other: "Box") -> float:
        """Return intersection over union: 0 for boxes apart, 1 for the same."""
        common = self.common(other)
        return common / (self.area + other.area - common)

    def around(self, other: "Box") -> "Box":
        """Return the smallest box with both in it."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Box(left, top, max(self.right, other.right), max(self.bottom, other.bottom))

    def grown(self, margin: int, size: tuple[int, int]) -> "Box":
        """Return it with `margin` pixels more on each side, as far as a picture of this (width, height) goes.

        A negative margin takes pixels away.  Raises `BadInput` for a box that is not in the picture, or if nothing is left.
        """
        width, height = size
        if self.right > width or self.bottom > height:
            raise BadInput(f"the box {self.edges!r} is not in a picture of {width} x {height} pixels")
        left, top = max(0, self.left - margin), max(0, self.top - margin)
        return Box(left, top, min(width, self.right + margin), min(height, self.bottom + margin))


def crop(picture: Picture, box: Box, margin: int = 0) -> Picture:
    """Return what is in the box and `margin` pixels around it, as PNG; raises `BadInput` as `Box.grown` does."""
    image = decoded(picture)
    return encoded(image.crop(box.grown(margin, image.size).edges))


def ink_box(picture: Picture) -> Box | None:
    """Return the smallest box with all that differs from the background, the commonest colour of the border; None if blank."""
    return ink_of(decoded(picture))


def framed(picture: Picture, framing: Framing, box: Box | None = None) -> Picture:
    """Return the picture, or what is in the box, as a reader shall see it.

        as it is    the very picture
        ink         cut to the ink, with `MARGIN` pixels of background around it
        double      the same at twice the size
        inverted    the same with dark and light exchanged

    All but the very picture have at most `MOST_SIDE` pixels a side: more is encoded for seconds, and no model looks at so many.  A blank picture
    has no ink, and is not cut.  Raises `BadInput` for another framing, and as `Box.grown` does.
    """
    if framing not in FRAMINGS:
        raise BadInput(f"a framing is one of {', '.join(FRAMINGS)}, not {framing!r}")
    if framing == "as it is" and box is None:
        return picture
    image = decoded(picture)
    if box is not None:
        image = image.crop(box.grown(0, image.size).edges)
    image.thumbnail((MOST_SIDE - 2 * MARGIN, MOST_SIDE - 2 * MARGIN))
    if framing != "as it is":
        image = cut_to_ink(image)
    if framing == "double":
        scale = min(2, MOST_SIDE / max(image.size))
        image = image.resize([max(1, round(scale * side)) for side in image.size], Image.Resampling.LANCZOS)
    return encoded(ImageOps.invert(image) if framing == "inverted" else image)


def background(image: "Image.Image") -> tuple[int, int, int]:
    """Return the commonest colour along the four edges of an RGB image."""
    width, height = image.size
    edges = (
        (0, 0, width, 1),
        (0, height - 1, width, height),
        (0, 0, 1, height),
        (width - 1, 0, width, height),
    )
    border = b"".join(image.crop(edge).tobytes() for edge in edges)
    counts = Counter(zip(border[::3], border[1::3], border[2::3], strict=True))
    return max(counts, key=lambda colour: (counts[colour], colour))


def contrast(image: "Image.Image") -> "Image.Image":
    """Return how far each pixel of an RGB image is from the background, in its farthest channel, 8 bits."""
    ground = Image.new("RGB", image.size, background(image))
    red, green, blue = ImageChops.difference(image, ground).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def ink_of(image: "Image.Image") -> Box | None:
    """Return the ink box of an RGB image."""
    found = contrast(image).point(lambda value: 255 * (value > INK)).getbbox()
    return Box(*found) if found else None


def cut_to_ink(image: "Image.Image") -> "Image.Image":
    """Return the ink of an RGB image with `MARGIN` pixels of background on each side, or a blank one as it is."""
    ink = ink_of(image)
    if ink is None:
        return image
    return ImageOps.expand(image.crop(ink.edges), MARGIN, background(image))

"""Between a `Picture` and its pixels: where pictures are decoded and encoded, by Pillow, which is an extra."""

from collections.abc import Callable
from io import BytesIO
from typing import TypeVar

from surefoot.errors import BadInput

from .picture import Picture

try:
    from PIL import Image, UnidentifiedImageError
    from PIL.ImageFile import ImageFile
except ImportError as error:
    # Pictures travel without it: say so only when one is to be decoded.
    MISSING: ImportError | None = error
else:
    MISSING = None

T = TypeVar("T")

MOST_PIXELS = 50_000_000
"""Of a picture that is decoded: three bytes each in memory."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""What is decoded; nobody needs the parsers of Pillow's forty other formats to be open to strangers."""
SIXTEEN_BIT_STEP = 257
"""What 16 bits are divided by for 8."""


def opened(data: bytes, what: str = "a picture") -> "ImageFile":
    """Return an image of which the header is read, and nothing else; `what` is its name in messages.

    Raises `BadInput` for what is empty, in another format, damaged, or larger than `MOST_PIXELS`.
    """
    if MISSING:
        raise BadInput(f"pictures need Pillow ({MISSING}): `pip install 'surefoot[vision]'`")
    if not data:
        raise BadInput(f"{what} is empty: there is nothing to look at")
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise BadInput(
            f"{what} is no PNG, JPEG, WebP, GIF or BMP that can be read (it begins with {data[:8]!r}): convert it to PNG"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadInput(_huge(what, "far more pixels")) from None
    except Exception as error:
        raise BadInput(_damaged(what, error)) from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadInput(_huge(what, f"{width} x {height} pixels"))
    return image


def whole(work: Callable[[], T], what: str) -> T:
    """Do what decodes; raises `BadInput` for whatever Pillow raises, which for damaged files is any kind of error."""
    try:
        return work()
    except Exception as error:
        raise BadInput(_damaged(what, error)) from error


def decoded(picture: Picture) -> "Image.Image":
    """Return the pixels as an RGB image, 8 bits a channel, on white where it is transparent; raises `BadInput`."""
    image = opened(picture.data, repr(picture))
    whole(image.load, repr(picture))
    return flattened(image)


def encoded(image: "Image.Image") -> Picture:
    """Return an image as a PNG: the same pixels are always the same bytes, by the same Pillow."""
    file = BytesIO()
    image.save(file, "PNG", icc_profile=None)  # that of a CMYK file would be left in it otherwise
    return Picture(file.getvalue())


def flattened(image: "Image.Image") -> "Image.Image":
    """Return an RGB image, 8 bits a channel, on white where it is transparent."""
    if image.mode.startswith(
        "I"
    ):  # by itself Pillow cuts off at 255, which makes nearly all of 16 bits white
        image = image.convert("I").point(lambda value: value / SIXTEEN_BIT_STEP).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def size_of(picture: Picture) -> tuple[int, int]:
    """Return width and height in pixels, from the header; raises `BadInput`."""
    return opened(picture.data, repr(picture)).size


def _huge(what: str, size: str) -> str:
    return f"{what} has {size}, and at most {MOST_PIXELS:,} are looked at: make it smaller"


def _damaged(what: str, error: Exception) -> str:
    return f"{what} is damaged ({type(error).__name__}: {error}): save it again"

"""From what a user hands in to a `Picture` that can be sent: what no server takes is told here, in one sentence."""

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from surefoot.errors import BadInput
from surefoot.typed_input import checked

from .picture import Picture
from .pixels import encoded, flattened, opened, whole

with suppress(ImportError):  # `opened` says so
    from PIL import Image, ImageOps
    from PIL.ImageFile import ImageFile

MOST_BYTES = 20_000_000
"""Of one file; OpenAI and Gemini take no more in a request."""
MOST_PICTURES = 16
"""Of one question; what a server takes depends on how it was started."""
JPEG_QUALITY = 95
"""Of a photo that had to be turned: as PNG it would be five times as large."""

_SENT = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""What servers take as it is."""
_SUFFIXES = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "HEIC": (".heic", ".heif"),
    "AVIF": (".avif",),
}
_NAMED = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes}
"""What a file's name says that it holds."""
_ORIENTATION, _TURNED = 0x0112, range(2, 9)
"""The tag of EXIF, and its values that mean something; cameras write 0, too."""


@checked
def read_picture(source: str | Path | bytes) -> Picture:
    """Return the still picture of a file, or of its bytes, as a server can be shown it.

        PNG, JPEG, WebP                     the very bytes
        turned by its EXIF orientation      turned, as JPEG if it was one and otherwise as PNG
        still GIF, BMP                      as PNG
        16 bit, CMYK, palette               as PNG, 8 bit RGB
        with transparent places             as PNG, on white

    Raises `BadInput` for what cannot be read, is empty, truncated, animated, called by another format's name, larger than
    `MOST_BYTES`, or of more pixels than `pixels.MOST_PIXELS`; neither is read before its size is known.
    """
    name, data = ("a picture", source) if isinstance(source, bytes) else _file(source)
    if len(data) > MOST_BYTES:
        raise BadInput(_too_long(name, len(data)))
    image = opened(data, name)
    # A photo with a second one behind it, for depth, is shown as the first.
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    if not isinstance(source, bytes):
        _check_name(name, Path(source).suffix, kind)
    if image.format != "MPO" and whole(lambda: getattr(image, "is_animated", False), name):
        raise BadInput(f"{name} is animated, and a picture stands still: hand in the frames that matter")
    return whole(lambda: _as_sent(image, kind, data), name)


@checked
def read_pictures(sources: Sequence[str | Path | bytes]) -> tuple[Picture, ...]:
    """Return the picture of each source; raises `BadInput` as `read_picture` does, and for more than `MOST_PICTURES`."""
    if isinstance(sources, str | bytes):
        raise BadInput("pictures come as a list: put the one into brackets")
    if len(sources) > MOST_PICTURES:
        raise BadInput(f"a question has at most {MOST_PICTURES} pictures, not {len(sources)!r}: ask in parts")
    return tuple(map(read_picture, sources))


def _file(source: str | Path) -> tuple[str, bytes]:
    """Return how a file is called in messages, and its bytes."""
    name, path = repr(str(source)), Path(source)
    try:
        if not path.is_file():  # of a pipe or a device nobody knows the length
            raise BadInput(f"{name} is no file: give the path of a picture")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise BadInput(_too_long(name, size))
        return name, path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror or error}") from error


def _too_long(name: str, size: int) -> str:
    return f"{name} is {size:,} bytes long, and at most {MOST_BYTES:,} are sent: make it smaller"


def _check_name(name: str, suffix: str, kind: str) -> None:
    called = _NAMED.get(suffix.lower(), kind)
    if called != kind:
        raise BadInput(f"{name} is called {called} and holds {kind}: rename it, or hand in the right one")


def _as_sent(image: "ImageFile", kind: str, data: bytes) -> Picture:
    """Return the bytes as they are if every server shows them as they are meant, and otherwise a copy that is."""
    image.load()
    turned = image.getexif().get(_ORIENTATION) in _TURNED
    plain = image.mode in ("RGB", "L") and not image.has_transparency_data and not _is_deep(kind, data)
    if kind in _SENT and plain and not turned:
        return Picture(data, _SENT[kind])
    upright = ImageOps.exif_transpose(image)
    return _jpeg(upright) if kind == "JPEG" and plain else encoded(flattened(upright))


def _is_deep(kind: str, data: bytes) -> bool:
    """Whether a PNG has 16 bits a channel, which Pillow does not tell of colours: the byte after both sizes does."""
    return kind == "PNG" and data[24] > 8


def _jpeg(image: "Image.Image") -> Picture:
    file = BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, icc_profile=image.info.get("icc_profile"))
    return Picture(file.getvalue(), "image/jpeg")

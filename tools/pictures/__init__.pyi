"""What `surefoot.tools.pictures` offers."""

from .crops import FRAMINGS, Box, Framing, crop, framed, ink_box
from .picture import Picture
from .pixels import encoded, size_of
from .reading import read_picture, read_pictures

__all__ = [
    "FRAMINGS",
    "Box",
    "Framing",
    "Picture",
    "crop",
    "encoded",
    "framed",
    "ink_box",
    "read_picture",
    "read_pictures",
    "size_of",
]

"""What `surefoot.tools.pictures` offers."""

from .crops import FRAMINGS, Box, Framing, crop, framed, ink_box
from .picture import Picture
from .pixels import encoded, size_of
from .reading import read_picture, read_pictures
from .rewards import answer_reward, caption_reward, format_reward, iou_of_unions

__all__ = [
    "FRAMINGS",
    "Box",
    "Framing",
    "Picture",
    "answer_reward",
    "caption_reward",
    "crop",
    "encoded",
    "format_reward",
    "framed",
    "ink_box",
    "iou_of_unions",
    "read_picture",
    "read_pictures",
    "size_of",
]

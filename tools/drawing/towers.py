"""Towers of Hanoi as a picture: three pegs, each disk with its number."""

from PIL import Image

from surefoot.errors import BadInput
from surefoot.tools.towers.board import PEGS, Pegs

from .canvas import COLOURS, WHITE, Colour, DrawingStyle, canvas, write

MOST_DISKS = 9
PEG_PX, DISK_PX, LABEL_PX, EDGE_PX = 120, 24, 40, 10
_FILLS = list(COLOURS.values())


def draw_towers(pegs: Pegs, look: DrawingStyle | None = None) -> Image.Image:
    """Draw a board; it is as high as all of its disks on one peg."""
    look = look or DrawingStyle()
    disks = sum(map(len, pegs))
    if not 1 <= disks <= MOST_DISKS:
        raise BadInput(f"a board of 1 to {MOST_DISKS} disks is drawn, not of {disks!r}")
    height = _height(disks)
    image, draw = canvas(PEGS * PEG_PX, height, look)
    for peg, stack in enumerate(pegs):
        middle = peg * PEG_PX + PEG_PX // 2
        draw.rectangle((middle - 2, EDGE_PX, middle + 2, height - EDGE_PX), faint(look))
        for level, disk in enumerate(stack):
            half = 14 + (PEG_PX // 2 - 20) * disk / disks
            bottom = height - EDGE_PX - level * DISK_PX
            box = (middle - half, bottom - DISK_PX + 1, middle + half, bottom - 1)
            draw.rounded_rectangle(box, 5, _FILLS[disk % len(_FILLS)])
            write(draw, (middle, bottom - DISK_PX / 2), str(disk), 18, look, WHITE)
    return image


def peg_box(peg: int, disks: int) -> tuple[int, int, int, int]:
    """Return where a peg is in the picture of a board: left, top, right and bottom, in pixels."""
    return peg * PEG_PX, 0, (peg + 1) * PEG_PX, _height(disks)


def label_box(peg: int, disks: int) -> tuple[int, int, int, int]:
    """Return where the numbers of a peg's disks are, and little else."""
    middle = peg * PEG_PX + PEG_PX // 2
    return middle - LABEL_PX // 2, 0, middle + LABEL_PX // 2, _height(disks)


def faint(look: DrawingStyle) -> Colour:
    """Return a colour that is no ink (`surefoot.tools.pictures.crops.INK`): readers of text take a pole for a 1."""
    red, green, blue = (value + 12 if value < 128 else value - 12 for value in look.ground)
    return red, green, blue


def _height(disks: int) -> int:
    return 2 * EDGE_PX + (disks + 1) * DISK_PX

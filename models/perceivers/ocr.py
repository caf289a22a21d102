"""Text by rapidocr: PP-OCR networks whose weights come in its wheel, run by onnxruntime on the CPU.

What is done here and not by rapidocr, since it was seen to go wrong there (3.10.0):

    all three flags at each call       one that is left out is that of the call before
    no angle classifier                it turns 99 into 66, and a lone 7 into L
    boxes read one by one              a digit that two boxes share is read twice; I is turned on its side, and is _
    a small line is not searched for   a lone digit is read well and found badly
    wide gaps part what is read        a column is no space, and 12 beside 7 is read as 127
    no narrow picture is searched      it is enlarged beyond measure
"""

import threading
from collections.abc import Hashable, Iterable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.tools.pictures.crops import Box, background, cut_to_ink, ink_of
from surefoot.tools.pictures.picture import Picture
from surefoot.tools.pictures.pixels import decoded

from .ink import COLUMNS, ROWS, extent, ink, runs
from .reader import Reader

with suppress(ImportError):  # the constructor says so
    import numpy as np
    from PIL import ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]

LIBRARIES = ("numpy", "PIL", "rapidocr", "onnxruntime")
CELL_PX = 100
"""A line in a picture that is no larger, on either side, is read at once, and not searched for first."""
ASPECT = 2
"""What is searched has background added until its longer side is no more than so many times the shorter one.

rapidocr enlarges a picture until its shorter side has 736 pixels: for one of 12 x 200 it took 21 s and 1.7 GB.
"""
LEAST_SCORE = 0.5
"""Text of which the network is less sure is left out; it is rapidocr's own limit."""
GAP = 0.6
"""Where ink is so far apart, in heights of the ink, two pieces are read: a network reads "12  7" as 127, and is sure of it."""
SAME_LINE = 0.5
"""Share of the lower box's height that two boxes of one line have in common."""
_ONE_THREAD = {
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}
"""The reader has threads of its own."""

_making = threading.Lock()


class OcrReader(Reader):
    """All text in a picture, lines from top to bottom, whatever the question; "" if there is none.

    Only upright text is read.  Looking again gives the same errors: two ballots are two engines, or two framings.  Raises `BadInput` if the extra `ocr` is not installed.
    """

    def __init__(self, *, name: str = "ocr", threads: int | None = None) -> None:
        if lacking := [library for library in LIBRARIES if find_spec(library) is None]:
            raise BadInput(f"{name} needs {' and '.join(lacking)}: `pip install 'surefoot[ocr]'`")
        super().__init__(name, threads=threads)
        self._own = threading.local()

    def key(self, picture: Picture, question: str, ask: Ask) -> Hashable:
        """Return the picture's digest: it reads the same for any question."""
        return picture.digest

    def look(self, picture: Picture, question: str, ask: Ask) -> str:
        """Return the text."""
        image = decoded(picture)
        if ink_of(image) is None:
            return ""
        small = max(image.size) <= CELL_PX
        if small and len(runs(ink(image), ROWS)) == 1 and (text := self._read(image)):
            return text
        if not (boxes := self._boxes(image)):
            piece = cut_to_ink(image)
            return self._read(piece) if max(piece.size) <= CELL_PX else ""
        lines = in_lines(part for box in merged(boxes) for part in _parts(image, box))
        read = (" ".join(filter(None, (self._read(image.crop(box.edges)) for box in line))) for line in lines)
        return "\n".join(filter(None, read))

    def _boxes(self, image: "Image.Image") -> list[Box]:
        """Return where there is text."""
        width, height = image.size
        wide, high = max(width, height // ASPECT), max(height, width // ASPECT)
        padded = ImageOps.expand(image, (0, 0, wide - width, high - height), background(image))
        found = self._engine()(_bgr(padded), use_det=True, use_cls=False, use_rec=False).boxes
        corners = [] if found is None else found
        return [box for each in corners if (box := _upright(each, image.size))]

    def _read(self, image: "Image.Image") -> str:
        """Return the one line of text in an image."""
        found = self._engine()(_bgr(image), use_det=False, use_cls=False, use_rec=True)
        if not found.txts or found.scores[0] < LEAST_SCORE:
            return ""
        return str(found.txts[0]).strip()

    def _engine(self) -> Any:
        """Return this thread's engine: one keeps what it is told between calls."""
        if not hasattr(self._own, "engine"):
            with _making:  # it sets up a logger and reads settings that all share
                params = {"Global.log_level": "critical", **_ONE_THREAD}
                self._own.engine = import_module("rapidocr").RapidOCR(params=params)
        return self._own.engine


def merged(boxes: Iterable[Box]) -> list[Box]:
    """Return boxes of which no two in one line have pixels in common: those that do are read as one."""
    apart: list[Box] = []
    for box in boxes:
        while other := next((each for each in apart if box.common(each) and _one_line(box, each)), None):
            apart.remove(other)
            box = box.around(other)
        apart.append(box)
    return apart


def in_lines(boxes: Iterable[Box]) -> list[list[Box]]:
    """Return boxes in lines from top to bottom, each from left to right."""
    lines: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: (box.top + box.bottom, box.left)):
        if lines and _one_line(lines[-1][0], box):
            lines[-1].append(box)
        else:
            lines.append([box])
    return [sorted(line, key=lambda box: box.left) for line in lines]


def _parts(image: "Image.Image", box: Box) -> list[Box]:
    """Return a box in pieces, cut in the middle of every wide gap."""
    piece = image.crop(box.edges)
    if ink_of(piece) is None:
        return []
    shades = ink(piece)
    top, bottom = extent(shades, ROWS)
    cuts = [
        box.left + (end + start) // 2
        for (_, end), (start, _) in pairwise(runs(shades, COLUMNS))
        if start - end > GAP * (bottom - top)
    ]
    return [Box(left, box.top, right, box.bottom) for left, right in pairwise((box.left, *cuts, box.right))]


def _one_line(one: Box, other: Box) -> bool:
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    return common >= SAME_LINE * min(one.bottom - one.top, other.bottom - other.top)


def _bgr(image: "Image.Image") -> "Pixels":
    """Return an image as rapidocr wants arrays: OpenCV's order of colours."""
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def _upright(corners: "NDArray[np.float32]", size: tuple[int, int]) -> Box | None:
    """Return the smallest box around four corners, as far as it is in the picture."""
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)), size).astype(int).tolist()
    return Box(left, top, right, bottom) if left < right and top < bottom else None

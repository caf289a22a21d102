"""Ink as numbers: how much there is in each pixel, and where it begins and ends."""

from contextlib import suppress
from typing import TYPE_CHECKING

from surefoot.tools.pictures.crops import contrast

with suppress(ImportError):  # whoever reads says so
    import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    Ink = NDArray[np.float32]

INKED = 0.4
"""Share of the darkest ink from which on a pixel belongs to a letter: the blur between two letters is below."""
ROWS, COLUMNS = 1, 0
"""The axis along which a row, or a column, has ink or has none."""


def ink(image: "Image.Image") -> "Ink":
    """Return how much ink is in each pixel of an RGB image that is not blank, from 0 to 1: an array of height by width."""
    found: Ink = np.asarray(contrast(image), dtype=np.float32)
    return found / np.float32(found.max())


def runs(ink: "Ink", axis: int) -> list[tuple[int, int]]:
    """Return where each run of inked rows or columns begins, and where it is over."""
    inked: NDArray[np.bool_] = np.max(ink, axis=axis) > INKED
    steps = np.flatnonzero(np.diff(inked, prepend=False, append=False)).tolist()
    return list(zip(steps[::2], steps[1::2], strict=True))


def extent(ink: "Ink", axis: int) -> tuple[int, int]:
    """Return where the first inked row or column begins, and where the last is over."""
    found = runs(ink, axis)
    return found[0][0], found[-1][1]

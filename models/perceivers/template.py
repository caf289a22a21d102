"""A glyph matcher: each piece of ink is brought to one size and compared with the letters of Pillow's own typeface.

It knows one typeface and no context, and it errs elsewhere than a network that was trained on text.
"""

from collections.abc import Hashable
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from surefoot.errors import BadInput
from surefoot.models.base import Ask
from surefoot.tools.pictures.crops import ink_of
from surefoot.tools.pictures.picture import Picture
from surefoot.tools.pictures.pixels import decoded

from .ink import COLUMNS, ROWS, extent, ink, runs
from .reader import Reader

with suppress(ImportError):  # the constructor says so
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from .ink import Ink

DIGITS = "0123456789"
SIZES_PX = (8, 10, 12, 14, 18, 24, 32, 48)
"""Of the letters that are compared with: small ones have other edges, and one more size costs nothing."""
WIDTH, HEIGHT = 20, 28
"""What every glyph is brought to, in its own proportions."""
LEAST_SCORE = 0.7
"""The correlation below which a piece of ink is no letter: at 0.6 the first wrong readings came, in typefaces that it does not know."""
LEAST_HEIGHT_PX = 7
"""Of a line; below it digits look alike."""
MOST_TOUCHING_PX = 16
"""Height of a line up to which two letters may touch; in larger ones the typeface keeps them apart."""
GAP, PITCH = 0.25, 1.0
"""A space: ink so far apart, and middles so far apart, in heights of a line.  Either alone is found in 11 or between wide letters."""


class TemplateReader(Reader):
    """The letters of `alphabet` in a picture, line by line, whatever the question.

    Lines and letters must be apart: a touching pair, a border or a drawing is no letter, and one piece that is none makes
    the answer "".  Raises `BadInput` if the extra `vision` is not installed.
    """

    def __init__(self, *, alphabet: str = DIGITS, name: str = "template", threads: int | None = None) -> None:
        if lacking := [library for library in ("numpy", "PIL") if find_spec(library) is None]:
            raise BadInput(f"{name} needs {' and '.join(lacking)}: `pip install 'surefoot[vision]'`")
        if not alphabet or not alphabet.isprintable() or " " in alphabet:
            raise BadInput(f"an alphabet is letters to be told apart, not {alphabet!r}")
        super().__init__(name, threads=threads)
        self._letters = [letter for letter in alphabet for _ in SIZES_PX]
        self._templates = np.stack(
            [_normal(_drawn(letter, size)) for letter in alphabet for size in SIZES_PX]
        )

    def key(self, picture: Picture, question: str, ask: Ask) -> Hashable:
        """Return the picture's digest: it reads the same for any question."""
        return picture.digest

    def look(self, picture: Picture, question: str, ask: Ask) -> str:
        """Return the letters."""
        image = decoded(picture)
        if ink_of(image) is None:
            return ""
        shades = ink(image)
        lines = [self._line(shades[top:bottom]) for top, bottom in runs(shades, ROWS)]
        return "\n".join(lines) if all(lines) else ""

    def _line(self, line: "Ink") -> str:
        """Return the text of a line; "" if any of it is no letter."""
        text, end, middle = "", line.shape[1], float("inf")
        for left, right in runs(line, COLUMNS) if len(line) >= LEAST_HEIGHT_PX else ():
            word = self._letter(line[:, left:right])[0] or self._pair(line[:, left:right])
            if not word:
                return ""
            apart = left - end > GAP * len(line) and (left + right) / 2 - middle > PITCH * len(line)
            text += f" {word}" if apart else word
            end, middle = right, (left + right) / 2
        return text

    def _pair(self, glyphs: "Ink") -> str:
        """Return two letters that touch, cut where both are likest to letters; "" if there is no such place."""
        height, width = glyphs.shape
        wide = height / 2 < width < 2 * height
        cuts = range(2, width - 1) if wide and height <= MOST_TOUCHING_PX else ()
        pairs = [(self._letter(glyphs[:, :cut]), self._letter(glyphs[:, cut:])) for cut in cuts]
        best = max(pairs, key=lambda pair: min(pair[0][1], pair[1][1]), default=(("", 0.0), ("", 0.0)))
        return best[0][0] + best[1][0] if best[0][0] and best[1][0] else ""

    def _letter(self, glyph: "Ink") -> tuple[str, float]:
        """Return the letter that a glyph is likest to, "" if to none, and its correlation."""
        scores = self._templates @ _normal(glyph)
        best = int(scores.argmax())
        score = float(scores[best])
        return (self._letters[best] if score >= LEAST_SCORE else ""), score


def _drawn(letter: str, size: int) -> "Ink":
    """Return the ink of a letter of `size` pixels."""
    image = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(image).text((size // 2, size // 2), letter, 255, font=ImageFont.load_default(size))
    found: Ink = np.asarray(image, dtype=np.float32) / np.float32(255)
    return found


def _normal(glyph: "Ink") -> "Ink":
    """Return a glyph as a vector of length 1 and mean 0, so that a product of two is their correlation."""
    (top, bottom), (left, right) = extent(glyph, ROWS), extent(glyph, COLUMNS)
    image = Image.fromarray(glyph[top:bottom, left:right])
    scale = min(WIDTH / image.width, HEIGHT / image.height)
    width, height = (max(1, round(side * scale)) for side in image.size)
    grid = Image.new("F", (WIDTH, HEIGHT))
    corner = ((WIDTH - width) // 2, (HEIGHT - height) // 2)
    grid.paste(image.resize((width, height), Image.Resampling.BILINEAR), corner)
    vector: Ink = np.asarray(grid, dtype=np.float32).ravel()
    vector = vector - vector.mean()
    length = max(float(np.sqrt(vector @ vector)), 1e-6)  # of a plain block nothing is left
    return vector / np.float32(length)

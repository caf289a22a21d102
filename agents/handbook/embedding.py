"""How alike two texts are: the `Embedding` seam, and one that needs no model."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Protocol
from zlib import crc32

from surefoot.errors import BadInput

Vector = Sequence[float]
LONGEST = 10_000
"""Characters of a text that are looked at."""


class Embedding(Protocol):
    """Turns texts into vectors: the more alike two texts are, the larger is the cosine of their vectors."""

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return a vector for each text, all of the same number of dimensions."""
        ...


class HashedGrams:
    """Counts of hashed character n-grams: knows spelling and no meaning, and gives the same vectors everywhere.

    N-grams of words, their ends marked, as in fastText (Bojanowski et al. 2017, arXiv 1607.04606), and added up with a sign by feature hashing
    (Weinberger et al. 2009, arXiv 0902.2206).  The vector of a text that says something has length 1.
    """

    def __init__(self, dimensions: int = 512, grams: tuple[int, ...] = (3, 4)) -> None:
        if dimensions < 1 or not grams or min(grams) < 1:
            raise BadInput(
                f"n-grams of 1 character or more go into 1 dimension or more, not {grams!r} into {dimensions!r}"
            )
        self._dimensions, self._grams = dimensions, grams

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return the vectors; takes time linear in the length of the texts, of which the first 10,000 characters count."""
        return [self._vector(text[:LONGEST]) for text in texts]

    def _vector(self, text: str) -> Vector:
        found = [0.0] * self._dimensions
        for gram, count in self._counted(text).items():
            number = crc32(gram.encode(errors="replace"))
            found[number // 2 % self._dimensions] += count if number % 2 else -count
        length = math.hypot(*found)
        return [each / length for each in found] if length else found

    def _counted(self, text: str) -> Counter[str]:
        grams: Counter[str] = Counter()
        for word in "".join(each if each.isalnum() else " " for each in text.lower()).split():
            marked = f"<{word}>"
            for size in self._grams:
                grams.update(marked[at : at + size] for at in range(max(1, len(marked) - size + 1)))
        return grams


HASHED = HashedGrams()


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of two vectors; 0 if one of them is all zeros."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0

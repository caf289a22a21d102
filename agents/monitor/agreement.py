"""How far scores agree with labels: Spearman's rank correlation, with an interval that says how little n labels tell."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from surefoot.errors import BadInput

from .readers.files import contents

ENOUGH = 20
"""Labels below which no figure is worth much; the paper's own validation (rho = 0.80) had 20."""
Z95 = 1.959964


class Label(BaseModel):
    """One line of a labelled file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """A trajectory; a relative path starts from the folder of the labels."""
    score: float = Field(allow_inf_nan=False)
    """On any scale whose order is that of the judge: only ranks count."""


class Agreement(NamedTuple):
    """How well two orders agree."""

    rho: float | None
    """Spearman's correlation, -1 to 1; None where one side is all alike or there are fewer than two pairs."""
    low: float | None
    """The 95 % interval, from four pairs on."""
    high: float | None
    pairs: int

    @classmethod
    def of(cls, scores: Sequence[float], labels: Sequence[float]) -> Self:
        """Compare two series, pair by pair.

        The interval is Fisher's, with the variance of Bonett and Wright (2000), (1 + rho^2 / 2) / (n - 3).  A perfect rho counts
        in it as the next smaller one that n ranks allow, 1 - 12 / (n^3 - n), for a finite sample shows no certainty.
        """
        if len(scores) != len(labels):
            raise BadInput(f"{len(scores)} scores cannot be compared with {len(labels)} labels")
        n = len(scores)
        rho = spearman(scores, labels)
        if rho is None or n < 4:
            return cls(rho, None, None, n)
        most = 1 - 12 / (n**3 - n)
        bounded = min(max(rho, -most), most)
        centre, reach = math.atanh(bounded), Z95 * math.sqrt((1 + bounded**2 / 2) / (n - 3))
        return cls(rho, min(rho, math.tanh(centre - reach)), max(rho, math.tanh(centre + reach)), n)

    @property
    def verdict(self) -> str:
        """What may be concluded, in one sentence."""
        if self.rho is None:
            return f"{self.pairs} labels whose scores or labels do not differ: nothing can be said about agreement"
        if self.low is None or self.pairs < ENOUGH:
            return f"{self.pairs} labels are too few to rely on the figure: label at least {ENOUGH}"
        if self.low <= 0:
            return "the interval includes 0: no agreement is shown; take another judge, or more votes"
        sure = math.floor(self.low * 100) / 100
        return f"with 95 % confidence the judge's order agrees with the labels by at least {sure:.2f}"


def read_labels(path: Path) -> list[tuple[Path, float]]:
    """Read a JSONL file of `{"file": ..., "score": ...}`; raises `BadInput`, naming the line."""
    try:
        lines = contents(path).decode().split("\n")
    except (OSError, ValueError) as error:
        raise BadInput(f"the labels {str(path)!r} cannot be read: {error}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            label = Label.model_validate_json(line)
        except ValidationError:
            raise BadInput(
                f'line {number} of {str(path)!r} is no label; one looks like {{"file": "run.json", "score": 7}}'
            ) from None
        found.append((path.parent / label.file, label.score))
    if not found:
        raise BadInput(f"there is no label in {str(path)!r}")
    return found


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the rank correlation, ties sharing the mean of their ranks; None if either side does not vary."""
    a, b = _ranks(first), _ranks(second)
    scale = math.sqrt(_product(a, a) * _product(b, b))
    return None if scale == 0 else min(max(_product(a, b) / scale, -1.0), 1.0)


def _ranks(values: Sequence[float]) -> list[float]:
    """Return ranks, less their mean."""
    ordered = sorted(values)
    return [
        (bisect_left(ordered, value) + bisect_right(ordered, value) - len(ordered)) / 2 for value in values
    ]


def _product(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))

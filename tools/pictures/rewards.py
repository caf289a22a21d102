"""Scores of an answer that points into a picture, as SATORI-R1 (arXiv 2505.19094) rewards one; here they only score.

| score | of |
| --- | --- |
| `format_reward` | the form: `<caption>...</caption><bbox>...</bbox><answer>...</answer>`, one of each, in this order |
| `answer_reward` | the answer, beside those that are accepted |
| `iou_of_unions` | where it looked: the pixels of all its boxes beside those of all the right ones |

The reward of the caption, half BLEU-4 and half ROUGE-L, is left out: it likens words, and needs two packages.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from surefoot.errors import BadInput

from .crops import Box

LONGEST = 100_000
"""Characters of a text; one that is longer scores 0."""
MOST_BOXES = 1_000
"""On both sides together: the time goes with their square."""

_TAG = re.compile(r"<(/?)(caption|bbox|answer)>")
_ORDER = [(end, name) for name in ("caption", "bbox", "answer") for end in ("", "/")]


def format_reward(text: str) -> float:
    """Return 1 for a text of the three tags in their order, with nothing but blanks outside of them, and 0 for any other."""
    # One tag more than there may be is enough to know.
    parts = _TAG.split(text.strip(), len(_ORDER) + 1) if len(text) <= LONGEST else []
    outside = parts[::6]
    tags = list(zip(parts[1::3], parts[2::3], strict=True))
    return float(tags == _ORDER and not any(each.strip() for each in outside))


def answer_reward(text: str, accepted: Collection[str]) -> float:
    """Return 1 if what stands between the answer's tags, the blanks around it apart, is one of the texts that are accepted, and 0 if not.

    A text without the form has no answer.  Raises `BadInput` for one text in place of several.
    """
    if isinstance(accepted, str):
        raise BadInput(f"accepted are several texts, not the one text {accepted[:100]!r}: put it into a list")
    if not format_reward(text):
        return 0.0
    return float(_TAG.split(text)[-4].strip() in accepted)


def iou_of_unions(found: Sequence[Box], right: Sequence[Box]) -> float:
    """Return the share of the pixels in any of the boxes that are in boxes of both sides: |F and R| / |F or R|, from 0 to 1.

    Exact.  Without boxes on either side it is 0, as SATORI-R1 has it, which adds 1e-6 to the denominator.  Raises `BadInput` for more than
    `MOST_BOXES`.
    """
    if len(found) + len(right) > MOST_BOXES:
        raise BadInput(f"at most {MOST_BOXES:,} boxes are compared, not {len(found) + len(right):,}")
    either = _area((*found, *right))
    return (_area(found) + _area(right) - either) / either if either else 0.0


def _area(boxes: Sequence[Box]) -> int:
    """Return the pixels in any of the boxes: between two neighbouring left or right edges the same rows are covered everywhere."""
    edges = sorted({edge for box in boxes for edge in (box.left, box.right)})
    slabs = pairwise(edges)
    return sum(
        (end - begin) * _covered(box for box in boxes if box.left <= begin < box.right)
        for begin, end in slabs
    )


def _covered(boxes: Iterable[Box]) -> int:
    """Return how many rows the boxes cover."""
    rows = reach = 0
    for top, bottom in sorted((box.top, box.bottom) for box in boxes):
        rows += max(0, bottom - max(top, reach))
        reach = max(reach, bottom)
    return rows

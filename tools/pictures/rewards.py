"""Scores of an answer that points into a picture, as SATORI-R1 (arXiv 2505.19094) rewards one; here they only score.

| score | of |
| --- | --- |
| `format_reward` | the form: `<caption>...</caption><bbox>...</bbox><answer>...</answer>`, one of each, in this order |
| `caption_reward` | the words of the caption, beside those of the right one |
| `answer_reward` | the answer, beside those that are accepted |
| `iou_of_unions` | where it looked: the pixels of all its boxes beside those of all the right ones |

The caption's likens words, not what they say: "no red bar" is much like "a red bar".  It needs the extra `captions`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise

from surefoot.errors import BadInput

from .crops import Box

LONGEST = 100_000
"""Characters of a text; one that is longer scores 0."""
MOST_BOXES = 1_000
"""On both sides together: the time goes with their square."""
LONGEST_CAPTION = 2_000
"""Characters: the time of ROUGE-L goes with the product of the words on both sides."""
LIBRARIES = ("nltk", "rouge_score")
STEMMED = 4
"""Letters of a word, at least, for it to be stemmed, as in ROUGE-1.5.5."""

_TAG = re.compile(r"<(/?)(caption|bbox|answer)>")
_ORDER = [(end, name) for name in ("caption", "bbox", "answer") for end in ("", "/")]
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[^\W_]+")


def format_reward(text: str) -> float:
    """Return 1 for a text of the three tags in their order, with nothing but blanks outside of them, and 0 for any other."""
    # One tag more than there may be is enough to know.
    parts = _TAG.split(text.strip(), len(_ORDER) + 1) if len(text) <= LONGEST else []
    outside = parts[::6]
    tags = list(zip(parts[1::3], parts[2::3], strict=True))
    return float(tags == _ORDER and not any(each.strip() for each in outside))


def caption_reward(text: str, right: str) -> float:
    """Return how much what stands between the caption's tags is in the words of the right caption, from 0 to 1.

    (BLEU-4 + ROUGE-L's F1) / 2: BLEU of lower-cased words and marks with the first smoothing of Chen and Cherry (2014), by nltk, and ROUGE-L of
    stemmed words, by rouge-score.  By BLEU's definition identical captions of fewer than four words score less than 1.  SATORI-R1 differs in two
    places: its sentences end where a model that nltk downloads says so, here at . ! ? before a blank; and its ROUGE knows no letters but a to z, here
    those of every script count.  Where words are not parted by blanks, a run of letters is one.

    A text without the form has no caption, and one of more than `LONGEST_CAPTION` characters scores 0.  Raises `BadInput` for a longer right caption,
    and if the extra `captions` is not installed.
    """
    if len(right) > LONGEST_CAPTION:
        raise BadInput(f"a right caption has at most {LONGEST_CAPTION:,} characters, not {len(right):,}")
    likeness = _likeness()
    caption = _TAG.split(text)[3] if format_reward(text) else ""
    return likeness(caption, right) if len(caption) <= LONGEST_CAPTION else 0.0


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


@cache
def _likeness() -> Callable[[str, str], float]:
    """Return what compares a caption with the right one; nltk takes a second to import, which only its users pay."""
    if lacking := [library for library in LIBRARIES if find_spec(library) is None]:
        raise BadInput(
            f"a caption's reward needs {' and '.join(lacking)}: `pip install 'surefoot[captions]'`"
        )
    bleu = import_module("nltk.translate.bleu_score")
    smoothed = bleu.SmoothingFunction().method1
    rouge = import_module("rouge_score.rouge_scorer").RougeScorer(["rougeL"], tokenizer=_Stems())
    tokenized = import_module("nltk.tokenize").word_tokenize

    def tokens(text: str) -> list[str]:
        sentences = _SENTENCE.split(text.lower())
        return [token for each in sentences for token in tokenized(each, preserve_line=True)]

    def likeness(caption: str, right: str) -> float:
        words = bleu.sentence_bleu([tokens(right)], tokens(caption), smoothing_function=smoothed)
        return float(words + rouge.score(right, caption)["rougeL"].fmeasure) / 2

    return likeness


class _Stems:
    """What rouge-score splits a text into: its own tokenizer drops every letter but a to z."""

    def __init__(self) -> None:
        self._stem: Callable[[str], str] = import_module("nltk.stem.porter").PorterStemmer().stem

    def tokenize(self, text: str) -> list[str]:
        """Return the stems of the words."""
        words = _WORD.findall(text.lower())
        return [self._stem(word) if len(word) >= STEMMED else word for word in words]

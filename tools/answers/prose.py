"""Answers in words: where a text says its answer, whether that is words at all, and which numbers stand in it."""

import re

from surefoot.printable import encodable
from surefoot.voting.flags import NotAnAnswer

from .last_lines import placed_lines
from .normal_forms import Kind, normal, unquoted

Span = tuple[int, int]
"""Where something stands in a text: its first character, and the one after its last."""

_ANSWER = re.compile(r"([*_`]*+)\s*+[Aa]nswer\s*+=\s*+(\S.*+)")
_MINUS = str.maketrans(dict.fromkeys("−–‐‑﹣－", "-"))
"""What else is written for it; a dash between two digits is joined to them either way."""
_NUMBER = re.compile(r"(?:(?<!\w)-)?(?:(?<!\w)\.)?\d++(?:(?:[.,:/^-]|\*\*|[eE][+-]?+)\d++)*+")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})++(?:\.\d++)?")
_JSON_WORDS = frozenset({"true", "false", "null"})
_EXACT: tuple[Kind, ...] = ("number", "quantity", "date")


def answer_span(text: str) -> Span | None:
    """Return where the answer stands in a text whose last line is `answer = ...`; None if that line is another.

    Marks around the line, and backticks around the answer, are no part of it.
    """
    place, line = next(placed_lines(text), (0, ""))
    match = _ANSWER.fullmatch(line.strip())
    if match is None:
        return None
    place += len(line) - len(line.lstrip()) + match.start(2)
    # Marks at the end belong to those at the beginning, or they are part of the answer.
    said = match[2].removesuffix(match[1][::-1]).rstrip()
    if len(said) > 1 and said[0] == said[-1] == "`":
        said = said[1:-1].rstrip()
        place += 1 + len(said) - len(said.lstrip())
        said = said.lstrip()
    return place, place + len(said)


def in_words(said: str) -> str | None:
    """Return the normal form of an answer in words.

    None for a number, a quantity, a date, and JSON but for a text, whose normal forms say all that there is to say; for
    what has no letter in it, such as `(1, 2)`, `≤ 5` and `五`; and for no answer.
    """
    said = said.strip()
    if (
        said.startswith(("[", "{"))
        or said in _JSON_WORDS
        or not any(each.isalpha() and not each.isnumeric() for each in said)
        or not encodable(said)
        or any(_is(unquoted(said), kind) for kind in _EXACT)
    ):
        return None
    try:
        return normal(said)
    except NotAnAnswer:
        return None


def numbers_in(said: str) -> tuple[str, ...]:
    """Return the numbers that stand in an answer, sorted as text: two answers with other numbers do not mean the same.

    Signs count, separators of thousands do not.  What is joined to a number, `1/2`, `5:30`, `3-1`, `1e5` or `11/12/2026`, is one with it, and
    keeps its order.  Words for numbers are none.
    """
    digits = (
        found.replace(",", "") if _THOUSANDS.fullmatch(found) else found
        for found in _NUMBER.findall(said.translate(_MINUS))
    )
    others = (each for each in said if each.isnumeric() and not each.isdecimal())
    return tuple(sorted((*digits, *others)))


def _is(said: str, kind: Kind) -> bool:
    try:
        normal(said, kind)
    except NotAnAnswer:
        return False
    return True

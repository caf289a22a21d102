"""Answers that a text ends with: the wanted lines, whole, one after the other, with nothing between or after them but marks.

What comes before is ignored: thoughts, or an answer that was taken back.  A model that goes on after its answer, with half of another or
with words, is correcting itself, and lines that are taken from two answers are the decision of neither: such a text is no answer.
"""

import re
from collections.abc import Iterator

from surefoot.voting.flags import NotAnAnswer

_WORD = re.compile(r"\w")


def last_lines(text: str) -> Iterator[str]:
    """Go through the lines that say something, the last one first; others are blank, or marks such as those around code.

    What comes before the lines that are asked for is not looked at, however long it is.
    """
    return (found for _, found in placed_lines(text))


def placed_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the same lines, each with the place in the text where it begins."""
    end = len(text)
    while end >= 0:
        begin = text.rfind("\n", 0, end) + 1
        place = end
        for whole in reversed(text[begin:end].splitlines(keepends=True)):
            place -= len(whole)
            if _WORD.search(whole):
                yield place, whole.splitlines()[0]
        end = begin - 1


def line(label: str, value: str) -> re.Pattern[str]:
    """Return the pattern of a line `label = value`, marks at both ends; `value` is a pattern that gives nothing back, and is the first group."""
    return re.compile(rf"\W*+{label}\s*+=\s*+({value})\W*+")


def in_form(form: re.Pattern[str], what: str, lines: Iterator[str]) -> str:
    """Return the value on the next of the lines; raise `NotAnAnswer` if that has another form."""
    match = form.fullmatch(next(lines, ""))
    if match is None:
        raise missing(what)
    return match[1]


def missing(what: str) -> NotAnAnswer:
    """Return the error that says which line there is not."""
    return NotAnAnswer(f"there is no line '{what}' in the wanted form where the text should end with it")

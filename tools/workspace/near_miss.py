"""Where a text almost stands in a file: what an edit that finds nothing is told."""

import re

_WORD = re.compile(r"\w+")
SHOWN = 12
"""Lines of the file that are shown."""
LONGEST_LINE = 300
"""Characters of a line that are shown."""


def numbered(lines: list[str], first: int) -> str:
    """Return lines with their numbers, as every tool shows them; `first` is the number of the first."""
    return "\n".join(f"{first + place:6}\t{_cut(line)}" for place, line in enumerate(lines))


def near_miss(text: str, wanted: str) -> str:
    """Return the lines of `text` that are most like `wanted`, numbered; "" where none is.

    A line counts fully if it is one of the wanted but for white space at its ends, else by the share of its words that
    are among the wanted ones.  Takes time linear in both lengths.
    """
    looked_for = wanted.strip("\n").split("\n")
    whole = {line.strip() for line in looked_for} - {""}
    words = set(_WORD.findall(wanted))
    lines = text.split("\n")
    scores = [_score(line, whole, words) for line in lines]
    size = min(len(looked_for), SHOWN, len(lines))
    total = sum(scores[:size])
    best, at = total, 0
    for start in range(1, len(lines) - size + 1):
        total += scores[start + size - 1] - scores[start - 1]
        if total > best + 1e-9:
            best, at = total, start
    return numbered(lines[at : at + size], at + 1) if best >= 0.5 else ""


def _score(line: str, whole: set[str], words: set[str]) -> float:
    if line.strip() in whole:
        return 2.0
    found = _WORD.findall(line)
    shared = sum(word in words for word in found)
    return shared / max(len(found), 1) if shared > 1 or len(words) == 1 else 0.0


def _cut(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE // 2]} [{len(line) - LONGEST_LINE:,} characters left out] {line[-LONGEST_LINE // 2 :]}"

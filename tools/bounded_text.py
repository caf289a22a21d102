"""Texts of bounded length: what a model is shown of a long one, and what a sentence quotes of a value."""

import re

from surefoot.printable import printable

LONGEST = 16_000
"""Characters that an observation of a built-in tool holds."""
QUOTED = 120
"""Characters that a sentence quotes of a value."""
WORDS = 500
"""Characters that a sentence has of somebody else's words."""

_HALF = re.compile("[\ud800-\udfff]")


def bounded(text: str, longest: int = LONGEST) -> str:
    """Return at most about `longest` characters of a text, its head and its tail, and say what was left out between them.

    Whole lines are left out where that loses less than half of a part.  Halves of pairs, which no journal takes, are escaped.
    """
    if len(text) <= longest:
        return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    head, tail = text[: longest // 2], text[-(longest - longest // 2) :]
    if 2 * (cut := head.rfind("\n") + 1) > len(head):
        head = head[:cut]
    if 0 < 2 * (cut := tail.find("\n") + 1) < len(tail):
        tail = tail[cut:]
    left_out = len(text) - len(head) - len(tail)
    lines = text.count("\n", len(head), len(text) - len(tail))
    notice = f"[{left_out:,} characters left out here, with {lines:,} line breaks]"
    return bounded(f"{head.removesuffix(chr(10))}\n{notice}\n{tail}", len(text) + len(notice) + 2)


def one_line(text: str, longest: int = WORDS) -> str:
    """Return a text as one line that can be shown: white space made single, nothing that steers a terminal, cut in the middle."""
    if len(text) > 4 * longest:
        text = f"{text[: 2 * longest]} {text[-2 * longest :]}"
        text = f"{' '.join(text.split())[: longest // 2]} ... {' '.join(text.split())[-longest // 2 :]}"
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= longest else f"{shown[: longest // 2]} ... {shown[-longest // 2 :]}"


def quoted(value: object, longest: int = QUOTED) -> str:
    """Return how a sentence quotes a value from outside: its `repr`, cut."""
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]!r}... ({len(value):,} characters)"
    shown = repr(value)
    return shown if len(shown) <= 2 * longest else f"{shown[:longest]}..."


def sentence_of(error: BaseException) -> str:
    """Return the type and the words of somebody's exception as one bounded line, whatever its `str` does."""
    try:
        words = str(error)
    except Exception as broken:
        words = f"its words cannot be read, {type(broken).__name__}"
    kind = type(error).__name__
    return one_line(f"{kind}: {words}") if words.strip() else kind

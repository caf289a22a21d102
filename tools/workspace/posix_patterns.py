"""Regular expressions as models write them, in the form that `grep -E` reads: it takes linear time, whatever the pattern."""

import re

from surefoot.tools.bounded_text import quoted
from surefoot.tools.failed import ToolFailed

from .passed import LONGEST_WORD

REPETITIONS = 1_000
"""Largest product of a pattern's repetition counts: each multiplies the size of the automaton."""

_PIECE = re.compile(
    r"""
      (?P<set> \[ \^? \]? (?: \[:\w+:\] | \\. | [^\]\\] )* \] )
    | (?P<unclosed> \[ )
    | (?P<escape> \\. )
    | (?P<repeat> (?: [*+?] | \{[0-9]*,?[0-9]*\} ) \?? )
    | (?P<group> \(\? :? )
    | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)
_ITEM = re.compile(r"\[:\w+:\]|\\.|.", re.DOTALL)
_SPECIAL = frozenset("\\.[](){}*+?^$|<>")
"""What a backslash makes plain, and the two signs that it makes the edges of a word."""
_LETTERS = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "t": "\t",
    "r": "\r",
    "f": "\f",
    "v": "\v",
    "A": "^",
    "Z": "$",
    "z": "$",
}
_SAME = frozenset("wWsSbB")
_IN_SET = {"d": "0-9", "w": "[:alnum:]_", "s": "[:space:]", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


def extended(pattern: str) -> str:
    """Return a POSIX extended regular expression that matches the same lines.

    Raises `ToolFailed` with a sentence for what such an expression cannot say, and for one that would need much memory.
    """
    if len(pattern) > LONGEST_WORD:
        raise ToolFailed(
            f"a pattern has at most {LONGEST_WORD:,} bytes; this one has {len(pattern):,} characters"
        )
    made: list[str] = []
    product = 1
    for piece in _PIECE.finditer(pattern):
        text = piece[0]
        match piece.lastgroup:
            case "set":
                made.append(_set(text))
            case "unclosed":
                raise ToolFailed(
                    f"the pattern has a [ that is not closed: {quoted(pattern[piece.start() :])}"
                )
            case "escape":
                made.append(_escape(text[1]))
            case "group":
                if text != "(?:":
                    raise ToolFailed(
                        "search knows no groups such as (?=...) or (?i): use ignore_case, or several searches"
                    )
                made.append("(")
            case "repeat":
                # As few as possible or as many: the same lines match.
                made.append(text if len(text) == 1 else text.removesuffix("?"))
                product *= max([1, *(int(count[-9:]) for count in re.findall("[0-9]+", text))])
            case _:
                made.append(text)
    if product > REPETITIONS:
        raise ToolFailed(f"the repetition counts of the pattern multiply to more than {REPETITIONS:,}")
    return "".join(made)


def _escape(sign: str) -> str:
    if sign in _LETTERS:
        return _LETTERS[sign]
    if sign in _SPECIAL or sign in _SAME:
        return f"\\{sign}"
    if sign.isalnum():
        raise ToolFailed(
            f"search knows no {quoted(chr(92) + sign)} in a pattern: write what it stands for, or search for plain text"
        )
    return sign


def _set(text: str) -> str:
    """Return a set of characters: within one POSIX knows no backslash, and these four are plain only where they cannot be signs."""
    negated = text.startswith("[^")
    items = _ITEM.findall(text[1 + negated : -1])
    plain = {"]": False, "[": False, "^": False, "-": False}
    middle: list[str] = []
    for place, item in enumerate(items):
        first, last = place == 0, place == len(items) - 1
        in_range = not first and not last and (items[place - 1] == "-" or items[place + 1] == "-")
        sign = item[-1]
        if (
            item in ("\\]", "\\-", "\\^", "\\[")
            or (sign == "-" and (first or last))
            or (len(item) == 1 and sign in "][^" and not in_range)
        ):
            plain[sign] = True
        else:
            middle.append(_item(item))
    if plain["^"] and not (middle or negated or plain["]"] or plain["["]):
        return "[-^]" if plain["-"] else "\\^"
    ends = "".join(sign for sign in "[^-" if plain[sign])
    return f"[{'^' * negated}{']' * plain[']']}{''.join(middle)}{ends}]"


def _item(item: str) -> str:
    if len(item) != 2 or item[0] != "\\":
        return item
    if item[1] in _IN_SET:
        return _IN_SET[item[1]]
    if item[1].isalnum():
        raise ToolFailed(f"search knows no {quoted(item)} in a set of characters: write what it stands for")
    return item[1]

"""Readers of free answers: each makes a value of a text, so that two answers that say the same are equal.

The published scorer asks a language model whether the answer "contains all information in the ground truth".  These readers compare
exactly instead: what is missing, and what is too much, is wrong.  Capitals do not count; a text that leaves a choice is no answer.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from surefoot.voting.flags import NotAnAnswer

from .boards import LETTERS, NONE, Cell
from .cards import PACK, RANKS, SUITS
from .files import ENDINGS, FILES, Command

Reader = Callable[[str], Hashable]

FINAL = "Final Answer"
ORDINAL = r"\b(\d{1,7}+)(?:st|nd|rd|th)\b"
_GAP = r"[:\s`*]{1,6}+"
_LABEL = r"(?<!\w)\(?([a-i]),?\s?(\d)\)?"
_PAIR = re.compile(rf"{_LABEL}{_GAP}(\w{{1,5}})\b")
_CELL = re.compile(r"\(([a-i]),\s?(\d)\)")
_COIN = re.compile(r"\b([a-i])([1-9])\b")
_MOVED = re.compile(rf"{ORDINAL}{_GAP}\(([a-i]),\s?(\d)\)[:\s]{{1,4}}+(up|down|left|right)")
_DIRECTION = re.compile(r"\b(up|down|left|right)(?:wards?)?\b")
_CUPS = r"\(?([a-i][1-9])(?:,\s?([a-i][1-9]))?\b"
_SWAPPED = re.compile(rf"{ORDINAL}{_GAP}{_CUPS}")
_FILE = re.compile(rf"\b[a-z]\.(?:{'|'.join(ENDINGS)})\b")
_COMMAND = re.compile(
    rf"{ORDINAL}{_GAP}((?:touch|rm|cp|mv) [^{{}}\n]{{1,20}}+\{{[^{{}}\n]*+\}}(?: path[01]/)?)"
)
_SUITS = "|".join(SUITS.values()).lower()
CARD = rf"\b({'|'.join(RANKS.values()).lower()}) of ({_SUITS})\b"
_CARD = re.compile(CARD)
_DEALT = re.compile(rf"{ORDINAL}{_GAP}{CARD}[,\s]{{1,4}}+(pile[01])\b")
_PUT = re.compile(rf"{ORDINAL}{_GAP}(\d{{1,3}}+)[,\s]{{1,4}}+(cup[01])\b")
_NUMBER = re.compile(r"(?<!\w)\d{1,7}+(?!\w)")
_WORTH = re.compile(r"\b(start|end)\b[,:\s`*]{1,6}+(\d{1,7}+)\b")
_EQUAL = re.compile(r"\bequal")
_UNEQUAL = re.compile(r"\b(?:unequal|not|never)\b|n['’]t\b")
_NONE = re.compile(r"[\W_]*+none(?: of them)?[\W_]*+")
_CHOICE = re.compile(r"\bor\b|(?<=[\w)])\s{0,3}+/(?<!path[01]/)")
_HEADING = re.compile(r"[:*\s]*+[^:,.;\n]*+:")
_LISTED = rf"{ORDINAL}[`*\s]{{0,6}}+:"
ANY_CELL = re.compile(r"(?<!\w)[a-i](?:,\s?)?\d")
_A_CELL = re.compile(rf"{ANY_CELL.pattern}|{_LISTED}")
_A_COMMAND = re.compile(rf"path[01]|\{{|{_LISTED}")
_A_SUIT = re.compile(rf"\b(?:{_SUITS})\b")
_A_CARD = re.compile(rf"{_A_SUIT.pattern}|\bpile[01]\b|{_LISTED}")
_A_CUP = re.compile(rf"\bcup[01]\b|{_LISTED}")
_NAMED = {name.lower(): card for card, name in PACK.items()}


def final_answer(response: str) -> str:
    """Return what follows the first "Final Answer"; raises `NotAnAnswer` if nothing does."""
    final = response.partition(FINAL)[2].strip()
    if not final:
        raise NotAnAnswer(f"nothing follows {FINAL!r}")
    return final


def unhedged(text: str) -> str:
    """Return a text in lower case; raises `NotAnAnswer` for one that leaves a choice, as `3 or 4` and `3/4`."""
    lower = text.lower()
    if _CHOICE.search(lower):
        raise NotAnAnswer(f"{text[:100]!r} leaves a choice")
    return lower


def all_found(form: re.Pattern[str], part: re.Pattern[str], text: str) -> list[Any]:
    """Return all that is in a form; raises `NotAnAnswer` if beside it there is a part of one that is not."""
    found = form.findall(text)
    if found and (left := part.search(form.sub(" ", text))):
        raise NotAnAnswer(f"{text[:100]!r} has {left[0][:20]!r} in another form than is wanted")
    return found


def board_values(words: Mapping[str, int] | None = None) -> Reader:
    """Return a reader of `(a,1): 3` or `a1: coin`: the pairs of a cell and a value, numbers unless words are given."""

    def read(text: str) -> Hashable:
        pairs = all_found(_PAIR, ANY_CELL, unhedged(text))
        found = [(row, column, _value(word, words)) for row, column, word in pairs]
        return frozenset(found) or _nothing(text)

    return read


def counted_cells(text: str) -> Hashable:
    """Read `2: (b,2), (c,2)`: how many, and where, in any order."""
    text = unhedged(text)
    found = all_found(_CELL, ANY_CELL, text)
    return _count(_CELL.sub("", text)), tuple(sorted(found))


def coin_cells(text: str) -> Hashable:
    """Read `a2, b1, c3`."""
    return frozenset(all_found(_COIN, ANY_CELL, unhedged(text))) or _nothing(text)


def moved_tiles(text: str) -> Hashable:
    """Read `2nd: (a,2) right`, line by line."""
    return _some(all_found(_MOVED, _A_CELL, unhedged(text)), text)


def directions(text: str) -> tuple[str, ...]:
    """Read `down, leftward`: the directions in order; those of a heading, as `The right moves are:`, are none."""
    text = unhedged(text)
    heading = _HEADING.match(text)
    return tuple(_DIRECTION.findall(text, heading.end() if heading else 0))


def listed_directions(text: str) -> Hashable:
    """Read directions of which there is at least one."""
    return _some(list(directions(text)), text)


def swapped_cups(text: str) -> Hashable:
    """Read `2nd: (a2, c2)` or `1st: b2`: an ordinal, and one or two cups in any order."""
    swaps = all_found(_SWAPPED, _A_CELL, unhedged(text))
    return tuple((order, frozenset({one, other or one})) for order, one, other in swaps) or _nothing(text)


def file_names(text: str) -> Hashable:
    """Read `a.txt, b.py`, in any order."""
    return frozenset(_FILE.findall(unhedged(text))) or _nothing(text)


def counted_files(text: str) -> Hashable:
    """Read "2 `.txt` files: a.txt, b.txt": how many, and which, in any order."""
    text = unhedged(text)
    return _count(_FILE.sub("", text)), frozenset(_FILE.findall(text))


def ordered_commands(text: str) -> Hashable:
    """Read `1st: touch path0/{a.txt,b.py}`, line by line; the names of a command may be in any order."""
    lines = all_found(_COMMAND, _A_COMMAND, unhedged(text))
    found: list[tuple[str, Command]] = [(order, FILES.read_operation(line.strip())) for order, line in lines]
    return _some(found, text)


def ordered_cards(text: str) -> Hashable:
    """Read `6 of Hearts, King of Clubs`, in this order."""
    return tuple(_cards(unhedged(text))) or _nothing(text)


def set_of_cards(text: str) -> Hashable:
    """Read cards in any order."""
    return frozenset(_cards(unhedged(text))) or _nothing(text)


def counted_cards(text: str) -> Hashable:
    """Read `2 cards: 6 of Hearts, King of Clubs`: how many, and which, in any order."""
    text = unhedged(text)
    return _count(_CARD.sub("", text)), tuple(sorted(_cards(text)))


def dealt_cards(text: str) -> Hashable:
    """Read `1st: 6 of Hearts, pile0`, line by line."""
    dealt = all_found(_DEALT, _A_CARD, unhedged(text))
    return _some([(order, _card((rank, suit)), pile) for order, rank, suit, pile in dealt], text)


def put_chips(text: str) -> Hashable:
    """Read `1st: 100, cup0`, line by line."""
    return _some(all_found(_PUT, _A_CUP, unhedged(text)), text)


def counted_chips(text: str) -> Hashable:
    """Read `4 chips: 20, 5, 100, 100`: how many, and which values, in any order."""
    text = unhedged(text)
    numbers = list(map(int, _NUMBER.findall(text)))
    return _count(text), tuple(sorted(numbers[1:]))


def worth(text: str) -> Hashable:
    """Read `start, 115`: when more, and by how much; or that both are equal."""
    lower = unhedged(text)
    found: set[tuple[str, ...]] = set(_WORTH.findall(lower))
    if _EQUAL.search(lower) and not _UNEQUAL.search(lower):
        found.add(("equal",))
    if len(found) != 1:
        raise NotAnAnswer(f"{text[:100]!r} does not say start or end and one value, nor that both are equal")
    when, *value = found.pop()
    return (when, *map(int, value))


def cell_in(label: tuple[str, str], first: int = 1) -> Cell:
    """Return the cell of a letter and a digit; it may lie off the board."""
    return LETTERS.index(label[0]), int(label[1]) - first


def _cards(text: str) -> list[str]:
    return list(map(_card, all_found(_CARD, _A_SUIT, text)))


def _card(found: tuple[str, str]) -> str:
    return _NAMED[f"{found[0]} of {found[1]}"]


def _value(word: str, words: Mapping[str, int] | None) -> int:
    if words is None and word.isdecimal():
        return int(word)
    if words is None or word not in words:
        raise NotAnAnswer(f"{word!r} is on no board of this kind")
    return words[word]


def _count(text: str) -> int:
    found = _NUMBER.search(text)
    if found is None:
        _nothing(text)
        return 0
    if int(found[0]) and re.search(r"\bnone\b", text):
        raise NotAnAnswer(f"{text[:100]!r} says {found[0]}, and none")
    return int(found[0])


def _some(found: Sequence[Hashable], text: str) -> Hashable:
    if not found:
        raise NotAnAnswer(f"{text[:100]!r} lists nothing in the wanted form")
    return tuple(found)


def _nothing(text: str) -> Hashable:
    """Return the value of an answer that names nothing, which has to say so and no more."""
    if not _NONE.fullmatch(text.lower()):
        raise NotAnAnswer(f"{text[:100]!r} names nothing in the wanted form; nothing at all is {NONE!r}")
    return frozenset()

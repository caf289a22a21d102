"""Readers of free answers: each makes a value of a text, so that two answers that say the same are equal.

The published scorer asks a language model whether the answer "contains all information in the ground truth".  These readers compare
exactly instead: what is missing, and what is too much, is wrong.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence

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
CARD = rf"\b({'|'.join(RANKS.values())}) of ({'|'.join(SUITS.values())})\b"
_CARD = re.compile(CARD, re.IGNORECASE)
_DEALT = re.compile(rf"{ORDINAL}{_GAP}{CARD}[,\s]{{1,4}}+(pile[01])\b", re.IGNORECASE)
_PUT = re.compile(rf"{ORDINAL}{_GAP}(\d{{1,3}}+)[,\s]{{1,4}}+(cup[01])\b")
_NUMBER = re.compile(r"(?<!\w)\d{1,7}+(?!\w)")
_WORTH = re.compile(r"\b(start|end)\b[,:\s`*]{1,6}+(\d{1,7}+)\b")
_NAMED = {name.lower(): card for card, name in PACK.items()}


def final_answer(response: str) -> str:
    """Return what follows the first "Final Answer"; raises `NotAnAnswer` if nothing does."""
    final = response.partition(FINAL)[2].strip()
    if not final:
        raise NotAnAnswer(f"nothing follows {FINAL!r}")
    return final


def board_values(words: Mapping[str, int] | None = None) -> Reader:
    """Return a reader of `(a,1): 3` or `a1: coin`: the pairs of a cell and a value, numbers unless words are given."""

    def read(text: str) -> Hashable:
        found = [(row, column, _value(word, words)) for row, column, word in _PAIR.findall(text)]
        return frozenset(found) or _nothing(text)

    return read


def counted_cells(text: str) -> Hashable:
    """Read `2: (b,2), (c,2)`: how many, and where, in any order."""
    return _count(_CELL.sub("", text)), tuple(sorted(_CELL.findall(text)))


def coin_cells(text: str) -> Hashable:
    """Read `a2, b1, c3`."""
    return frozenset(_COIN.findall(text)) or _nothing(text)


def moved_tiles(text: str) -> Hashable:
    """Read `2nd: (a,2) right`, line by line."""
    return _some(_MOVED.findall(text.lower()), text)


def directions(text: str) -> tuple[str, ...]:
    """Read `down, leftward`: the directions in order."""
    return tuple(_DIRECTION.findall(text.lower()))


def listed_directions(text: str) -> Hashable:
    """Read directions of which there is at least one."""
    return _some(list(directions(text)), text)


def swapped_cups(text: str) -> Hashable:
    """Read `2nd: (a2, c2)` or `1st: b2`: an ordinal, and one or two cups in any order."""
    found = [(order, frozenset({one, other or one})) for order, one, other in _SWAPPED.findall(text.lower())]
    return tuple(found) or _nothing(text)


def file_names(text: str) -> Hashable:
    """Read `a.txt, b.py`, in any order."""
    return frozenset(_FILE.findall(text)) or _nothing(text)


def counted_files(text: str) -> Hashable:
    """Read "2 `.txt` files: a.txt, b.txt": how many, and which, in any order."""
    return _count(_FILE.sub("", text)), frozenset(_FILE.findall(text))


def ordered_commands(text: str) -> Hashable:
    """Read `1st: touch path0/{a.txt,b.py}`, line by line; the names of a command may be in any order."""
    found: list[tuple[str, Command]] = [
        (order, FILES.read_operation(line.strip())) for order, line in _COMMAND.findall(text)
    ]
    return _some(found, text)


def ordered_cards(text: str) -> Hashable:
    """Read `6 of Hearts, King of Clubs`, in this order."""
    return tuple(map(_card, _CARD.findall(text))) or _nothing(text)


def set_of_cards(text: str) -> Hashable:
    """Read cards in any order."""
    return frozenset(map(_card, _CARD.findall(text))) or _nothing(text)


def counted_cards(text: str) -> Hashable:
    """Read `2 cards: 6 of Hearts, King of Clubs`: how many, and which, in any order."""
    return _count(_CARD.sub("", text)), tuple(sorted(map(_card, _CARD.findall(text))))


def dealt_cards(text: str) -> Hashable:
    """Read `1st: 6 of Hearts, pile0`, line by line."""
    found = [(order, _card((rank, suit)), pile.lower()) for order, rank, suit, pile in _DEALT.findall(text)]
    return _some(found, text)


def put_chips(text: str) -> Hashable:
    """Read `1st: 100, cup0`, line by line."""
    return _some(_PUT.findall(text.lower()), text)


def counted_chips(text: str) -> Hashable:
    """Read `4 chips: 20, 5, 100, 100`: how many, and which values, in any order."""
    numbers = list(map(int, _NUMBER.findall(text)))
    return _count(text), tuple(sorted(numbers[1:]))


def worth(text: str) -> Hashable:
    """Read `start, 115`: when more, and by how much; or that both are equal."""
    found = _WORTH.search(text.lower())
    if found is not None:
        return found[1], int(found[2])
    if "equal" in text.lower():
        return ("equal",)
    raise NotAnAnswer(f"{text[:100]!r} does not say start or end and a value, nor that both are equal")


def cell_in(label: tuple[str, str], first: int = 1) -> Cell:
    """Return the cell of a letter and a digit; it may lie off the board."""
    return LETTERS.index(label[0]), int(label[1]) - first


def _card(found: tuple[str, str]) -> str:
    return _NAMED[f"{found[0]} of {found[1]}".lower()]


def _value(word: str, words: Mapping[str, int] | None) -> int:
    if words is None and word.isdecimal():
        return int(word)
    if words is None or word.lower() not in words:
        raise NotAnAnswer(f"{word!r} is on no board of this kind")
    return words[word.lower()]


def _count(text: str) -> int:
    found = _NUMBER.search(text)
    if found is not None:
        return int(found[0])
    _nothing(text)
    return 0


def _some(found: Sequence[Hashable], text: str) -> Hashable:
    if not found:
        raise NotAnAnswer(f"{text[:100]!r} lists nothing in the wanted form")
    return tuple(found)


def _nothing(text: str) -> Hashable:
    """Return the value of an answer that names nothing, which has to say so."""
    if re.search(r"\bnone\b", text.lower()) is None:
        raise NotAnAnswer(f"{text[:100]!r} names nothing in the wanted form; nothing at all is {NONE!r}")
    return frozenset()

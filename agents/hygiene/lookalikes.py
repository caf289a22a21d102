"""How a text looks to a reader: what cannot be seen in it, and what reads like something else.

A skeleton is made for matching only and never shown: ordinary Russian or Greek keeps its own letters.
"""

import re
from bisect import bisect_right
from functools import lru_cache
from html import unescape
from typing import Literal, NamedTuple
from unicodedata import category, name, normalize

Hidden = Literal["control", "bidi", "tags", "selector", "invisible"]

MARK = "\ufffd"
"""Stands where something was taken out, so that what stood around it cannot grow together."""
JOIN = "\u0301"
"""What every combining mark and invisible character becomes in a skeleton: a letter may wear any number of them."""

_LOOKS = {
    "<": "‹❮ᐸ˂❰〈⟨⟪⧼《«◁⋖≺",
    ">": "›❯ᐳ˃❱〉⟩⟫⧽》»▷⋗≻",
    "|": "ǀ∣│❘❙⏐⏽¦׀ᛁ┃║‖",
    "[": "【〔⟦❲⁅",
    "]": "】〕⟧❳⁆",
    "/": "⁄∕╱⧸⟋",
    "\\": "∖╲⧵⧹⟍",
    ":": "ː˸։׃∶꞉ꓽ",
    "#": "♯⋕",
    "_": "▁ˍ",
    "-": "‐‒–—−",
    "a": "ɑαΑаАᎪ",
    "b": "βΒВвЬƄᏴ",
    "c": "сСςᏟⲥ",
    "d": "ԁᎠ",
    "e": "еЕεΕҽєᎬ℮",
    "f": "ϜքꞘ",
    "g": "ɡցԌᏀ",
    "h": "һҺհнНΗᎻ",
    # l, I and 1 are one letter in half of all fonts, so they are one here.
    "i": "lL1іІιΙӏӀıɩᎥᏞ",
    "k": "кКκΚᏦ",
    "m": "мМΜᎷ",
    "n": "ոпηΝղ",
    "o": "0оОοΟσօՕ",
    "p": "рРρΡᏢ",
    "r": "гᎡᏒ",
    "s": "ѕЅՏᏚꓢ",
    "t": "тТτΤᎢ",
    "u": "υսՍ",
    "v": "νѵѴᏙ",
    "w": "ԝԜѡաᎳ",
    "x": "хХχΧ",
    "y": "уУγΥүҮᎩ",
    "z": "ΖᏃ",
}
"""Characters outside ASCII, and a few inside, that pass for a letter or bracket of a reasoning tag or control token.

A choice from Unicode's confusables (UTS #39): Cyrillic, Greek, Armenian, Cherokee, and the brackets.  What NFKC or a
Latin letter's own name unmasks (full width, mathematical, small capital, stroked, regional indicator) needs no entry.
"""
_LIKE = {look: meant for meant, looks in _LOOKS.items() for look in looks}
_LATIN = re.compile(
    r"(?:LATIN|REGIONAL INDICATOR).*? LETTER (?:SMALL CAPITAL |SCRIPT |DOTLESS )?([A-Z])(?: WITH|$)"
)

_IGNORABLE = frozenset(
    [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x3164, 0xFFA0, *range(0xFFF0, 0xFFF9)]
)
"""Default-ignorable code points of Unicode that are letters, marks or not assigned, beyond the blocks below."""
_VISIBLE_FORMAT = frozenset([*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD])
"""Format characters that are drawn: the signs around Arabic, Syriac and Kaithi numbers."""
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_ENCODED = re.compile(
    r"[&\\%](?:"
    r"(?<=&)(?:amp;)*+(?:(?P<html>\#x0*+[0-9a-f]{1,6}|\#0*+[0-9]{1,7}|lt|gt|shy|nbsp);?|(?P<entity>[a-z]{2,8});)"
    r"|(?<=\\)(?<!\\\\)\\*+(?:u(?P<u>[0-9a-f]{4})|u\{0*+(?P<b>[0-9a-f]{1,6})\}|x(?P<x>[0-9a-f]{2})|(?P<escape>[nr]))"
    r"|(?<=%)(?P<p>[0-9a-f]{2}))",
    re.IGNORECASE,
)
"""One character as HTML, JSON, source code or a URL writes it; `&amp;lt;` is taken for `&lt;`."""


class Skeleton(NamedTuple):
    """A text as it looks, and the way back."""

    text: str
    ends: list[int]
    """Where in the skeleton a character ends that was written as several."""
    shrunk: list[int]
    """How much shorter the skeleton is up to there, beginning with 0."""

    def offset(self, at: int) -> int:
        """Return the position in the original of a position in the skeleton."""
        return at + self.shrunk[bisect_right(self.ends, at)]


def skeleton(text: str) -> Skeleton:
    """Return `text` with look-alikes, accents and encoded characters replaced by what they pass for; case is kept."""
    parts: list[str] = []
    ends: list[int] = []
    shrunk = [0]
    done = 0
    for found in _ENCODED.finditer(text):
        parts += text[done : found.start()], _decoded(found)
        done = found.end()
        shrunk.append(shrunk[-1] + len(found[0]) - 1)
        ends.append(done - shrunk[-1])
    plain = "".join([*parts, text[done:]])
    return Skeleton(plain.translate({ord(each): look(each) for each in set(plain)}), ends, shrunk)


@lru_cache(maxsize=1 << 14)
def look(character: str) -> str:
    """Return the ASCII character that this one passes for, in the same case, or the character itself."""
    base = normalize("NFKD", character)[0]
    if hidden(character) or category(base).startswith("M"):
        return JOIN
    latin = _LATIN.match(name(base, ""))
    lower = (latin[1] if latin else base).lower()[0]
    meant = _LIKE.get(base) or _LIKE.get(lower, lower)
    return meant.upper() if base.isupper() and len(meant.upper()) == 1 else meant


@lru_cache(maxsize=1 << 14)
def hidden(character: str) -> Hidden | None:
    """Return why this character is invisible, or None; line feed and tab are no control characters here."""
    code = ord(character)
    if 0xE0000 <= code <= 0xE007F:
        return "tags"
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F:
        return "selector"
    if character in _BIDI:
        return "bidi"
    kind = category(character)
    if kind in ("Cc", "Cs"):
        return None if character in "\n\t" else "control"
    if code in _IGNORABLE or 0xE0080 <= code <= 0xE0FFF:
        return "invisible"
    return "invisible" if kind == "Cf" and code not in _VISIBLE_FORMAT else None


def _decoded(found: re.Match[str]) -> str:
    """Return the one character that is meant."""
    kind = found.lastgroup or ""
    written = found[kind]
    if kind == "escape":
        return "\n"
    if kind in ("html", "entity"):
        meant = unescape(f"&{written};") or JOIN
        return meant if len(meant) == 1 else MARK
    code = int(written, 16)
    return chr(code) if code < 0x110000 else MARK

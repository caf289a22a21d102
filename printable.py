"""Outside text as it may be shown: what servers, models, logs and journals say holds no order to a terminal."""

import re

_ORDERS = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1: escape sequences, OSC links, carriage returns
    "\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi marks and overrides, line separators
    "\U000e0000-\U000e007f"  # tags, which nothing shows
    "\ud800-\udfff"  # halves of pairs, which cannot be written out
    "]"
)

_HALF = re.compile("[\ud800-\udfff]")


def printable(text: str, keep: str = "") -> str:
    r"""Return `text` with every character that could steer a terminal, or hide, written as an escape: `\x1b`, `\u202e`.

    `keep` names characters that stay as they are, for a text of several lines "\n\t".  Takes time linear in the length.
    """
    return _ORDERS.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def encodable(text: str) -> bool:
    """Say whether a text can be written out: halves of pairs cannot, as an argument that is no UTF-8 holds them."""
    return not _HALF.search(text)


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

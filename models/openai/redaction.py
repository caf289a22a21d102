"""Makes what a server says fit to be quoted: without keys, without terminal controls, and of bounded length."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from surefoot.printable import printable

LONGEST = 300
"""Characters of a server's own words that are repeated."""
READ = 20_000
"""Characters of them that are looked at: a key that begins within those repeated is found whole."""
HIDDEN = "***"
SHORTEST_KEY = 4
"""Anything shorter is no secret, and hiding it would garble the words."""
LONG_KEY = 12
"""Of a key this long its beginning is hidden, too: servers quote it cut off."""
BEGINNING = 8

_QUERY = re.compile(r"([?&;][^=&;#\s'\"]*=)[^&;#\s'\"]+")
_FIELD = re.compile(r"([?&;])([^=&;]*=)?[^&;]+")
_PLACES = re.compile(r"/(?:models|(?:chat/)?completions)/*$")
_USER = re.compile(r"//[^\s'\"]*@")


class Redactor:
    """Cleans text from outside before it is quoted in a sentence."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        keys = [key for key in keys if len(key) >= SHORTEST_KEY]
        forms = sorted({form for key in keys for form in _forms(key)}, key=len, reverse=True)
        begun = [re.escape(key[:BEGINNING]) + r"[\w.~+/=%-]*" for key in keys if len(key) >= LONG_KEY]
        patterns = [re.escape(form) for form in forms] + begun
        # Without case: `%2F` may come back as `%2f`.
        self._secret = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None

    def __call__(self, text: str) -> str:
        """Return the text on one line, at most `LONGEST` characters of it."""
        text = self.without_keys(text[:READ])
        text = printable(" ".join(text.split()))
        return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."

    def without_keys(self, text: str) -> str:
        """Return the text with `***` for every form of a key: as it is, in a URL, in JSON, in HTML or in base64."""
        if self._secret:
            text = self._secret.sub(HIDDEN, text)
        return text


def redacted_url(text: str) -> str:
    """Return what should be a URL without what it may hold of secrets: a user's name and password, values of its query."""
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(f"//{HIDDEN}@", text[:READ]))


def without_keys_in_query(text: str) -> str:
    """Return a model's address as a journal keeps it: of what its query says only versions, and `HIDDEN` for all else."""
    url, fragment, name = text.partition("#")
    return f"{_FIELD.sub(_without_value, url)}{fragment}{name}"


def _without_value(field: re.Match[str]) -> str:
    begin, name = field[1], field[2] or ""
    return field[0] if "version" in name.lower() else f"{begin}{name}{HIDDEN}"


def up_to_v1(text: str) -> str:
    """Return the address of an API of which the text is one place, as a user gives it; any other text as it is."""
    begun, _, query = text.partition("?")
    shorter = _PLACES.sub("", begun)
    return f"{shorter}?{query}" if query and shorter != begun else shorter


def keys_in(query: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what may be keys among the names and values of a URL's query."""
    for name, value in query:
        if len(value) >= BEGINNING and "version" not in name.lower():
            yield value


def _forms(key: str) -> Iterator[str]:
    yield from (
        key,
        quote(key, safe=""),
        quote(key),
        quote_plus(key),
        json.dumps(key)[1:-1],
        html.escape(key),
    )
    yield from (quote(quote(key, safe=""), safe=""), key.encode("utf-8", "replace").hex())
    if len(key) >= BEGINNING:
        yield from _in_base64(key.encode("utf-8", "replace"))


def _in_base64(key: bytes) -> Iterator[str]:
    """Yield what is left of the key in base64 with any text before and after it (`user:key` in Basic)."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * before + key).decode().rstrip("=")
            # The first characters also hold bits of what comes before, the last one of what comes after.
            first = (0, 2, 3)[before]
            spare = (before + len(key)) % 3
            yield whole[first : len(whole) - (1 if spare else 0)]

"""When a server wants to be asked again: in a header, or somewhere in the words of its refusal.

A request that comes earlier is refused again, and with some providers every refused request counts, too.
"""

import email.utils
import re
import time
from collections.abc import Iterator, Mapping

LONGEST_S = 60.0
"""A server that wants to be left alone for longer is asked again after this."""

_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_DELAY = re.compile(rf'"retry_?delay"\s*:\s*"{_NUMBER}s"', re.IGNORECASE)
"""Google's, in the details of an error."""
_RESET = re.compile(r'"x-ratelimit-reset"\s*:\s*"?(\d{10}(?:\d{3})?)\b', re.IGNORECASE)
"""OpenRouter's, the time of day in seconds or in milliseconds since 1970."""
_IN = re.compile(
    r"(?:try again|retry(?:ing)?|wait)(?: again)? (?:in|after|for) (?:about )?((?:\d[\d.]*\s?[a-z]+\s?)+)",
    re.IGNORECASE,
)
_PIECE = re.compile(
    rf"{_NUMBER}\s?(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)(?![a-z])", re.IGNORECASE
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def wanted_pause(headers: Mapping[str, str], words: str) -> float:
    """Return how many seconds a server wants to be left alone, `LONGEST_S` at most; 0 if it does not say."""
    return next((min(seconds, LONGEST_S) for seconds in _said(headers, words) if seconds > 0), 0.0)


def _said(headers: Mapping[str, str], words: str) -> Iterator[float]:
    yield _milliseconds(headers.get("retry-after-ms", ""))
    yield _retry_after(headers.get("retry-after", ""))
    if found := _DELAY.search(words):
        yield float(found[1])
    if found := _RESET.search(words):
        yield int(found[1][:10]) - time.time() + 1.0  # What is cut off is less than a second.
    if found := _IN.search(words):
        yield sum(float(number) * _unit(name) for number, name in _PIECE.findall(found[1]))


def _unit(name: str) -> float:
    name = name.lower()
    return 0.001 if name.startswith(("ms", "milli")) else _UNITS[name[0]]


def _milliseconds(header: str) -> float:
    return float(header) / 1000 if re.fullmatch(_NUMBER, header.strip()) else 0.0


def _retry_after(header: str) -> float:
    """Read a Retry-After header, in seconds or as a date (RFC 9110, section 10.2.3); 0 if it is neither."""
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return 0.0

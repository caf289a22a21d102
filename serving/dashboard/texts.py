"""What models, tasks and journals say, made fit to be sent to a page: bounded, encodable, and nothing in it hides."""

from collections.abc import Mapping
from typing import Any

from surefoot.printable import printable

LINE = 300
"""Characters of a text among many."""
PAGE = 20_000
"""Characters of a text that was asked for by itself."""
MOST = 1_000
"""Entries of a list or a table."""


def fit(value: Any, most: int = LINE) -> Any:
    """Return plain data with every text in it cut to `most` characters, what could hide in it written as an escape.

    Lists and tables keep their first `MOST` entries.  Tables are by text; what is no plain value is its text.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return shortened(value, most)
    if isinstance(value, Mapping):
        kept = list(value.items())[:MOST]
        return {shortened(str(name), LINE): fit(each, most) for name, each in kept}
    if isinstance(value, list | tuple):
        return [fit(each, most) for each in value[:MOST]]
    return shortened(str(value), most)


def shortened(text: str, most: int) -> str:
    """Return a text as it may be shown, and how much of it was left out."""
    shown = printable(text[:most], "\n\t")
    left_out = len(text) - most
    return shown if left_out <= 0 else f"{shown}… and {left_out:,} characters more"

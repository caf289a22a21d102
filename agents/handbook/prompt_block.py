"""The handbook in a prompt: one block of text, the same for the same behaviours, and what an answer says of it."""

import re
from collections.abc import Iterable

from .behaviour import Behaviour

HEAD = """\
Some instructions have helped with tasks like this one. Follow those that fit; where one does not, or is at odds with what you are asked below,
leave it aside. If you think in writing, name those that you use."""

_CITED = re.compile(r"(?<![^\W_])behavior_\w++")


def block(behaviours: Iterable[Behaviour]) -> str:
    """Return the text that stands at the front of a prompt, without a line break at its end; empty for no behaviours.

    A line for each, in the order of their names: the same behaviours are the same text, so that servers find it in their prefix cache.
    """
    lines = [f"- {each.name}: {each.instruction}" for each in sorted(behaviours, key=lambda each: each.name)]
    return "\n".join([HEAD, *lines]) if lines else ""


def cited(text: str, behaviours: Iterable[Behaviour]) -> tuple[str, ...]:
    """Return the names that a text cites, in their order; names of other behaviours are no citations.  Takes time linear in the text."""
    found = set(_CITED.findall(text))
    return tuple(sorted(found & {each.name for each in behaviours}))

"""What is known of a user's taste: one description, in words that they can read and correct."""

from dataclasses import dataclass
from typing import Any

from surefoot.agents.hygiene.lines import one_clean_line
from surefoot.errors import BadInput
from surefoot.printable import printable

LONGEST_USER = 200
SHORTEST, LONGEST = 10, 600
"""Characters of a description: a few sentences, and no essay."""
MOST_VERSIONS = 10**15 - 1
"""What Redis, Lua and JSON all count exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A user's description, and what it rests on.  Raises `BadInput` for what may not go into a prompt."""

    user: str
    """1 to 200 characters that can be shown, without braces."""
    description: str = ""
    """One clean line of 10 to 600 characters; empty while nothing is known."""
    version: int = 0
    """Raised by each update that is accepted and by each edit."""
    signals: int = 0
    """Signals that its updates have read; 0 after an edit, which rests on the user's own word."""

    def __post_init__(self) -> None:
        check_user(self.user)
        if self.description != "":
            object.__setattr__(self, "description", description_of(self.description))
        for count in (self.version, self.signals):
            if type(count) is not int or not 0 <= count <= MOST_VERSIONS:
                raise BadInput(f"version and signals are counts, not {self.version!r} and {self.signals!r}")


def description_of(text: Any) -> str:
    """Return a description as hygiene writes it; raises `BadInput` for one that hygiene would take something out of, or that is no line."""
    return one_clean_line("the description", text, SHORTEST, LONGEST)


def check_user(user: Any) -> None:
    """Raise `BadInput` for what cannot name a user."""
    if (
        not isinstance(user, str)
        or not 0 < len(user) <= LONGEST_USER
        or printable(user) != user
        or {*"{}"} & {*user}  # they would end the hash tag that keeps a user's keys together
    ):
        raise BadInput(
            f"a user is named by 1 to {LONGEST_USER} characters that can be shown, without braces, not {printable(repr(user)[:100])}"
        )

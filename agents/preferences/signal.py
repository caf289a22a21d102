"""What a user chose: of two replies to a post, one was taken and the other was not.

After AlignXplore (Li et al. 2025, arXiv 2505.18071), which reads such triples as a stream.  All three texts may be anybody's.
"""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from surefoot.agents.hygiene import clean
from surefoot.agents.hygiene.lines import check_text, read_json_line
from surefoot.agents.tasks.plain_values import canonical
from surefoot.errors import BadInput
from surefoot.printable import printable

LONGEST = 4_000
"""Characters of each text."""


@dataclass(frozen=True)
class ChoiceSignal:
    """A post, the reply that a user chose and the one that they rejected.  Raises `BadInput` for what cannot be one.

    Texts are kept as `surefoot.agents.hygiene.clean` writes them: control tokens, role markers and hidden characters are gone.  Plain words stay,
    whatever they say; prompts show them as data.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    post: str
    """What was asked; 1 to 4,000 characters, like the others."""
    chosen: str
    rejected: str

    def __post_init__(self) -> None:
        for field in ("post", "chosen", "rejected"):
            object.__setattr__(self, field, _cleaned(field, getattr(self, field)))
        if self.chosen == self.rejected:
            raise BadInput(
                f"the chosen and the rejected reply are the same, {self.chosen[:100]!r}: that is no choice"
            )

    @cached_property
    def digest(self) -> bytes:
        """Sixteen bytes that only its texts decide: the same in every process."""
        return blake2b(canonical((self.post, self.chosen, self.rejected)), digest_size=16).digest()

    @property
    def held_out(self) -> bool:
        """Whether it is kept from prompts for descriptions, to judge these by: about every second one is, and always the same."""
        return bool(self.digest[0] & 1)


def read_line(line: str | bytes) -> ChoiceSignal:
    """Read a signal from a line of JSON, as `written_line` writes it; raises `BadInput`."""
    return read_json_line(_LINE, line, "a signal")


def written_line(signal: ChoiceSignal) -> str:
    """Write a signal as a line of JSON."""
    return _LINE.dump_json(signal).decode()


_LINE: TypeAdapter[ChoiceSignal] = TypeAdapter(ChoiceSignal)


def _cleaned(field: str, given: Any) -> str:
    check_text(f"the {field} of a signal", given)
    text = clean(given[: LONGEST + 1]).text.strip()
    if not 0 < len(text) <= LONGEST or len(given) > LONGEST or printable(text, keep="\n\t") != text:
        raise BadInput(
            f"the {field} of a signal has 1 to {LONGEST:,} characters that can be shown, not {given[:100]!r}: cut it, or leave the signal out"
        )
    return text

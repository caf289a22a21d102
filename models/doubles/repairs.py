"""A double for decomposed SWE-bench runs: it knows the repairs of some issues, and each of its samples is wrong with a given chance."""

import re
from collections.abc import AsyncGenerator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.voting.samples import Sample, Usage

from .double import CHARACTERS_PER_TOKEN

LISTED = re.compile(r"^(\S{1,300}) \([\d,]{1,20}\)", re.MULTILINE)
SHOWN = re.compile(r"^=== (\S{1,300})(?: does not exist yet)?$", re.MULTILINE)
LOST = "I do not know this repository."


class Repair(NamedTuple):
    """What is known of one issue."""

    issue: str
    """A piece of its text that no other issue has."""
    places: tuple[str, ...]
    """`path::symbol` or `path`, each."""
    tests: tuple[str, ...]
    """Right reproducing tests, the text of a file each."""
    patch: str
    """Search and replace blocks."""
    wrong_tests: tuple[str, ...]
    wrong_patches: tuple[str, ...]

    @property
    def searched(self) -> tuple[str, ...]:
        """The lines that its patch searches for: who has not seen them cannot write it."""
        return tuple(
            part.partition("\n=======\n")[0]
            for part in self.patch.split("<<<<<<< SEARCH\n")[1:]
            if part[:7] != "======="
        )


class Repairer:
    """A model that answers each stage of a decomposed run, wrongly with chance `error`, and differently each time.

    Every sample is a pure function of the double's seed, the prompt and the ask's seed.  A wrong place is another file of those that are shown; wrong
    tests and patches are drawn from those of the repair.  A patch is wrong, too, where the lines to change are not in the prompt.
    """

    def __init__(
        self, known: Sequence[Repair], *, error: float = 0.0, seed: int = 0, name: str = "repairer"
    ) -> None:
        if not 0 <= error <= 1:
            raise BadInput(f"error is a chance between 0 and 1, not {error!r}")
        self._known, self._error, self._name = tuple(known), error, name
        self._key = blake2b(repr(seed).encode(), digest_size=32).digest()

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        return self._name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of the asks."""
        for position, ask in enumerate(asks):
            yield position, self.draw(ask)

    def draw(self, ask: Ask) -> Sample:
        """Return the sample that this ask always gets."""
        prompt = _text(ask.prompt)
        drawn = blake2b(f"{ask.seed} {prompt}".encode(), key=self._key, digest_size=16).digest()
        wrong = int.from_bytes(drawn[:8]) / 2**64 < self._error
        repair = next((each for each in self._known if each.issue in prompt), None)
        text = LOST if repair is None else _said(repair, prompt, wrong, int.from_bytes(drawn[8:]))
        tokens, most = -(-len(text) // CHARACTERS_PER_TOKEN), ask.max_tokens
        usage = Usage(prompt=-(-len(prompt) // CHARACTERS_PER_TOKEN), completion=min(tokens, most))
        if tokens > most:
            return Sample(text[: most * CHARACTERS_PER_TOKEN], "length", most, usage)
        return Sample(text, "stop", tokens, usage)


def _said(repair: Repair, prompt: str, wrong: bool, which: int) -> str:
    right = [place.partition("::")[0] for place in repair.places]
    if "```files\n" in prompt:
        others = [path for path in LISTED.findall(prompt) if path not in right]
        return _block("files", [others[which % len(others)]] if wrong and others else right)
    if "```places\n" in prompt:
        seen = SHOWN.findall(prompt)
        others = [path for path in seen if path not in repair.places] or seen
        places = [place for place in repair.places if place.partition("::")[0] in seen]
        if not seen:
            return LOST
        return _block("places", [others[which % len(others)]] if wrong or not places else places)
    if "```python\n" in prompt:
        tests = repair.wrong_tests if wrong else repair.tests
        return _block("python", [tests[which % len(tests)] + f"# {which % 1000}"])
    wrong = wrong or not all(lines in prompt for lines in repair.searched)
    patch = repair.wrong_patches[which % len(repair.wrong_patches)] if wrong else repair.patch
    return f"This resolves it, I think ({which % 1000}).\n\n{patch}"


def _block(label: str, lines: Sequence[str]) -> str:
    return "\n".join([f"```{label}", *lines, "```"])


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(message.content for message in prompt)

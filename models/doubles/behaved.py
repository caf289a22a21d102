"""A double that heeds instructions: what stands in its prompt makes it better, worse, shorter or wordier, by known factors.

    double = BehavedDouble(right, wrong, {"Compare the lengths first.": Effect(error=0.5)})

It is for measuring what a handbook of behaviours does: which of them help is known beforehand.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import prod

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.voting.samples import Sample

from .double import Double

WORD = "hmm "
"""A thought of one token."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What an instruction does to whoever heeds it: factors, 1 for no change."""

    error: float = 1.0
    """Of the chance that a sample is wrong, which stays at most 1."""
    tokens: float = 1.0
    """Of the tokens of thoughts before the answer."""

    def __post_init__(self) -> None:
        if min(self.error, self.tokens) < 0:
            raise BadInput(f"an effect is made of factors from 0 on, not {self.error!r} and {self.tokens!r}")


class BehavedDouble:
    """A double whose error and thoughts depend on which of the texts in `effects` its prompt holds; the factors of several are multiplied.

    `right` and `wrong` are those of `Double`, and so are the draws.  Before its answer it thinks aloud in a line of its own, of about `thoughts`
    tokens: half to one and a half times as many, by the prompt.
    """

    def __init__(
        self,
        right: Callable[[Prompt], str],
        wrong: Callable[[Prompt, int], str],
        effects: Mapping[str, Effect],
        *,
        error: float = 0.2,
        thoughts: int = 40,
        seed: int = 0,
        name: str = "behaved-double",
    ) -> None:
        self._right, self._wrong = right, wrong
        self._effects = dict(effects)
        self._error, self._thoughts, self._seed, self._name = error, thoughts, seed, name
        self._doubles: dict[Effect, Double] = {}

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
        effect = self.effect(ask.prompt)
        if effect not in self._doubles:
            self._doubles[effect] = self._double(effect)
        return self._doubles[effect].draw(ask)

    def delay(self, ask: Ask) -> float:
        """Return 0: it answers at once."""
        return 0.0

    def effect(self, prompt: Prompt) -> Effect:
        """Return what the instructions in a prompt do together."""
        text = prompt if isinstance(prompt, str) else "\n".join(message.content for message in prompt)
        heeded = [effect for said, effect in self._effects.items() if said in text]
        return Effect(prod(each.error for each in heeded), prod(each.tokens for each in heeded))

    def _double(self, effect: Effect) -> Double:
        def thoughts(prompt: Prompt) -> str:
            drawn = blake2b(repr((self._seed, prompt)).encode(), digest_size=8).digest()
            share = 0.5 + int.from_bytes(drawn) / 2**64
            return WORD * round(self._thoughts * effect.tokens * share) + "\n"

        return Double(
            lambda prompt: thoughts(prompt) + self._right(prompt),
            lambda prompt, which: thoughts(prompt) + self._wrong(prompt, which),
            error=min(1.0, self._error * effect.error),
            seed=self._seed,
            name=self._name,
        )

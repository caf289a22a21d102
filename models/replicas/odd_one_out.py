"""Whose answers are not those of the others: three replicas get the same ask, and the one that differs from two that agree is the odd one."""

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

from surefoot.voting.bounds import binomial_lower

T = TypeVar("T", bound=Hashable)

BY_CHANCE = 1 / 3
_SUREST = 1 - 2.0**-53
"""The largest confidence below 1."""


class OddOneOut(Generic[T]):
    """Names a replica that is the odd one of three more often than by chance.

    If all replicas draw from one distribution, then whatever is asked and however often answers differ, each of the three is the odd one
    with probability 1/3.  So hard prompts and high temperatures raise no alarm, and an exact binomial test says when one is beyond that:
    where the Clopper-Pearson lower bound of its share exceeds 1/3.  There is a look after each such three.  The n-th look at one of
    `many` replicas has the level alpha / (many n (n + 1)); these add up to alpha (Bonferroni), so that a healthy replica is ever named
    with probability alpha at most.
    """

    def __init__(self, many: int, alpha: float = 0.01) -> None:
        self._level = alpha / many
        self._seen: Counter[T] = Counter()
        self._odd: Counter[T] = Counter()

    def see(self, texts: Mapping[T, str]) -> T | None:
        """Take the texts of three replicas to one ask into account; return who is now known to differ.

        White space makes no difference.  Three that agree, and three that all differ, say nothing.
        """
        said = {who: " ".join(text.split()) for who, text in texts.items()}
        times = Counter(said.values())
        if len(said) != 3 or len(times) != 2:
            return None
        (odd,) = (who for who, text in said.items() if times[text] == 1)
        self._seen.update(said.keys())
        self._odd[odd] += 1
        looks = self._seen[odd]
        if self._odd[odd] <= looks * BY_CHANCE:
            return None
        confidence = min(1 - self._level / (looks * (looks + 1)), _SUREST)
        return odd if binomial_lower(self._odd[odd], looks, confidence) > BY_CHANCE else None

    def times(self, who: T) -> tuple[int, int]:
        """Return (times that it was the odd one, threes with an odd one that it was among)."""
        return self._odd[who], self._seen[who]

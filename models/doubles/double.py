"""Deterministic doubles: models whose errors are known, for tests, benches and examples.

Every sample is a pure function of the double's seed, the prompt and the ask's seed: the same ask gets the same sample
in any order, in any process.  The temperature plays no part.

    exact = towers_double()                                    # always right
    sloppy = towers_double(error=0.05, invalid=0.02)           # wrong one time in twenty, unusable one in fifty
    stubborn = towers_double(hard=0.001, hard_error=0.9)       # one prompt in a thousand is nearly always wrong
    mistaken = towers_double(hard=0.001, hard_alike=True)      # and so in the same way, which votes repeat
    slow = towers_double(latency=Latency(p50_s=0.2, p99_s=2))  # long-tailed answer times
"""

import asyncio
import math
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist
from typing import NamedTuple, TypedDict, Unpack

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.voting.samples import Sample, Usage

from .goals import goal_right, goal_wrong
from .looking import leading_right, leading_wrong, looking_right, looking_wrong, naming_right, naming_wrong
from .puzzles import puzzle_right, puzzle_wrong
from .towers import towers_right, towers_wrong

KNOWN_PROMPTS = 128
"""Prompts whose right answer is remembered: the votes of a step come close together, and what lives long is garbage-collected dearly."""
CHARACTERS_PER_TOKEN = 4

_DRAWS = struct.Struct("<4Q")
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Latency:
    """Answer times with a long tail: lognormal, given by two of its percentiles, in seconds."""

    p50_s: float
    p99_s: float

    def __post_init__(self) -> None:
        if not 0 < self.p50_s <= self.p99_s:
            raise BadInput(f"a latency needs 0 < p50_s <= p99_s, not {self.p50_s!r} and {self.p99_s!r}")

    def at(self, quantile: float) -> float:
        """Return the answer time that a share `quantile` of samples stays under."""
        sigma = math.log(self.p99_s / self.p50_s) / _NORMAL.inv_cdf(0.99)
        return self.p50_s * math.exp(sigma * _NORMAL.inv_cdf(quantile))


class Faults(TypedDict, total=False):
    """The keyword arguments of `Double`."""

    error: float
    hard: float
    hard_error: float
    hard_alike: bool
    correlation: float
    invalid: float
    latency: float | Latency
    seed: int
    name: str
    auc: float | None


class _Known(NamedTuple):
    """What all samples of one prompt have in common."""

    error: float
    key: bytes
    shared: bytes | None
    """The one draw of a prompt whose samples are correlated."""
    which: int | None
    """What all wrong answers of a hard prompt are chosen by, if they are alike."""


class Double:
    """A model with a given chance to be wrong.

    `right(prompt)` is the right answer, `wrong(prompt, which)` a wrong one, `which` being a large whole number to
    choose it by.  All chances lie between 0 and 1:

        error        a valid sample is wrong
        hard         a prompt is hard, and its samples are wrong with chance `hard_error` instead
        hard_alike   the wrong samples of a hard prompt are all the same answer, instead of any
        correlation  the samples of a prompt are all the same draw, so that voting on it is useless
        invalid      a sample is unusable: malformed, cut off at the token limit, or ended without a reason
        auc          the log-probability of a right sample is above that of another one; None: samples have none

    A token is four characters.  `latency` is the answer time of a sample in
    seconds, constant or long-tailed; with 0 sampling never suspends.
    """

    def __init__(
        self,
        right: Callable[[Prompt], str],
        wrong: Callable[[Prompt, int], str],
        *,
        error: float = 0.0,
        hard: float = 0.0,
        hard_error: float = 0.9,
        hard_alike: bool = False,
        correlation: float = 0.0,
        invalid: float = 0.0,
        latency: float | Latency = 0.0,
        seed: int = 0,
        name: str = "double",
        auc: float | None = None,
    ) -> None:
        chances = {"error": error, "hard": hard, "hard_error": hard_error, "correlation": correlation}
        for what, chance in {**chances, "invalid": invalid}.items():
            if not 0 <= chance <= 1:
                raise BadInput(f"{what} is a chance between 0 and 1, not {chance!r}")
        if isinstance(latency, int | float) and not 0 <= latency < math.inf:
            raise BadInput(f"latency is a number of seconds from 0 on, not {latency!r}")
        if auc is not None and not 0 < auc < 1:
            raise BadInput(f"auc is a chance above 0 and below 1, not {auc!r}")
        self._right = right
        self._wrong = wrong
        self._error, self._hard, self._hard_error = error, hard, hard_error
        self._hard_alike = hard_alike
        self._correlation = correlation
        self._invalid = invalid
        self._latency = latency
        self._key = blake2b(repr(seed).encode(), digest_size=32).digest()
        self._faultless = not (error or invalid or hard * hard_error)
        self._name = name
        # Two normal distributions of variance 1, so far apart, are in this order with that chance.
        self._apart = None if auc is None else math.sqrt(2) * _NORMAL.inv_cdf(auc)
        # Per instance and not on the method: a cache on the class would keep every double alive.
        self._answer = lru_cache(maxsize=KNOWN_PROMPTS)(self._right_sample)
        self._know = lru_cache(maxsize=KNOWN_PROMPTS)(self._study)

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        return self._name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of completion."""
        if not self._latency:
            for position, ask in enumerate(asks):
                yield position, self.draw(ask)
            return
        waited = 0.0
        for delay, position in sorted((self.delay(ask), position) for position, ask in enumerate(asks)):
            await asyncio.sleep(delay - waited)
            waited = delay
            yield position, self.draw(asks[position])

    def draw(self, ask: Ask) -> Sample:
        """Return the sample that this ask always gets."""
        sample = self._drawn(ask)
        return sample if self._apart is None else self._told(sample, ask, self._apart)

    def _told(self, sample: Sample, ask: Ask, apart: float) -> Sample:
        """Return the sample with its log-probability: lognormal, with 1 for the median distance of a wrong one from 0."""
        known = self._know(ask.prompt)
        digest = blake2b(known.shared or self._digest(known, ask), digest_size=8, person=b"logprob").digest()
        quantile = min(max(_chance(int.from_bytes(digest)), 1e-9), 1 - 1e-9)
        above = apart if sample.text == self._answer(ask.prompt).text else 0.0
        return sample._replace(logprob=-math.exp(-_NORMAL.inv_cdf(quantile) - above))

    def _drawn(self, ask: Ask) -> Sample:
        right = self._answer(ask.prompt)
        if self._faultless:
            return _cut(right, ask.max_tokens)
        known = self._know(ask.prompt)
        invalid, error, which, _ = _DRAWS.unpack(known.shared or self._digest(known, ask))
        if _chance(invalid) < self._invalid:
            return _unusable(right, which, ask.max_tokens)
        if _chance(error) < known.error:
            wrong = self._wrong(ask.prompt, which if known.which is None else known.which)
            return _cut(_sample(wrong, right.usage.prompt), ask.max_tokens)
        return _cut(right, ask.max_tokens)

    def delay(self, ask: Ask) -> float:
        """Return the answer time of this ask in seconds; it never shares another ask's draw."""
        if not isinstance(self._latency, Latency):
            return self._latency
        *_, quantile = _DRAWS.unpack(self._digest(self._know(ask.prompt), ask))
        return self._latency.at(min(max(_chance(quantile), 1e-9), 1 - 1e-9))

    def _right_sample(self, prompt: Prompt) -> Sample:
        return _sample(self._right(prompt), _tokens(_text(prompt)))

    def _study(self, prompt: Prompt) -> _Known:
        own = blake2b(_text(prompt).encode(), key=self._key, digest_size=32).digest()
        hard, correlated, which, _ = _DRAWS.unpack(own)
        is_hard = _chance(hard) < self._hard
        error = self._hard_error if is_hard else self._error
        shared = blake2b(own, digest_size=32).digest() if _chance(correlated) < self._correlation else None
        return _Known(error, own, shared, which if is_hard and self._hard_alike else None)

    def _digest(self, known: _Known, ask: Ask) -> bytes:
        return blake2b(b"%d" % ask.seed, key=known.key, digest_size=32).digest()


class Garbage:
    """A model that only writes nonsense: every sample is well ended, within the limit, and an answer to nothing."""

    def __init__(self, *, seed: int = 0, name: str = "garbage") -> None:
        self._key = blake2b(repr(seed).encode(), digest_size=32).digest()
        self._name = name

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        return self._name

    async def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of the asks."""
        for position, ask in enumerate(asks):
            yield position, self.draw(ask)

    def draw(self, ask: Ask) -> Sample:
        """Return the nonsense that this ask always gets."""
        text = blake2b(repr((ask.prompt, ask.seed)).encode(), key=self._key, digest_size=8).hexdigest()
        return _cut(_sample(f"~{text}~", _tokens(repr(ask.prompt))), ask.max_tokens)

    def delay(self, ask: Ask) -> float:
        """Return 0: nonsense comes at once."""
        return 0.0


def towers_double(**faults: Unpack[Faults]) -> Double:
    """Return a double that plays Towers of Hanoi in the compact text, in both answer forms; arguments as `Double`."""
    return Double(towers_right, towers_wrong, **_named("towers-double", faults))


def puzzle_double(**faults: Unpack[Faults]) -> Double:
    """Return a double that plays checkers, crossing and blocks, in both answer forms; arguments as `Double`."""
    return Double(puzzle_right, puzzle_wrong, **_named("puzzle-double", faults))


def goal_double(**faults: Unpack[Faults]) -> Double:
    """Return a double that makes multiplications and lists smaller, and solves the parts; arguments as `Double`."""
    return Double(goal_right, goal_wrong, **_named("goal-double", faults))


def looking_double(*, focus: bool = True, leading: bool = False, **faults: Unpack[Faults]) -> Double:
    """Return a double that plans what to look at in a bar chart, and calculates; arguments as `Double`.

    With `focus` it asks about a part of the picture, else about the whole, the bar by its name.  With `leading` its questions about parts tell what
    to see.
    """
    asking = (leading_right, leading_wrong) if leading else (looking_right, looking_wrong)
    right, wrong = asking if focus else (naming_right, naming_wrong)
    return Double(right, wrong, **_named("looking-double", faults))


def _named(name: str, faults: Faults) -> Faults:
    """Give a double this name, unless it has another."""
    named: Faults = {"name": name, **faults}
    return named


def _chance(draw: int) -> float:
    """Turn 64 random bits into a number in [0, 1)."""
    return (draw >> 11) * 2.0**-53


def _text(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    seen = "".join(picture.digest for message in prompt for picture in message.pictures)
    return repr([(message.role, message.content) for message in prompt]) + seen


def _tokens(text: str) -> int:
    return (len(text) + CHARACTERS_PER_TOKEN - 1) // CHARACTERS_PER_TOKEN


def _sample(text: str, prompt_tokens: int) -> Sample:
    tokens = _tokens(text)
    return Sample(text, "stop", tokens, Usage(prompt=prompt_tokens, completion=tokens))


def _cut(sample: Sample, max_tokens: int) -> Sample:
    """Return the sample as a model with this limit would have written it."""
    if len(sample.text) <= max_tokens * CHARACTERS_PER_TOKEN:
        return sample
    usage = sample.usage._replace(completion=max_tokens)
    return Sample(sample.text[: max_tokens * CHARACTERS_PER_TOKEN], "length", max_tokens, usage)


def _unusable(right: Sample, which: int, max_tokens: int) -> Sample:
    """Return a malformed sample, one cut off at the limit or one that ended without a reason, in equal shares."""
    prompt_tokens = right.usage.prompt
    kind = which % 3
    if kind == 0:
        return _cut(_sample(f"~{right.text[::-1]}", prompt_tokens), max_tokens)
    if kind == 1:
        rambling = "~" + right.text + "~" * (max_tokens * CHARACTERS_PER_TOKEN)
        return _cut(_sample(rambling, prompt_tokens), max_tokens)
    half = _sample(right.text[: len(right.text) // 2], prompt_tokens)
    return _cut(half, max_tokens)._replace(finish=None)

"""A user with hidden tastes, and a model of known skill that describes them and predicts their choices.

    user = TastingUser({"short": 4, "examples": -2})
    user.choice(7)                                       # a post, the reply they chose, the one they did not
    PreferenceDouble(misreads=0.3, misjudges=0.1)        # wrong about a taste three times in ten, about a choice once in ten

It is for measuring what updates of preferences do: which description is right is known beforehand.
"""

import math
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pydantic_core import to_json

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Prompt
from surefoot.voting.samples import Sample

from .double import Double


class _Words(NamedTuple):
    liked: str
    """How a description says that it is liked."""
    disliked: str
    mark: str
    """What a reply has that is so."""


TASTES: Mapping[str, _Words] = {
    "bullets": _Words("likes lists", "likes running text", "\n- First, look."),
    "examples": _Words("likes examples", "likes rules without examples", "\nFor example, take seven."),
    "formal": _Words("likes formal words", "likes casual words", "\nOne would be well advised to do so."),
    "short": _Words("likes short replies", "likes long replies", "\nThat is all."),
}
"""What a user may like, or dislike."""
CANNOT_READ = "not a question that this double knows"

_FENCED = re.compile(r"\[data (\w+) from user: ([^\]\n]*)\]\n(.*?)\n\[end of data \1\]", re.DOTALL)


class TasteChoice(NamedTuple):
    """What a user chose."""

    post: str
    chosen: str
    rejected: str


class TastingUser:
    """A user who likes some things in replies and dislikes others.

    `weights`: of the tastes in `TASTES`, above 0 for what is liked, below for what is disliked.  Their two replies differ in one of these alone, and they
    choose the liked one with chance 1 / (1 + exp(-|weight|)) (Bradley and Terry 1952, Biometrika 39:324).  The same seed and number are the same choice.
    """

    def __init__(self, weights: Mapping[str, float], *, seed: int = 0) -> None:
        if (
            not weights
            or not weights.keys() <= TASTES.keys()
            or not all(map(math.isfinite, weights.values()))
        ):
            raise BadInput(
                f"weights are finite numbers for some of {', '.join(TASTES)}, not {dict(weights)!r}"
            )
        self._weights, self._seed = dict(weights), seed

    def choice(self, number: int) -> TasteChoice:
        """Return one choice."""
        rng = random.Random(f"{self._seed} {number}")
        post = f"How do I do thing {rng.randrange(10**9)}?"
        taste = rng.choice(sorted(self._weights))
        others = [each for each in TASTES if each != taste and rng.random() < 0.5]
        having, lacking = _reply([*others, taste]), _reply(others)
        likes = rng.random() < (1 + math.tanh(self._weights[taste] / 2)) / 2
        return TasteChoice(post, having, lacking) if likes else TasteChoice(post, lacking, having)


class PreferenceDouble:
    """A model that describes a user from signals, and predicts choices from a description, each wrong with a known chance.

    `misreads`: a description says the opposite of what most of the new signals show, of each taste.  What it said before of other tastes stays.
    `misjudges`: a choice that the description tells of is predicted wrongly.  Where the description tells nothing, it draws lots.
    `first`: it names the reply that is shown first instead, whatever it is asked.
    """

    def __init__(
        self,
        *,
        misreads: float = 0.0,
        misjudges: float = 0.0,
        first: float = 0.0,
        seed: int = 0,
        name: str = "preference-double",
    ) -> None:
        if not 0 <= first <= 1:
            raise BadInput(f"first is a chance between 0 and 1, not {first!r}")
        self._first, self._seed, self._name = first, seed, name
        self._describer = Double(_described, _misread, error=misreads, seed=seed)
        self._judge = Double(_foreseen, _misjudged, error=misjudges, seed=seed)
        self._says = {each: Double(partial(_said, each), _misjudged) for each in "AB"}

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
        if "reply A" not in _parts(ask.prompt):
            return self._describer.draw(ask)
        rng = random.Random(repr((self._seed, ask.prompt, ask.seed)))
        if rng.random() < self._first:
            return self._says["A"].draw(ask)
        if not _leaning(ask.prompt):
            return self._says[rng.choice("AB")].draw(ask)
        return self._judge.draw(ask)

    def delay(self, ask: Ask) -> float:
        """Return 0: it answers at once."""
        return 0.0


def _reply(tastes: Sequence[str]) -> str:
    return "Do it." + "".join(TASTES[each].mark for each in sorted(tastes))


def _parts(prompt: Prompt) -> dict[str, str]:
    """Return what a prompt shows as data, by its heading."""
    text = prompt if isinstance(prompt, str) else prompt[-1].content
    return {what: said for _, what, said in _FENCED.findall(text)}


def _likes(description: str) -> dict[str, bool]:
    """Return what a description says."""
    found = {}
    for taste, words in TASTES.items():
        if words.liked in description or words.disliked in description:
            found[taste] = words.liked in description
    return found


def _described(prompt: Prompt, turned: bool = False) -> str:
    parts = _parts(prompt)
    if not any(what.endswith("chosen reply") for what in parts):
        return CANNOT_READ
    read = {taste: (chosen > 0) != turned for taste, chosen in _shown(parts).items() if chosen}
    likes = {**_likes(parts.get("the description so far", "")), **read}
    said = (
        TASTES[taste].liked if liked else TASTES[taste].disliked for taste, liked in sorted(likes.items())
    )
    return to_json({"preference": f"The user {', '.join(said) or 'likes all alike'}."}).decode()


def _misread(prompt: Prompt, which: int) -> str:
    return _described(prompt, turned=True)


def _shown(parts: Mapping[str, str]) -> Counter[str]:
    """Return what the signals tell: how much more often they chose than rejected what is so, or the other way round; ties tell nothing."""
    found: Counter[str] = Counter()
    for what, chosen in parts.items():
        signal, _, kind = what.partition(", ")
        if kind == "chosen reply":
            rejected = parts.get(f"{signal}, rejected reply", "")
            for taste, words in TASTES.items():
                found[taste] += (words.mark in chosen) - (words.mark in rejected)
    return found


def _leaning(prompt: Prompt) -> int:
    """Return how much more a description says for reply A than for B."""
    parts = _parts(prompt)
    first, second = parts["reply A"], parts.get("reply B", "")
    likes = _likes(parts.get("the description so far", ""))
    marks = ((TASTES[taste].mark, 1 if liked else -1) for taste, liked in likes.items())
    return sum(sign * ((mark in first) - (mark in second)) for mark, sign in marks)


def _foreseen(prompt: Prompt) -> str:
    return _said("A" if _leaning(prompt) > 0 else "B")


def _misjudged(prompt: Prompt, which: int) -> str:
    return _said("B" if _leaning(prompt) > 0 else "A")


def _said(choice: str, _: Prompt = "") -> str:
    return f"choice = {choice}"

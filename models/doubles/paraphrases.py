"""A double that says the same in other words from sample to sample, and one that tells whether two of its answers mean the same.

    model = ParaphraseDouble(error=0.2, wordings=6)     # "Alba", "It is Alba", "I would say Alba", ...
    judge = equivalence_double(error=0.02)              # takes Alba for Bren, or "Alba" for another than "It is Alba", one time in fifty

How often each of them is wrong is known, so that what a judge does to votes can be measured.
"""

import re
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Unpack

from pydantic_core import from_json

from surefoot.errors import BadInput
from surefoot.models.base import Ask, Message, Prompt
from surefoot.voting.samples import Sample

from .double import Double, Faults

CANNOT_READ = "not a question that this double knows"
"""The answer to anything else."""
TOWNS = (
    "Alba", "Bren", "Corvo", "Dunmore", "Elsin", "Farrow", "Greve", "Holt", "Ilmen", "Jarrow", "Kelso", "Lorne",
)  # fmt: skip
"""What is answered."""
WORDINGS = (
    "{}",
    "It is {}",
    "The town is {}",
    "I would say {}",
    "{} is the town that is meant",
    "That must be {}",
    "{}, as far as I know",
    "None other than {}",
)

_PROBLEM = re.compile(r"Which town lies behind door number (\d{1,9})\?")
_TOWN = re.compile("|".join(TOWNS))
_ANSWERS = re.compile(r'First answer:\n(".*")\n\nSecond answer:\n(".*")')


def town_problem(door: int) -> str:
    """Write a problem that the double knows; `door` is a number from 0 on."""
    return f"Which town lies behind door number {door}?"


def town_answer(door: int, towns: int = len(TOWNS)) -> str:
    """Return the right answer, in one word."""
    return TOWNS[_drawn("town", door) % towns]


def town_in(said: str | None) -> str | None:
    """Return the town that an answer names; None if it names none."""
    found = _TOWN.search(said or "")
    return None if found is None else found[0]


class ParaphraseDouble(Double):
    """A double that answers `town_problem`, each sample in one of the first `wordings` of `WORDINGS`.

    A sample is wrong with chance `error`, and names one of the other `towns`; the fewer there are, the more wrong answers agree.  Further
    arguments are those of `Double`.  Asked how to make a problem smaller it says that it is small enough.
    """

    def __init__(
        self, *, wordings: int = len(WORDINGS), towns: int = len(TOWNS), **faults: Unpack[Faults]
    ) -> None:
        if not 1 <= wordings <= len(WORDINGS) or not 2 <= towns <= len(TOWNS):
            raise BadInput(
                f"there are 1 to {len(WORDINGS)} wordings and 2 to {len(TOWNS)} towns, not {wordings!r} and {towns!r}"
            )
        named: Faults = {"name": "paraphrase-double", **faults}
        # All of them draw alike, since their seeds are the same: whether a sample is right does not depend on how it is said.
        answers = [
            (partial(_right, towns, words), partial(_wrong, towns, words)) for words in WORDINGS[:wordings]
        ]
        super().__init__(*answers[0], **named)
        self._each = [Double(*both, **named) for both in answers]
        self._seed = named.get("seed", 0)

    def draw(self, ask: Ask) -> Sample:
        """Return the sample that this ask always gets."""
        return self._each[_drawn(self._seed, ask.prompt, ask.seed) % len(self._each)].draw(ask)


class _EitherWay(Double):
    """It does not care in which order two answers are shown, and so is wrong in both if it is wrong in one."""

    def draw(self, ask: Ask) -> Sample:
        return super().draw(ask._replace(prompt=_in_order(ask.prompt)))


def equivalence_double(*, stubborn: bool = False, **faults: Unpack[Faults]) -> Double:
    """Return a double that tells whether two answers of a `ParaphraseDouble` name the same town; arguments as `Double`.

    `error` is the chance that it says the opposite.  It says the same however often it is asked, since a judge is asked at temperature 0.  In the other
    order of two answers it errs anew, unless it is `stubborn`.
    """
    kind = _EitherWay if stubborn else Double
    named: Faults = {"name": "equivalence-double", "correlation": 1.0, **faults}
    return kind(lambda prompt: _same(prompt, True), lambda prompt, _: _same(prompt, False), **named)


def _right(towns: int, words: str, prompt: Prompt) -> str:
    return _said(prompt, words, lambda door: town_answer(door, towns))


def _wrong(towns: int, words: str, prompt: Prompt, which: int) -> str:
    def other(door: int) -> str:
        others = [town for town in TOWNS[:towns] if town != town_answer(door, towns)]
        return others[which % len(others)]

    return _said(prompt, words, other)


def _said(prompt: Prompt, words: str, town: Callable[[int], str]) -> str:
    text = prompt if isinstance(prompt, str) else "\n".join(message.content for message in prompt)
    found = _PROBLEM.search(text)
    if found is None:
        return CANNOT_READ
    if "You make a problem smaller" in text:
        return '{"parts": []}'
    return f"answer = {words.format(town(int(found[1])))}"


def _same(prompt: Prompt, rightly: bool) -> str:
    found = None if isinstance(prompt, str) else _ANSWERS.search(prompt[-1].content)
    if found is None:
        return CANNOT_READ
    same = town_in(from_json(found[1])) == town_in(from_json(found[2]))
    return f"same = {'yes' if same == rightly else 'no'}"


def _in_order(prompt: Prompt) -> Prompt:
    """Return the same question with the two answers in the order of the alphabet."""
    found = None if isinstance(prompt, str) else _ANSWERS.search(prompt[-1].content)
    if found is None or isinstance(prompt, str):
        return prompt
    one, other = sorted(found.groups())
    text = f"{prompt[-1].content[: found.start()]}First answer:\n{one}\n\nSecond answer:\n{other}"
    return (*prompt[:-1], Message(prompt[-1].role, text))


def _drawn(*told: object) -> int:
    return int.from_bytes(blake2b(repr(told).encode(), digest_size=8).digest())

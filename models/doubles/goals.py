"""Right and wrong answers of a planner's model, for multiplications and for lists that are to be sorted, found in the question.

It makes no problem smaller that is small enough to answer, unless it is told what was tried with it.
"""

import re
from contextlib import suppress
from typing import NamedTuple

from pydantic_core import from_json, to_json

from surefoot.models.base import Prompt
from surefoot.tools.answers.combining import combined

CANNOT_READ = "not a problem that this double knows"
"""The answer to anything else."""
DIGITS, ITEMS = 2, 8
"""Factors of so many digits, and lists of so many items, are not made smaller."""

_MULTIPLY = re.compile(r"What is (\d{1,300}) \* (\d{1,300})\?")
_SORT = re.compile(r"Sort these numbers, smallest first: (\[[\d, -]*\])")


class _Product(NamedTuple):
    a: int
    b: int

    def answer(self) -> str:
        return str(self.a * self.b)

    def wrong(self, which: int) -> str:
        return str(self.a * self.b + 1 + which % max(99, self.a * self.b // 2))

    @property
    def small(self) -> bool:
        return max(len(str(self.a)), len(str(self.b))) <= DIGITS

    @property
    def smallest(self) -> bool:
        """Whether it cannot be made smaller at all."""
        return max(self.a, self.b) < 10

    def split(self, which: int = 0) -> str:
        """Cut the longer factor in two; one that is not 0 makes the formula wrong."""
        cut, other = (self.b, self.a) if len(str(self.b)) >= len(str(self.a)) else (self.a, self.b)
        power = 10 ** max(1, len(str(cut)) // 2)
        high, low = divmod(cut, power)
        return _way(
            [f"What is {other} * {each}?" for each in (high, low)], f"{{1}} * {power + which} + {{2}}"
        )


class _List(NamedTuple):
    items: tuple[int, ...]

    def answer(self) -> str:
        return _written(sorted(self.items))

    def wrong(self, which: int) -> str:
        items = sorted(self.items)
        place = which % max(1, len(items))
        return _written(
            [*items[:place], items[place] + 1 + which % 97, *items[place + 1 :]] if items else [0]
        )

    @property
    def small(self) -> bool:
        return len(self.items) <= ITEMS

    @property
    def smallest(self) -> bool:
        """Whether it cannot be made smaller at all."""
        return len(self.items) < 2

    def split(self, which: int = 0) -> str:
        """Halve the list; what is not 0 leaves an item out."""
        items = list(self.items)
        if which and items:
            del items[which % len(items)]
        half = -(-len(items) // 2)
        return _way(
            [f"Sort these numbers, smallest first: {_written(each)}" for each in (items[:half], items[half:])]
        )


def goal_right(prompt: Prompt) -> str:
    """Answer what a planner asks; `CANNOT_READ` where that cannot be."""
    return _answer(prompt, None)


def goal_wrong(prompt: Prompt, which: int) -> str:
    """Answer it wrongly, but in form."""
    return _answer(prompt, which)


def _answer(prompt: Prompt, which: int | None) -> str:
    if isinstance(prompt, str) or len(prompt) < 2:
        return CANNOT_READ
    asked, wanted = prompt[-1].content, prompt[0].content
    told, _, ways = asked.removeprefix("Problem:\n").partition("\n\nWays:\n")
    told, _, hint = told.partition("\n\nParts:\n")[0].partition("\n\nKnown of it:\n")
    problem = _problem(told)
    if problem is None:
        return CANNOT_READ
    if ways:
        return _choice(problem, ways.splitlines(), which)
    if "You make a problem smaller" in wanted:
        if which is not None:
            return problem.split(1 + which % 997)
        as_it_is = problem.smallest if hint else problem.small
        return '{"parts": []}' if as_it_is else problem.split()
    return f"answer = {problem.answer() if which is None else problem.wrong(which)}"


def _problem(text: str) -> _Product | _List | None:
    if found := _MULTIPLY.fullmatch(text.strip()):
        return _Product(int(found[1]), int(found[2]))
    if found := _SORT.fullmatch(text.strip()):
        with suppress(ValueError):
            return _List(tuple(from_json(found[1])))
    return None


def _choice(problem: _Product | _List, ways: list[str], which: int | None) -> str:
    """Name all ways that lead to the right answer, or wrongly some others."""
    right = sum(1 << place for place, way in enumerate(ways) if _leads(problem, way))
    if which is not None:
        others = [named for named in range(1 << len(ways)) if named != right]
        right = others[which % len(others)]
    named = [str(place + 1) for place in range(len(ways)) if right >> place & 1]
    return f"choice = {', '.join(named) or 0}"


def _leads(problem: _Product | _List, way: str) -> bool:
    split = from_json(way.partition(". ")[2])
    if not split["parts"]:
        return problem.small
    parts = [_problem(part) for part in split["parts"]]
    answers = [part.answer() for part in parts if part is not None]
    return (
        len(answers) == len(parts)
        and combined(split["combine"], split.get("formula", ""), answers) == problem.answer()
    )


def _way(parts: list[str], formula: str = "") -> str:
    fields = {"parts": parts, "combine": "formula" if formula else "merge"}
    return to_json({**fields, **({"formula": formula} if formula else {})}).decode()


def _written(items: list[int]) -> str:
    return "[" + ", ".join(map(str, items)) + "]"

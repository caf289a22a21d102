"""How a problem is worked out in writing: its steps, what each claims, and where slips are made.

A step is one column of a sum, the units first, or one operation of a chain.  `claims` are the values that have been
written down for the first steps; what the next step has to work out depends on them.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from .problems import TrainingProblem, operate

_STEP = re.compile(r"([-+*])(\d)")


class Trap(IntEnum):
    """How easily a step is got wrong."""

    PLAIN = 0
    TRICKY = 1
    """Often got wrong at first, all the more so the later it comes."""
    TREACHEROUS = 2
    """Tricky, and also got wrong when it is looked at again."""


class Fact(NamedTuple):
    """What a step works out."""

    left: str
    """Before the equals sign."""
    right: int
    slip: int
    """The value that is written by those who get it wrong."""
    trap: Trap


class Steps(Protocol):
    """A problem in steps."""

    count: int

    def fact(self, step: int, claims: Sequence[int]) -> Fact:
        """Return what a step works out from the claims before it."""
        ...

    def follow(self, step: int) -> range:
        """Return the steps that are written again when one is looked at again."""
        ...

    def conclude(self, claims: Sequence[int]) -> str:
        """Return the answer that the claims amount to."""
        ...


class Sum:
    """The columns of a sum, the units first.  A slip leaves the carry as it is, so that it stays in its column."""

    def __init__(self, prompt: str) -> None:
        a, b = (map(int, number[::-1]) for number in prompt.removesuffix("=").split("+"))
        self._columns = list(zip(a, b, strict=True))
        self.count = len(self._columns)

    def fact(self, step: int, claims: Sequence[int]) -> Fact:
        """Return what a column adds up to."""
        a, b = self._columns[step]
        carry = int(step > 0 and claims[step - 1] > 9)
        right = a + b + carry
        return Fact(f"{a}+{b}{'+1' * carry}", right, right + (-1 if right % 10 else 1), trap(a, "+", b))

    def follow(self, step: int) -> range:
        """Return the column alone."""
        return range(step, step + 1)

    def conclude(self, claims: Sequence[int]) -> str:
        """Return the digits of all columns."""
        return str(claims[-1]) + "".join(str(claim % 10) for claim in claims[-2::-1])


class Chain:
    """The operations of a chain; a slip runs on to the end."""

    def __init__(self, prompt: str) -> None:
        self._start = int(prompt[0])
        self._operations = [(sign, int(digit)) for sign, digit in _STEP.findall(prompt)]
        self.count = len(self._operations)

    def fact(self, step: int, claims: Sequence[int]) -> Fact:
        """Return the last digit of an operation on the claim before it."""
        operation, operand = self._operations[step]
        value = claims[step - 1] if step else self._start
        right = operate(value, operation, operand)
        return Fact(f"{value}{operation}{operand}", right, (right - 1) % 10, trap(value, operation, operand))

    def follow(self, step: int) -> range:
        """Return the operation and all after it."""
        return range(step, self.count)

    def conclude(self, claims: Sequence[int]) -> str:
        """Return the last digit that was claimed."""
        return str(claims[-1])


def steps_of(problem: TrainingProblem) -> Steps:
    """Return the steps of a problem."""
    return Sum(problem.prompt) if problem.difficulty.startswith("sum") else Chain(problem.prompt)


def trap(left: int, operation: str, right: int) -> Trap:
    """Return how easily an operation on two digits is got wrong."""
    if operation == "+":
        tricky, treacherous = left >= 6 and right >= 6, abs(left - right) <= 1
    elif operation == "-":
        tricky, treacherous = left <= 1 and right >= 6, right - left in (6, 7)
    else:
        tricky, treacherous = left >= 8 and right >= 7, (left, right) == (8, 7)
    return Trap(tricky + (tricky and treacherous))


def mistakes(steps: Steps, claims: Sequence[int]) -> list[int]:
    """Return the steps whose claim does not follow from those before it: the errors that can be seen."""
    return [step for step in range(steps.count) if claims[step] != steps.fact(step, claims).right]

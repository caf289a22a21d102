"""Long multiplication as a task: one digit product a step, the way it is done on paper.

To multiply an m-digit by an n-digit number takes m * n steps.  Each step is asked one sum, `a * b + digit + carry`, which is at
most 99, and answers with its two digits: the new carry and the new digit of the result.
"""

import random
import re
from collections.abc import Mapping, Sequence

from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.voting.flags import NotAnAnswer

from .optional import Case
from .task import Task, Value

ColumnsState = tuple[int, int, tuple[int, ...]]
"""The number of products done, the carry, and the digits of the result so far, ones first."""
ColumnSum = tuple[int, int]
"""Carry and digit: the tens and the ones of the sum."""

RULES = "You do one step of a long multiplication. Work out the sum and answer with its two digits alone, such as 07 or 42."
_SUM = re.compile(r"\s*(\d)(\d)\s*")


class Columns(Task[ColumnsState, ColumnSum]):
    """Multiply two whole numbers, digit by digit."""

    name = "columns"
    views = 2
    """a * b and b * a."""
    sampling = Sampling(max_tokens=64)

    def __init__(self, factors: tuple[str, str] | tuple[int, int]) -> None:
        first, second = (str(factor) for factor in factors)
        for factor in (first, second):
            if not (factor.isascii() and factor.isdigit()):
                raise BadInput(f"a factor is a whole number written in digits, not {factor!r}")
        self._first, self._second = first, second
        self._a = tuple(map(int, reversed(first)))
        self._b = tuple(map(int, reversed(second)))

    def spec(self) -> Mapping[str, Value]:
        """The two factors, as digits."""
        return {"factors": (self._first, self._second)}

    def start(self) -> ColumnsState:
        """Nothing multiplied, all digits 0."""
        return 0, 0, (0,) * (len(self._a) + len(self._b))

    def ask(self, state: ColumnsState, view: int = 0) -> Prompt:
        """Ask for one sum; the second view swaps the factors of its product."""
        a, b, digit, carry = self._terms(state)
        product = f"{a} * {b}" if view == 0 else f"{b} * {a}"
        return Message("system", RULES), Message("user", f"{product} + {digit} + {carry}")

    def read(self, text: str, state: ColumnsState, view: int = 0) -> ColumnSum:
        """Two digits and nothing else."""
        match = _SUM.fullmatch(text)
        if match is None:
            raise NotAnAnswer(f"{text!r} is not two digits")
        return int(match[1]), int(match[2])

    def advance(self, state: ColumnsState, answer: ColumnSum) -> ColumnsState:
        """Write the digit down and take the carry along; at the end of a row the carry is its last digit."""
        done, _, result = state
        carry, digit = answer
        row, column = divmod(done, len(self._b))
        digits = list(result)
        digits[row + column] = digit
        if column == len(self._b) - 1:
            digits[row + len(self._b)], carry = carry, 0
        return done + 1, carry, tuple(digits)

    def finished(self, state: ColumnsState) -> bool:
        """Whether every digit of one factor has met every digit of the other."""
        return state[0] == self.steps()

    def solved(self, state: ColumnsState) -> bool:
        """Compare with the product as the machine works it out."""
        return self.finished(state) and _number(state[2]) == int(self._first) * int(self._second)

    def steps(self) -> int:
        """One step for each pair of digits."""
        return len(self._a) * len(self._b)

    def audit(self, state: ColumnsState, answer: ColumnSum) -> str | None:
        """Work the sum out."""
        a, b, digit, carry = self._terms(state)
        right = divmod(a * b + digit + carry, 10)
        return None if answer == right else f"{a} * {b} + {digit} + {carry} is not {answer[0]}{answer[1]}"

    def case(self, rng: random.Random) -> Case[ColumnsState, ColumnSum]:
        """Draw a random step of this job with random digits so far, and its right answer."""
        start = self.start()
        digits = tuple(rng.randrange(10) for _ in start[2])
        state = (rng.randrange(self.steps()), rng.randrange(9), digits)
        a, b, digit, carry = self._terms(state)
        return Case(state, divmod(a * b + digit + carry, 10))

    def boundary(self, step: int) -> ColumnsState:
        """Whole rows are a product; of the row that is being written the columns so far are another, whose carry goes on."""
        row, column = divmod(step, len(self._b))
        done = _number(self._a[:row]) * _number(self._b)
        if not column:
            return step, 0, _digits(done, len(self._a) + len(self._b))
        place, base = 10**row, 10**column
        carry, written = divmod(done // place % base + self._a[row] * _number(self._b[:column]), base)
        done += (written - done // place % base) * place
        return step, carry, _digits(done, len(self._a) + len(self._b))

    def show(self, answer: ColumnSum) -> str:
        """Write carry and digit."""
        return f"{answer[0]}{answer[1]}"

    def guess(self, state: ColumnsState, after: ColumnsState, view: int = 0) -> str:
        """Write the two digits that the step put down or carried along."""
        row, column = divmod(state[0], len(self._b))
        carry = after[2][row + len(self._b)] if column == len(self._b) - 1 else after[1]
        return f"{carry}{after[2][row + column]}"

    def _terms(self, state: ColumnsState) -> tuple[int, int, int, int]:
        done, carry, result = state
        row, column = divmod(done, len(self._b))
        return self._a[row], self._b[column], result[row + column], carry


def _number(digits: Sequence[int]) -> int:
    """Read digits, ones first."""
    return int("".join(map(str, reversed(digits))) or "0")


def _digits(number: int, count: int) -> tuple[int, ...]:
    """Write a number as so many digits, ones first."""
    return tuple(map(int, reversed(str(number).zfill(count))))

"""Sorting as a task: one comparison a step, in the order of a merge sort.

A list is longer than a model can be trusted with; two items are not.  Sorting n items takes fewer than n log2(n) comparisons, and each is
asked in two views, either item first, so that a liking for the first one shows as dissent.  Items that are the same are not compared.
"""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

from pydantic_core import to_json

from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt
from surefoot.printable import encodable
from surefoot.tools.answers.last_lines import in_form, last_lines, line
from surefoot.typed_input import checked

from .optional import Case, NoCases
from .task import Task, Value

Item = int | str
Runs = tuple[tuple[Item, ...], ...]
SortingState = tuple[Runs, tuple[Item, ...]]
"""The sorted runs, of which the first two are being merged, and what they have been merged to so far."""
First = Literal["left", "right", "neither"]
"""From which of the two runs the item comes that is first; neither if they are equal in that order, and the left one is taken."""

MOST_ITEMS = 10_000
LARGEST = 10**1_000
NUMBERS = "numbers from the smallest to the largest"
RULES = """\
You compare two items of a list that is to be sorted: {by}.
Which one comes first, A or B? You may think first, but briefly. End with exactly one of these lines; the last one is for two items
that are equal in that order:
first = A
first = B
first = equal"""
_ANSWER = line("[Ff]irst", r"\W*+(?:A|B|[Ee]qual)")
_LINES = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""What JSON leaves as it is, and some take for the end of a line."""


class Sorting(Task[SortingState, First]):
    """Sort `items`: whole numbers, or texts in an order that `by` tells in words, such as "cities from north to south".

    Cases for calibration are the comparisons that the job makes, if it sorts numbers.  The order of texts is not known before: there a case
    is any two of them, which are further apart, and easier to tell, than many that the job compares.
    """

    name = "sorting"
    views = 2

    @checked
    def __init__(self, items: tuple[Item, ...], by: str = "") -> None:
        if len(items) > MOST_ITEMS:
            raise BadInput(f"at most {MOST_ITEMS:,} items are sorted, not {len(items):,}")
        numbers = not any(isinstance(item, str) for item in items)
        if not (numbers or by):
            raise BadInput("texts are sorted in an order that is told in words: give `by`")
        if any(isinstance(item, int) and abs(item) >= LARGEST for item in items):
            raise BadInput("numbers of at most 1,000 digits are sorted")
        if not all(encodable(str(item)) for item in (*items, by)):
            raise BadInput("an item has characters that no text can have (halves of surrogate pairs)")
        self._items, self._by, self._known = items, by, numbers and not by
        self._rules = Message("system", RULES.format(by=by or NUMBERS))

    def spec(self) -> Mapping[str, Value]:
        """The items and the order."""
        return {"items": self._items, "by": self._by}

    def start(self) -> SortingState:
        """Each item a run by itself."""
        return _asking(tuple((item,) for item in self._items), ())

    def ask(self, state: SortingState, view: int = 0) -> Prompt:
        """Show the first items of two runs; the second view shows them the other way round."""
        shown = state[0][0][0], state[0][1][0]
        a, b = (
            to_json(item).decode().translate(_LINES) for item in (shown if view == 0 else reversed(shown))
        )
        return self._rules, Message("user", f"A: {a}\nB: {b}")

    def read(self, text: str, state: SortingState, view: int = 0) -> First:
        """Look for the line that the text ends with."""
        found = in_form(_ANSWER, "first = ...", last_lines(text))[-1]
        if found == "l":
            return "neither"
        return "left" if (found == "A") == (view == 0) else "right"

    def advance(self, state: SortingState, answer: First) -> SortingState:
        """Take the first item over; when one run is used up, the rest of the other follows."""
        runs, merged = state
        return _asking(*_taken(runs, merged, second=answer == "right"))

    def finished(self, state: SortingState) -> bool:
        """Whether one run has all items."""
        return len(state[0]) <= 1

    def solved(self, state: SortingState) -> bool:
        """Compare with what the machine makes of numbers; no more is known of another order than that the job is over."""
        if not (self.finished(state) and self._known):
            return self.finished(state)
        return sorted(self._items) == [item for run in state[0] for item in run]

    def steps(self) -> int:
        """Most comparisons that a merge sort of so many items needs."""
        lengths, most = deque([1] * len(self._items)), 0
        while len(lengths) > 1:
            both = lengths.popleft() + lengths.popleft()
            most += both - 1
            lengths.append(both)
        return most

    def audit(self, state: SortingState, answer: First) -> str | None:
        """Compare two numbers; nothing is known of another order."""
        left, right = state[0][0][0], state[0][1][0]
        if not self._known or answer == (first := _first(left, right)):
            return None
        return f"{left} comes before {right}" if first == "left" else f"{right} comes before {left}"

    def case(self, rng: random.Random) -> Case[SortingState, First]:
        """Draw a comparison that the job makes, if it is known, or else two different items."""
        if len(set(self._items)) < 2:
            raise NoCases(f"task {self.name!r} has no two items to compare")
        if self._known:
            left, right = rng.choice(self._compared)
            return Case((((left,), (right,)), ()), _first(left, right))
        left, right = rng.sample(sorted(set(self._items), key=self._items.index), 2)
        return Case((((left,), (right,)), ()))

    @cached_property
    def _compared(self) -> Sequence[tuple[Item, Item]]:
        """The pairs that are compared on the right way."""
        pairs, state = [], self.start()
        while not self.finished(state):
            left, right = state[0][0][0], state[0][1][0]
            pairs.append((left, right))
            state = self.advance(state, _first(left, right))
        return pairs


def _asking(runs: Runs, merged: tuple[Item, ...]) -> SortingState:
    """Go on as long as there is nothing to ask: the next two items are the same."""
    while len(runs) > 1 and runs[0][0] == runs[1][0]:
        runs, merged = _taken(runs, merged, second=False)
    return runs, merged


def _taken(runs: Runs, merged: tuple[Item, ...], *, second: bool) -> SortingState:
    left, right, *others = runs
    if second:
        merged, right = (*merged, right[0]), right[1:]
    else:
        merged, left = (*merged, left[0]), left[1:]
    if left and right:
        return (left, right, *others), merged
    return (*others, merged + left + right), ()


def _first(left: Item, right: Item) -> First:
    assert isinstance(left, int) and isinstance(right, int)
    return "left" if left < right else "right"

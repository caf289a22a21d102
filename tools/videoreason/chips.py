"""Chips: a chip of one of five values is added to a cup, or one that is there is removed; their order does not matter."""

import random

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

from .demo import Demo
from .sets import SIZES, check_change, read_change, read_sets, write_change, write_sets

Cups = tuple[tuple[int, ...], ...]
"""The values in each cup, in ascending order."""
ChipChange = tuple[str, int, int]
"""`("add", 20, 1)`: add or remove, the value, and the number of the cup."""

VALUES = (5, 10, 20, 50, 100)
REMOVALS = 0.53
MOST_CHIPS = 10
"""A cup that is drawn holds no more."""
_WORDS = frozenset(map(str, VALUES))


class Chips(Demo[Cups, ChipChange]):
    """One cup or two, `cup0` and `cup1`."""

    name = "chips"
    sizes = SIZES

    def start(self, size: int, rng: random.Random) -> Cups:
        """Draw 3 to 5 chips for each cup."""
        return tuple(tuple(sorted(rng.choices(VALUES, k=rng.randint(3, 5)))) for _ in range(size))

    def draw(self, state: Cups, rng: random.Random) -> ChipChange:
        """Draw a cup, and remove one of its chips or add one."""
        number = rng.randrange(len(state))
        cup = state[number]
        if cup and (rng.random() < REMOVALS or len(cup) >= MOST_CHIPS):
            return "remove", rng.choice(cup), number
        return "add", rng.choice(VALUES), number

    def after(self, state: Cups, operation: ChipChange) -> Cups:
        """Add the chip, or take it out."""
        action, value, number = operation
        check_change(action, number, state)
        cup = list(state[number])
        if value not in VALUES or (action == "remove" and value not in cup):
            raise NoMove(f"{operation!r} is illegal: there is no such chip")
        if action == "add":
            cup.append(value)
        else:
            cup.remove(value)
        return (*state[:number], tuple(sorted(cup)), *state[number + 1 :])

    def write_operation(self, operation: ChipChange) -> str:
        """`+20 1`: add 20 to cup 1."""
        return write_change(*operation)

    def read_operation(self, text: str) -> ChipChange:
        """Read what is added or removed, and where."""
        action, value, number = read_change(text, "chip", _WORDS.__contains__)
        return action, int(value), number

    def write_state(self, state: Cups) -> str:
        """`cup0: 5, 20, 20; cup1: empty`."""
        return write_sets("cup", state)

    def read_state(self, text: str) -> Cups:
        """Read the cups; the values of each are in ascending order."""
        cups = tuple(tuple(map(int, cup)) for cup in read_sets(text, "cup", _WORDS.__contains__))
        if any(list(cup) != sorted(cup) for cup in cups):
            raise NotAnAnswer(f"{text[:100]!r} does not have the chips of a cup in ascending order")
        return cups


CHIPS = Chips()

"""Piles, cups and paths: one or two numbered collections, and their text.

pile0: 6H, KC; pile1: empty
"""

import re
from collections.abc import Callable, Iterable, Sequence

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

Change = tuple[str, str, int]
"""`("add", "6H", 0)`: add or remove, what, and the number of the collection."""

SIZES = range(1, 3)
SIGNS = {"+": "add", "-": "remove"}
_MOST = 4_000
_ADDED = re.compile(r"([+-])(\w{1,3}+) ([01])")


def write_sets(noun: str, sets: Sequence[Iterable[object]]) -> str:
    """Write the collections, with `empty` for one that holds nothing."""
    return "; ".join(
        f"{noun}{number}: {', '.join(map(str, items)) or 'empty'}" for number, items in enumerate(sets)
    )


def read_sets(text: str, noun: str, item: Callable[[str], bool]) -> tuple[tuple[str, ...], ...]:
    """Parse what `write_sets` writes, whose items pass the test `item`; raises `NotAnAnswer` for anything else."""
    sets: list[tuple[str, ...]] = []
    for number, part in enumerate(text[:_MOST].split("; ", 2)):
        head, _, tail = part.partition(": ")
        items = () if tail == "empty" else tuple(tail.split(", "))
        if head != f"{noun}{number}" or not all(map(item, items)):
            raise NotAnAnswer(f"{part[:100]!r} is not {noun}{number}: ..., its items separated by a comma")
        sets.append(items)
    if len(sets) not in SIZES or len(text) > _MOST:
        raise NotAnAnswer(f"{text[:100]!r} does not have one {noun} or two")
    return tuple(sets)


def write_change(action: str, what: object, number: int) -> str:
    """`+20 1`: add 20 to cup 1."""
    return f"{'+' if action == 'add' else '-'}{what} {number}"


def read_change(text: str, what: str, item: Callable[[str], bool]) -> Change:
    """Parse what `write_change` writes; raises `NotAnAnswer` for anything else, and calls an item `what` then."""
    shown = _ADDED.fullmatch(text)
    if shown is None or not item(shown[2]):
        raise NotAnAnswer(f"{text[:100]!r} does not add or remove a {what}, as +... 0 or -... 1")
    return SIGNS[shown[1]], shown[2], int(shown[3])


def check_change(action: str, number: int, sets: Sequence[object]) -> None:
    """Raise `NoMove` for what is neither add nor remove, and for a number that no collection has."""
    if action not in SIGNS.values():
        raise NoMove(f"{action!r} is illegal: it is add or remove")
    if not 0 <= number < len(sets):
        raise NoMove(f"number {number!r} is illegal: the numbers are 0 to {len(sets) - 1}")


def action_of(action: str, what: object, where: str) -> str:
    """`add 20 to cup1`, `remove 20 from cup1`: an action in the published words."""
    return f"{action} {what} {'to' if action == 'add' else 'from'} {where}"

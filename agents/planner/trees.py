"""What is known of a goal as a tree: each problem with its parts, its answer if there is one, and what is still open."""

from collections.abc import Iterator
from dataclasses import dataclass

from .state import GoalState, Node, Part, Proposal

Place = tuple[int, ...]
"""Where a problem is: () for the whole, (0, 2) for the third part of its first part."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A problem and what became of it."""

    problem: str
    split: Proposal | None = None
    """How it was decided to be made smaller; None while that is open."""
    answer: str | None = None
    """None while there is none."""
    parts: tuple["Branch", ...] = ()

    def walk(self, place: Place = ()) -> Iterator[tuple[Place, "Branch"]]:
        """Yield this problem and all below it with their places, each before its parts."""
        yield place, self
        for number, part in enumerate(self.parts):
            yield from part.walk((*place, number))


def place_of(nodes: tuple[Node, ...]) -> Place:
    """Return where the problem that is worked on is: each one above it has so many answers already."""
    return tuple(len(node.answers) for node in nodes[:-1])


def tree(state: GoalState) -> Branch:
    """Return all that is known at a state."""
    known: list[Branch] = []
    for part in state.done:
        known.append(_answered(part, known))
    below: list[Branch] = []
    for node in reversed(state.nodes):
        below = [_open(node, known, below)]
    return (below or known)[0]


def _answered(part: Part, known: list[Branch]) -> Branch:
    return Branch(part.problem, part.split, part.answer, _last(known, len(part.split.parts)))


def _open(node: Node, known: list[Branch], below: list[Branch]) -> Branch:
    """Return an open problem: its answered parts, the one that is worked on, and those that nobody has looked at yet."""
    wanted = node.split.parts if node.split is not None else ()
    begun = (*_last(known, len(node.answers)), *below)
    return Branch(node.problem, node.split, None, (*begun, *map(Branch, wanted[len(begun) :])))


def _last(known: list[Branch], count: int) -> tuple[Branch, ...]:
    """Take the last ones off a list: a problem comes after its parts, and before those of the next one."""
    first = len(known) - count
    taken = tuple(known[first:])
    del known[first:]
    return taken

"""What pebble is trained on: single steps of the Towers of Hanoi in the compact text (`compact.py`).

In that text disk 1 always travels A -> B -> C -> A.  The shortest solution for an even number of disks is like that
as it stands, for an odd number once pegs B and C have changed names; the three rotations of the pegs are the views.
One rule gives every answer: if disk 1 has just moved, make the one legal move without it, else move disk 1 on.

Three sources of boards, so that no comparison of two disks stays rare:

* `on_path`: a step of the shortest solution, uniform, in a random view;
* `anywhere`: any legal board;
* `comparison`: two disks, uniform among all pairs, are made the tops that have to be compared.

Half of the boards below full height are then spread out: their disks become random ones of the 20, in order.  Gaps
teach the copying of what is written instead of the alphabet, and rare disks are met on boards that cost little.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from surefoot.errors import BadInput
from surefoot.tools.towers import compact
from surefoot.tools.towers.board import PEGS, Move, Pegs, apply, optimal_length, optimal_state, random_pegs

MAX_DISKS = 20

MOVE_ONLY_SHARE = 0.12
COMPARISON_SHARE, PATH_SHARE = 0.45, 0.35
FULL_HEIGHT_SHARE, SPREAD_SHARE = 0.35, 0.5


class BoardExample(NamedTuple):
    """A board, the move that led to it, and whether the answer is the move alone."""

    pegs: Pegs
    previous: Move | None
    move_only: bool

    @property
    def prompt(self) -> str:
        """What the model reads."""
        return compact.prompt(self.pegs, self.previous, move_only=self.move_only)

    @property
    def answer(self) -> str:
        """What the model should write before `<eos>`."""
        move = next_move(self.pegs, self.previous)
        return compact.answer(move, None if self.move_only else apply(self.pegs, move))


def permute(pegs: Pegs, order: tuple[int, int, int]) -> Pegs:
    """Rename the pegs: what lies on peg p goes to peg `order[p]`."""
    renamed: list[tuple[int, ...]] = [(), (), ()]
    for peg, target in zip(pegs, order, strict=True):
        renamed[target] = peg
    return (renamed[0], renamed[1], renamed[2])


def view_order(disks: int, view: int) -> tuple[int, int, int]:
    """Return the peg names of view 0, 1 or 2 of a tower: those under which disk 1 travels A -> B -> C -> A."""
    direction = -1 if disks % 2 else 1
    return (view % PEGS, (view + direction) % PEGS, (view + 2 * direction) % PEGS)


def smaller_top(pegs: Pegs) -> Move | None:
    """Return the only legal move without disk 1; None if the board is finished (or has one disk)."""
    one, other = (peg for peg in range(PEGS) if 1 not in pegs[peg])
    tops = {peg: pegs[peg][-1] for peg in (one, other) if pegs[peg]}
    if not tops:
        return None
    source = min(tops, key=tops.__getitem__)
    return Move(tops[source], source, one + other - source)


def next_move(pegs: Pegs, previous: Move | None) -> Move:
    """Apply the rule; raise `BadInput` where nothing but disk 1 can move and it has just moved."""
    if previous is None or previous.disk != 1:
        source = next(peg for peg in range(PEGS) if 1 in pegs[peg])
        return Move(1, source, (source + 1) % PEGS)
    move = smaller_top(pegs)
    if move is None:
        raise BadInput(f"no step is left on {pegs!r} after {previous!r}")
    return move


def arrival(pegs: Pegs, *, by_disk_1: bool) -> Move | None:
    """Return the move that led to this board: disk 1's, or the one without it (None if there is none)."""
    if by_disk_1:
        target = next(peg for peg in range(PEGS) if 1 in pegs[peg])
        return Move(1, (target - 1) % PEGS, target)
    move = smaller_top(pegs)
    return move and Move(move.disk, move.target, move.source)


def path_example(disks: int, step: int, view: int, *, move_only: bool = False) -> BoardExample:
    """Return step `step` (0-based) of the shortest solution as a view shows it."""
    pegs = permute(optimal_state(disks, step), view_order(disks, view))
    previous = arrival(pegs, by_disk_1=step % 2 == 1) if step else None
    return BoardExample(pegs, previous, move_only)


def comparison_pegs(disks: int, rng: random.Random) -> Pegs:
    """Draw x < y from 2..disks + 1 and build a board whose tops beside disk 1 are x and y (disks + 1: empty peg)."""
    x, y = sorted(rng.sample(range(2, disks + 2), 2))
    p, q, r = rng.sample(range(PEGS), PEGS)
    pegs: list[list[int]] = [[], [], []]
    for disk in range(disks, 0, -1):
        if disk > y:
            pegs[rng.randrange(PEGS)].append(disk)
        elif disk == y:
            pegs[q].append(disk)
        elif disk > x:
            pegs[rng.choice((p, r))].append(disk)
        else:
            pegs[p if disk == x else r].append(disk)
    if y > disks:
        pegs[r] = sorted(pegs[q] + pegs[r], reverse=True)
        pegs[q] = []
    return (tuple(pegs[0]), tuple(pegs[1]), tuple(pegs[2]))


def spread(pegs: Pegs, rng: random.Random) -> Pegs:
    """Replace the disks by as many of 1..MAX_DISKS, drawn at random and in the same order; disk 1 stays."""
    count = sum(map(len, pegs))
    size = [0, 1, *sorted(rng.sample(range(2, MAX_DISKS + 1), count - 1))]
    first, second, third = (tuple(size[disk] for disk in peg) for peg in pegs)
    return (first, second, third)


def draw(rng: random.Random) -> BoardExample:
    """Draw one training example."""
    disks = MAX_DISKS if rng.random() < FULL_HEIGHT_SHARE else rng.randint(1, MAX_DISKS - 1)
    move_only = rng.random() < MOVE_ONLY_SHARE
    source = rng.random()
    if disks == 1 or source < PATH_SHARE:
        step = 0 if rng.random() < 0.02 else rng.randrange(optimal_length(disks))
        return path_example(disks, step, rng.randrange(PEGS), move_only=move_only)
    if source < PATH_SHARE + COMPARISON_SHARE:
        pegs, by_disk_1 = comparison_pegs(disks, rng), rng.random() < 0.8
    else:
        pegs, by_disk_1 = random_pegs(disks, rng), rng.random() < 0.5
    if rng.random() < SPREAD_SHARE:
        pegs = spread(pegs, rng)
    return BoardExample(pegs, arrival(pegs, by_disk_1=by_disk_1 and smaller_top(pegs) is not None), move_only)


def examples(seed: int) -> Iterator[BoardExample]:
    """Draw training examples without end."""
    rng = random.Random(seed)
    while True:
        yield draw(rng)

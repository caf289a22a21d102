"""Towers of Hanoi: the board, its rules, and a checker that knows the optimal sequence.

Nothing here is within the microagent's reach: the model is shown a state and asked for a step. The board applies
and judges steps, and the closed form of the optimal sequence serves calibration (known answers) and the final check.
"""

import random
from functools import partial
from typing import NamedTuple

from surefoot.errors import BadInput

PEGS = 3
MAX_DISKS = 64

Pegs = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Three pegs, each bottom first: `((3, 2, 1), (), ())` is three disks on peg 0, disk 1 (the smallest) on top."""


class Move(NamedTuple):
    """One disk from one peg to another."""

    disk: int
    source: int
    target: int


new_move = partial(tuple.__new__, Move)
"""`Move(...)` of all its fields, as a tuple, in two thirds of the time: a step of towers makes several."""


class IllegalMove(BadInput):
    """The move breaks a rule of the game; the message says which."""


def check_disks(disks: int) -> int:
    """Return `disks` if it is playable, else raise `BadInput`."""
    if not 1 <= disks <= MAX_DISKS:
        raise BadInput(f"a tower has 1 to {MAX_DISKS} disks, not {disks!r}")
    return disks


def start(disks: int) -> Pegs:
    """All disks on peg 0."""
    return (tuple(range(check_disks(disks), 0, -1)), (), ())


def solved(pegs: Pegs) -> bool:
    """Whether every disk lies on peg 2."""
    return not pegs[0] and not pegs[1]


def broken_rule(pegs: Pegs, move: Move) -> str | None:
    """Say which rule `move` breaks on this board, or None if it is legal."""
    disk, source, target = move
    if not (0 <= source < PEGS and 0 <= target < PEGS):
        return f"there is no peg {source if not 0 <= source < PEGS else target!r}"
    if source == target:
        return f"disk {disk} would stay on peg {source}"
    if not pegs[source] or pegs[source][-1] != disk:
        return f"disk {disk} is not on top of peg {source}"
    if pegs[target] and pegs[target][-1] < disk:
        return f"disk {disk} would lie on the smaller disk {pegs[target][-1]}"
    return None


def apply(pegs: Pegs, move: Move) -> Pegs:
    """Return the board after a legal move; raise `IllegalMove` otherwise."""
    if why := broken_rule(pegs, move):
        raise IllegalMove(f"move {tuple(move)!r} is illegal: {why}")
    disk, source, target = move
    after = list(pegs)
    after[source] = pegs[source][:-1]
    after[target] = (*pegs[target], disk)
    return (after[0], after[1], after[2])


def is_board(pegs: Pegs, disks: int) -> bool:
    """Whether the pegs hold disks 1..`disks`, each once and none on a smaller one."""
    ordered = all(peg[i] > peg[i + 1] for peg in pegs for i in range(len(peg) - 1))
    return ordered and sorted(pegs[0] + pegs[1] + pegs[2]) == list(range(1, disks + 1))


def optimal_length(disks: int) -> int:
    """Number of moves of the shortest solution, 2^disks - 1."""
    return (1 << check_disks(disks)) - 1


def optimal_state(disks: int, step: int) -> Pegs:
    """Return the board after `step` moves of the shortest solution from peg 0 to peg 2.

    Disk d moves for the j-th time at move (2j - 1) 2^(d-1), always one peg further in its own direction; the largest
    goes from 0 to 2 in one move, so its direction is -1, and directions alternate from disk to disk.
    """
    pegs: list[list[int]] = [[], [], []]
    for disk in range(disks, 0, -1):
        moves = (step + (1 << (disk - 1))) >> disk
        pegs[_direction(disks, disk) * moves % PEGS].append(disk)
    return (tuple(pegs[0]), tuple(pegs[1]), tuple(pegs[2]))


def optimal_move(disks: int, step: int) -> Move:
    """Return move number `step` + 1 of the shortest solution: the one made on `optimal_state(disks, step)`."""
    disk = ((step + 1) & -(step + 1)).bit_length()
    earlier = step >> disk
    direction = _direction(disks, disk)
    return Move(disk, direction * earlier % PEGS, direction * (earlier + 1) % PEGS)


def random_pegs(disks: int, rng: random.Random) -> Pegs:
    """Return a board drawn uniformly from all 3^disks legal ones."""
    pegs: list[list[int]] = [[], [], []]
    for disk in range(disks, 0, -1):
        pegs[rng.randrange(PEGS)].append(disk)
    return (tuple(pegs[0]), tuple(pegs[1]), tuple(pegs[2]))


def _direction(disks: int, disk: int) -> int:
    return 1 if (disks - disk) % 2 else -1

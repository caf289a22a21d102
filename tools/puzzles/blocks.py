"""Blocks world: stacks of numbered blocks become other stacks, one block at a time; there is room on the table for all.

A block is in its place when it lies on what it is to lie on, and all below it are in theirs.  The procedure, by which no block moves
more than twice (GN1 of Gupta & Nau 1992, with the lowest number where several blocks could move):

    1. If a free block, one with nothing on it, can go to its place now, on the table or on a free block that is in its own place, it does.
    2. Otherwise a free block that is neither in its place nor on the table goes to the table.
"""

import random
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic_core import from_json

from surefoot.errors import BadInput
from surefoot.voting.flags import NotAnAnswer

from .puzzle import FromTo, NoMove, listed

Stacks = tuple[tuple[int, ...], ...]
"""`((1,), (3, 2))`: block 1 on the table, block 2 on block 3; each from the bottom up, by the lowest block."""
BlocksMove = tuple[int, int]
"""Which block, and onto which; 0 is the table."""

TABLE = 0
MOST_BLOCKS = 1_000
MOST_WRONG = 20
_STACKS = listed(listed(r"\d{1,6}+"))
_SHOWN = re.compile(rf"Goal: ({_STACKS})\nStacks: ({_STACKS})")


class BlocksPosition(NamedTuple):
    """What the next move depends on."""

    stacks: Stacks
    goal: Stacks


def canonical(stacks: Iterable[Iterable[int]]) -> Stacks:
    """Return stacks in their one order, empty ones left out."""
    return tuple(sorted(tuple(stack) for stack in stacks if stack))


def check(stacks: Stacks, goal: Stacks) -> BlocksPosition:
    """Return the stacks and the goal in their one order; raises `BadInput` if they do not have the same blocks, numbered from 1 on."""
    for what, each in (("stacks", stacks), ("goal", goal)):
        blocks = sorted(block for stack in each for block in stack)
        if blocks != [*range(1, len(blocks) + 1)] or not 1 <= len(blocks) <= MOST_BLOCKS:
            raise BadInput(
                f"the blocks of {what} are numbered from 1 to at most {MOST_BLOCKS:,}, each is there once, and not {str(each)[:100]}"
            )
    position = BlocksPosition(canonical(stacks), canonical(goal))
    if len(below(position.stacks)) != len(below(position.goal)):
        raise BadInput(
            f"there are {len(below(position.stacks))} blocks in the stacks, and {len(below(position.goal))} in the goal"
        )
    return position


def drawn(blocks: int, seed: int) -> BlocksPosition:
    """Draw stacks, and a goal that is another: each a random order, cut into about as many stacks as the root of the number of blocks."""
    if not 2 <= blocks <= MOST_BLOCKS:
        raise BadInput(f"2 to {MOST_BLOCKS} blocks are drawn, not {blocks!r}")
    rng = random.Random(f"blocks {blocks} {seed}")
    stacks = goal = _heaped(blocks, rng)
    while goal == stacks:
        goal = _heaped(blocks, rng)
    return BlocksPosition(stacks, goal)


def _heaped(blocks: int, rng: random.Random) -> Stacks:
    order = rng.sample(range(1, blocks + 1), blocks)
    stacks: list[list[int]] = [[]]
    for block in order:
        if stacks[-1] and rng.random() < blocks**-0.5:
            stacks.append([])
        stacks[-1].append(block)
    return canonical(stacks)


def in_place(position: BlocksPosition) -> set[int]:
    """Return the blocks that lie where they are to lie, all below them included."""
    wanted = below(position.goal)
    placed: set[int] = set()
    for stack in position.stacks:
        under = TABLE
        for block in stack:
            if wanted.get(block) != under:
                break
            placed.add(block)
            under = block
    return placed


class BlocksPuzzle(FromTo[BlocksPosition, Stacks]):
    """Blocks world, with any number of blocks."""

    name = "blocks"
    board_label = "stacks"
    board_form = _STACKS

    def write_position(self, position: BlocksPosition) -> str:
        """Write the goal, which stays the same, and then the stacks."""
        return f"Goal: {self.write_board(position.goal)}\nStacks: {self.write_board(position.stacks)}"

    def read_position(self, lines: Sequence[str]) -> BlocksPosition:
        """Read them back."""
        shown = _SHOWN.fullmatch("\n".join(lines))
        if shown is None:
            raise ValueError("no position of blocks")
        return BlocksPosition(self.read_board(shown[2]), self.read_board(shown[1]))

    def right(self, position: BlocksPosition) -> BlocksMove:
        """Go by the procedure."""
        placed, wanted = in_place(position), below(position.goal)
        under = below(position.stacks)
        free = sorted(stack[-1] for stack in position.stacks)
        ready = {TABLE} | (placed & set(free))
        for block in free:
            onto = wanted.get(block, TABLE)
            if block not in placed and onto in ready:
                return block, onto
        for block in free:
            if block not in placed and under[block] != TABLE:
                return block, TABLE
        raise NoMove("all blocks are in their place")

    def others(self, position: BlocksPosition) -> Sequence[BlocksMove]:
        """Return one onto itself, and other legal moves."""
        right, under = self.right(position), below(position.stacks)
        free = sorted(stack[-1] for stack in position.stacks)[:MOST_WRONG]
        moves = [
            (block, onto) for block in free for onto in (TABLE, *free) if onto not in (block, under[block])
        ]
        return [(right[0], right[0]), *(move for move in moves if move != right)][:MOST_WRONG]

    def after(self, position: BlocksPosition, move: BlocksMove) -> Stacks:
        """Move the block."""
        block, onto = move
        free = {stack[-1] for stack in position.stacks}
        if block not in free:
            raise NoMove(f"move {list(move)!r} is illegal: block {block} is not free")
        if onto != TABLE and (onto not in free or onto == block):
            raise NoMove(f"move {list(move)!r} is illegal: nothing can be put on block {onto}")
        if (block,) in position.stacks and onto == TABLE:
            raise NoMove(f"move {list(move)!r} is illegal: block {block} lies on the table")
        stacks = [stack[:-1] if stack[-1] == block else stack for stack in position.stacks]
        stacks = [
            (*stack, block) if onto != TABLE and stack and stack[-1] == onto else stack for stack in stacks
        ]
        return canonical([*stacks, (block,)] if onto == TABLE else stacks)

    def before(self, position: BlocksPosition) -> Stacks:
        """Return the stacks."""
        return position.stacks

    def write_board(self, board: Stacks) -> str:
        """`[[1], [3, 2]]`: each stack from the bottom up."""
        return str([list(stack) for stack in board])

    def read_board(self, text: str) -> Stacks:
        """Read the stacks, in any order; no block is there twice."""
        try:
            stacks = canonical(from_json(text))
        except ValueError as error:
            raise NotAnAnswer(f"{text[:100]!r} is not a list of lists of numbers: {error}") from None
        blocks = [block for stack in stacks for block in stack]
        if len(set(blocks)) < len(blocks) or TABLE in blocks:
            raise NotAnAnswer("each block is there once, and has a number from 1 on")
        return stacks


def below(stacks: Stacks) -> dict[int, int]:
    """Return what each block lies on."""
    return {block: under for stack in stacks for block, under in zip(stack, (TABLE, *stack), strict=False)}


BLOCKS = BlocksPuzzle()

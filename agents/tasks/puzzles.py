"""Puzzles beyond the towers as tasks: checkers jumping, river crossing and blocks world, one move a step.

On these, models that write a whole solution at once collapse from some size on (Shojaee et al., "The Illusion of Thinking", arXiv
2506.06941).  Here a microagent is told the rules, the procedure and the position, and nothing else, and answers with one move and the board
after it, as in `Towers`.
"""

import random
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.tools.answers.last_lines import in_form, last_lines, line
from surefoot.tools.puzzles import blocks as blocks_world
from surefoot.tools.puzzles import checkers, crossing
from surefoot.tools.puzzles.puzzle import NoMove, Puzzle
from surefoot.typed_input import checked as type_checked
from surefoot.voting.flags import PAPER, InvariantBroken, NotAnAnswer

from .optional import Case, NoCases
from .task import Task, Value
from .towers import Form

S = TypeVar("S", bound=Hashable)
P = TypeVar("P", bound=Hashable)
B = TypeVar("B", bound=Hashable)
M = TypeVar("M", bound=Hashable)

THOUGHTS = 500
"""Tokens of a sample beside those of the board."""
RULES = """\
You carry out one step of a procedure that solves a puzzle.

{rules}

You may think first, but briefly. End with exactly {lines}, as in the example."""
CHECKERS = """\
On a line of places, numbered from 0 on the left, stand red pieces R and blue pieces B; one place . is empty. R moves to the right and
B to the left: to the next place if that is empty, or by a jump over exactly one piece of the other colour to the empty place behind it.
A move is written as the place that it begins at and the place that it ends at, a board as all places from left to right.

Procedure:
1. If the colour of the previous move can jump, it jumps.
2. Otherwise, if the previous move was a jump (two places) and the same colour can move to the next place, it does.
3. Otherwise the other colour moves: it jumps if it can, or else moves to the next place.
If there was no previous move, the colour that begins moves to the next place.

Example.
Previous move: [2, 3]
Board: R R . R B B B
R moved last, and cannot jump; it did not jump; so B moves, and can jump from place 4 to place 2.
move = [4, 2]
board = R R B R . B B"""

CROSSING = """\
Actors a1, a2, ... and their agents g1, g2, ... cross a river in a boat. Actor a1 belongs to agent g1, and so on. On either bank and in
the boat this rule holds: where an actor is, there is no agent at all, or the actor's own agent is there, too.
A timetable says how many actors and how many agents cross next, and to which bank. A move is written as those who are in the boat; "left"
is who is on the left bank after the crossing.

Procedure: choose who crosses from the bank that the boat leaves. Take the actors with the lowest numbers, and with them the agents with the
lowest numbers, for whom the rule holds in the boat and, after the crossing, on both banks. If it does not hold, try the next agents with the same
actors; only if it holds with none of them, take the next actors, and try the agents from the lowest numbers on again.

Example.
Crossing to the left: 0 actors, 1 agent.
Left bank: [a2, a3, g3]
Right bank: [a1, g1, g2]
g1 on the left bank would be with a2, whose agent is not there. g2 can cross: then a2 and a3 have their agents there, and a1 has g1.
move = [g2]
left = [a2, g2, a3, g3]"""

BLOCKS = """\
Numbered blocks lie in stacks on a table, and are to be moved, one at a time, until the stacks are those of the goal. A stack is written
from the bottom block to the top block; the order of the stacks means nothing. Only a block with nothing on it, a free block, can be
moved: onto another free block, or onto the table (0), where there is always room. A move is written as the block and what it goes onto.
A block is in its place if it lies on what the goal has below it, the table or a block, and all blocks below it are in their places, too.

Procedure:
1. If there are free blocks that are not in their place and can go there now (onto the table if the goal has them at the bottom, or onto
   a free block that is in its own place), move the one with the lowest number there.
2. Otherwise move the free block with the lowest number that is not in its place and not on the table to the table.

Example.
Goal: [[1, 2, 3]]
Stacks: [[1, 3], [2]]
Block 2 is free and belongs on block 1, which is not free. So rule 2: block 3 is free, and neither in its place nor on the table.
move = [3, 0]
stacks = [[1], [2], [3]]"""


class _ByMoves(Task[S, tuple[M, B | None]], Generic[S, P, B, M]):
    """A puzzle that is solved move by move.

    `form`: `full`, the move and the board after it; or `move`, which the puzzle applies.
    `checked`: let the puzzle throw away illegal moves and inconsistent boards as red flags: help from outside the model,
    counted apart.  In `move` form legality is always checked, since an illegal move cannot be applied.
    """

    puzzle: Puzzle[P, B, M]
    rules: str

    def __init__(self, form: Form, checked: bool) -> None:
        self.form, self.checked = form, checked
        self._full = form == "full"
        label = self.puzzle.board_label
        self._move_line, self._board_line = (
            line("move", self.puzzle.move_form),
            line(label, self.puzzle.board_form),
        )
        lines = f"two lines, move = ... and {label} = ..." if self._full else "one line, move = ..."
        # The example shows both lines; in move form it ends with the first of them.
        rules = self.rules if self._full else self.rules.rpartition("\n")[0]
        self._rules = Message("system", RULES.format(rules=rules, lines=lines))
        self.flags = PAPER
        if checked or not self._full:
            self.flags = self.flags | InvariantBroken("illegal", self._illegal)
        if checked and self._full:
            self.flags = self.flags | InvariantBroken("inconsistent", self._inconsistent)
        # No tokenizer makes more tokens of a board than it has characters.
        board = len(self.puzzle.write_board(self._board(self.start())))
        self.sampling = Sampling(max_tokens=max(Sampling().max_tokens, THOUGHTS + board))

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {"form": self.form, "checked": self.checked}

    @abstractmethod
    def _position(self, state: S, view: int = 0) -> P:
        """Return what the puzzle is shown of a state."""

    @abstractmethod
    def _board(self, state: S) -> B:
        """Return the board of a state."""

    @abstractmethod
    def _then(self, state: S, move: M, board: B) -> S:
        """Return the state after a move that led to this board."""

    def ask(self, state: S, view: int = 0) -> Prompt:
        """Show the position."""
        return self._rules, Message("user", self.puzzle.question(self._position(state, view)))

    def read(self, text: str, state: S, view: int = 0) -> tuple[M, B | None]:
        """Parse what the text ends with, and map it back from its view; whether the move is legal is not looked at."""
        lines, board = last_lines(text), None
        if self._full:
            label = f"{self.puzzle.board_label} = ..."
            board = self.puzzle.read_board(in_form(self._board_line, label, lines))
            if self._pieces(board) != self._pieces(self._board(state)):
                raise NotAnAnswer("the board does not hold what it held before")
        return self._seen(self.puzzle.read_move(in_form(self._move_line, "move = ...", lines)), board, view)

    def _seen(self, move: M, board: B | None, view: int) -> tuple[M, B | None]:
        """Map an answer back from its view; raises `NotAnAnswer` for what cannot be seen there."""
        return move, board

    def advance(self, state: S, answer: tuple[M, B | None]) -> S:
        """Take the board from the answer; in move-only form apply the move."""
        move, board = answer
        if board is None:
            board = self.puzzle.after(self._position(state), move)
        return self._then(state, move, board)

    def audit(self, state: S, answer: tuple[M, B | None]) -> str | None:
        """Check that the move is legal, leads where the answer says, and is the procedure's."""
        wrong = self._illegal(state, answer) or (self._inconsistent(state, answer) if self._full else None)
        if wrong:
            return wrong
        try:
            right = self.puzzle.right(self._position(state))
        except NoMove as error:
            return str(error)
        if answer[0] == right:
            return None
        return f"the procedure's move is {self.puzzle.write_move(right)}, not {self.puzzle.write_move(answer[0])}"

    def show(self, answer: tuple[M, B | None]) -> str:
        """Write the move."""
        return self.puzzle.write_move(answer[0])

    def case(self, rng: random.Random) -> Case[S, tuple[M, B | None]]:
        """Draw one of the job's own states, uniformly over its steps, with the right answer."""
        steps = self.steps()
        if not steps:
            raise NoCases(f"task {self.name!r} has no step: it is finished as it is")
        state = self._reached(rng.randrange(steps))
        return Case(state, self._right(state))

    def boundary(self, step: int) -> S:
        """The procedure leads there from the start."""
        return self._reached(step)

    def steps(self) -> int:
        """The number of moves that the procedure needs."""
        return len(self._way)

    def _reached(self, step: int) -> S:
        """Return the state before a step of the right way."""
        return self._way[step]

    @cached_property
    def _way(self) -> Sequence[S]:
        """All states of the right way but the last."""
        states, state = [], self.start()
        while not self.finished(state):
            states.append(state)
            state = self.advance(state, self._right(state))
        return states

    def _right(self, state: S) -> tuple[M, B | None]:
        position = self._position(state)
        move = self.puzzle.right(position)
        return move, self.puzzle.after(position, move) if self._full else None

    def _pieces(self, board: B) -> Any:
        """Return what no move changes."""

    def _illegal(self, state: S, answer: tuple[M, B | None]) -> str | None:
        try:
            self.puzzle.after(self._position(state), answer[0])
        except NoMove as error:
            return str(error)
        return None

    def _inconsistent(self, state: S, answer: tuple[M, B | None]) -> str | None:
        move, board = answer
        try:
            after = self.puzzle.after(self._position(state), move)
        except NoMove as error:
            return str(error)
        if after == board:
            return None
        return f"move {self.puzzle.write_move(move)} does not lead to the board in the answer"


CheckersState = tuple[checkers.CheckersMove | None, checkers.Board]
"""The previous move and the board that it led to."""


class Checkers(_ByMoves[CheckersState, checkers.CheckersPosition, checkers.Board, checkers.CheckersMove]):
    """Let `pairs` red and as many blue pieces change sides, in (pairs + 1)² - 1 moves; two views, one from either side."""

    name = "checkers"
    views = 2
    puzzle = checkers.CHECKERS
    rules = CHECKERS

    @type_checked
    def __init__(self, pairs: int = 5, form: Form = "full", checked: bool = False) -> None:
        self.pairs = pairs
        self._start = checkers.start(pairs)
        super().__init__(form, checked)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {"pairs": self.pairs, **super().spec()}

    def start(self) -> CheckersState:
        """Red on the left, blue on the right."""
        return None, self._start

    def finished(self, state: CheckersState) -> bool:
        """Whether the colours have changed sides, as far as the model's own boards tell."""
        return checkers.solved(state[1])

    def steps(self) -> int:
        """(pairs + 1)² - 1."""
        return checkers.length(self.pairs)

    def _reached(self, step: int) -> CheckersState:
        return checkers.reached(self.pairs, step)

    def _position(self, state: CheckersState, view: int = 0) -> checkers.CheckersPosition:
        previous, board = state
        if view == 0:
            return checkers.CheckersPosition(previous, "R", board)
        across = None if previous is None else self._across(previous)
        return checkers.CheckersPosition(across, "B", checkers.mirrored(board))

    def _board(self, state: CheckersState) -> checkers.Board:
        return state[1]

    def _then(
        self, state: CheckersState, move: checkers.CheckersMove, board: checkers.Board
    ) -> CheckersState:
        return move, board

    def _seen(
        self, move: checkers.CheckersMove, board: checkers.Board | None, view: int
    ) -> tuple[checkers.CheckersMove, checkers.Board | None]:
        if max(move) > 2 * self.pairs:
            raise NotAnAnswer(f"there is no place {max(move)}")
        if view == 0:
            return move, board
        return self._across(move), None if board is None else checkers.mirrored(board)

    def _across(self, move: checkers.CheckersMove) -> checkers.CheckersMove:
        return 2 * self.pairs - move[0], 2 * self.pairs - move[1]

    def _pieces(self, board: checkers.Board) -> Any:
        return len(board), board.count("R"), board.count("B")


CrossingState = tuple[int, crossing.People]
"""How often the boat has crossed, and who is on the left bank."""


class Crossing(_ByMoves[CrossingState, crossing.CrossingPosition, crossing.People, crossing.People]):
    """Take `pairs` actors and their agents over the river in a boat with `seats`, by a timetable that the job is given."""

    name = "crossing"
    puzzle = crossing.CROSSING
    rules = CROSSING

    @type_checked
    def __init__(self, pairs: int = 3, seats: int = 2, form: Form = "full", checked: bool = False) -> None:
        self.pairs, self.seats = pairs, seats
        self._timetable = crossing.timetable(pairs, seats)
        self._everyone = crossing.everyone(pairs)
        super().__init__(form, checked)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {"pairs": self.pairs, "seats": self.seats, **super().spec()}

    def start(self) -> CrossingState:
        """All on the left bank."""
        return 0, self._everyone

    def finished(self, state: CrossingState) -> bool:
        """Whether the timetable has come to its end."""
        return state[0] == len(self._timetable)

    def solved(self, state: CrossingState) -> bool:
        """Whether nobody is left behind."""
        return self.finished(state) and not state[1]

    def _position(self, state: CrossingState, view: int = 0) -> crossing.CrossingPosition:
        number, left = state
        there = set(left)
        right = tuple(person for person in self._everyone if person not in there)
        return crossing.CrossingPosition(number % 2 == 0, *self._timetable[number], left, right)

    def _board(self, state: CrossingState) -> crossing.People:
        return state[1]

    def _then(self, state: CrossingState, move: crossing.People, board: crossing.People) -> CrossingState:
        return state[0] + 1, board

    def _seen(
        self, move: crossing.People, board: crossing.People | None, view: int
    ) -> tuple[crossing.People, crossing.People | None]:
        if strange := set(move).union(board or ()).difference(self._everyone):
            raise NotAnAnswer(f"there is no {min(strange)}")
        return move, board


BlocksState = blocks_world.Stacks


class Blocks(
    _ByMoves[BlocksState, blocks_world.BlocksPosition, blocks_world.Stacks, blocks_world.BlocksMove]
):
    """Make the stacks of a `goal` of `stacks` of numbered blocks; without these both are drawn, of so many `blocks`, by a `seed`."""

    name = "blocks"
    puzzle = blocks_world.BLOCKS
    rules = BLOCKS

    @type_checked
    def __init__(
        self,
        blocks: int | None = None,
        seed: int = 0,
        stacks: tuple[tuple[int, ...], ...] | None = None,
        goal: tuple[tuple[int, ...], ...] | None = None,
        form: Form = "full",
        checked: bool = False,
    ) -> None:
        if (stacks is None) != (goal is None) or (stacks is not None and blocks is not None):
            raise BadInput("give stacks and their goal, or how many blocks are to be drawn")
        self._drawn: dict[str, Value] = {}
        if stacks is None or goal is None:
            self._drawn = {"blocks": 10 if blocks is None else blocks, "seed": seed}
            self._start, self._goal = blocks_world.drawn(10 if blocks is None else blocks, seed)
        else:
            self._start, self._goal = blocks_world.check(stacks, goal)
        super().__init__(form, checked)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments: how they were drawn, or the stacks and the goal."""
        return {**(self._drawn or {"stacks": self._start, "goal": self._goal}), **super().spec()}

    def start(self) -> BlocksState:
        """The stacks as they are given."""
        return self._start

    def finished(self, state: BlocksState) -> bool:
        """Whether the stacks are those of the goal, as far as the model's own boards tell."""
        return state == self._goal

    def _position(self, state: BlocksState, view: int = 0) -> blocks_world.BlocksPosition:
        return blocks_world.BlocksPosition(state, self._goal)

    def _board(self, state: BlocksState) -> blocks_world.Stacks:
        return state

    def _then(
        self, state: BlocksState, move: blocks_world.BlocksMove, board: blocks_world.Stacks
    ) -> BlocksState:
        return board

    def _pieces(self, board: blocks_world.Stacks) -> Any:
        return sorted(block for stack in board for block in stack)

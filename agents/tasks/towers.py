"""Towers of Hanoi as a task, after "Solving a Million-Step LLM Task with Zero Errors" (arXiv 2511.09030).

The microagent is shown the procedure, the previous move and the current board, and answers with the next move and the
board after it.  Nothing else reaches it: no history, no solver.  Every board has three equivalent views, one for each
naming of the pegs under which the procedure reads the same; odd towers, whose disk 1 travels the other way round, are
shown mirrored, so the procedure is one and the same for all.
"""

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, TypeVar, cast, get_args

from surefoot.errors import BadInput
from surefoot.models.base import Prompt, Sampling
from surefoot.tools.towers import board, compact
from surefoot.tools.towers.board import PEGS, IllegalMove, Move, Pegs, new_move
from surefoot.voting.flags import PAPER, InvariantBroken, NotAnAnswer

from . import verbose
from .optional import Case
from .task import Task, Value

Style = Literal["verbose", "compact"]
Form = Literal["full", "move"]
W = TypeVar("W", bound=str)

TowersState = tuple[Move | None, Pegs]
"""The previous move and the board it led to."""
MoveAndBoard = tuple[Move, Pegs | None]
"""The decided move and the board after it, as the model wrote it; no board in move-only form."""


class Towers(Task[TowersState, MoveAndBoard]):
    """Move a tower of `disks` from peg 0 to peg 2 by voted steps.

    `style`: `verbose` chat messages with the rules written out, or `compact` text for a micro model trained on it.
    `form`: `full`, the move and the board after it, as in the paper; or `move`, which the board applies.
    `checked`: let the board throw away illegal moves and inconsistent boards as red flags.  That is help from outside
    the model, so it is off by default and counted apart; in `move` form legality is always checked, since the board
    cannot apply an illegal move.
    """

    name = "towers"
    views = PEGS

    def __init__(
        self, disks: int = 10, style: Style = "verbose", form: Form = "full", checked: bool = False
    ) -> None:
        self.disks = board.check_disks(disks)
        self.style = _one_of("style", style, get_args(Style))
        self.form = _one_of("form", form, get_args(Form))
        self.checked = checked
        # Disk 1 goes 0 -> 1 -> 2 for an even tower that ends on peg 2, and the other way round for an odd one.
        turn = 1 if disks % 2 == 0 else -1
        self._shown_pegs = [[(view + turn * peg) % PEGS for peg in range(PEGS)] for view in range(PEGS)]
        self._real_pegs = [[turn * (peg - view) % PEGS for peg in range(PEGS)] for view in range(PEGS)]
        self._all_disks = list(range(1, disks + 1))
        self.flags = PAPER
        if checked or form == "move":
            self.flags = self.flags | InvariantBroken("illegal", _illegal)
        if checked and form == "full":
            self.flags = self.flags | InvariantBroken("inconsistent", _inconsistent)
        if style == "compact":
            self.sampling = Sampling(temperature=0.3, first_temperature=None, max_tokens=disks + 16)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {"disks": self.disks, "style": self.style, "form": self.form, "checked": self.checked}

    def start(self) -> TowersState:
        """All disks on peg 0, nothing moved yet."""
        return None, board.start(self.disks)

    def ask(self, state: TowersState, view: int = 0) -> Prompt:
        """Show the previous move and the board, pegs named as in `view`."""
        previous, pegs = state
        shown_move = None if previous is None else self._shown_move(previous, view)
        shown = self._shown(pegs, view)
        ask = compact.prompt if self.style == "compact" else verbose.prompt
        return ask(shown, shown_move, move_only=self.form == "move")

    def read(self, text: str, state: TowersState, view: int = 0) -> MoveAndBoard:
        """Parse the answer strictly and name the pegs as they are; `NotAnAnswer` if anything is off.

        Strict means the form: a move of three numbers on existing pegs, and a board that holds every disk once.
        Whether the move is legal and leads to that board is not looked at here.
        """
        move, shown = self._read_compact(text) if self.style == "compact" else self._read_verbose(text)
        move = self._real_move(move, view)
        if shown is None:
            return move, None
        if sorted(shown[0] + shown[1] + shown[2]) != self._all_disks:
            raise NotAnAnswer(f"the board does not hold the disks 1 to {self.disks} once each")
        return move, self._real(shown, view)

    def advance(self, state: TowersState, answer: MoveAndBoard) -> TowersState:
        """Take the board from the answer; in move-only form apply the move."""
        move, after = answer
        return move, board.apply(state[1], move) if after is None else after

    def finished(self, state: TowersState) -> bool:
        """Whether every disk lies on peg 2, as far as the model's own boards tell."""
        return board.solved(state[1])

    def solved(self, state: TowersState) -> bool:
        """Whether the final board is a legal one with every disk on peg 2."""
        return board.solved(state[1]) and board.is_board(state[1], self.disks)

    def steps(self) -> int:
        """The length of the optimal sequence, 2^disks - 1."""
        return board.optimal_length(self.disks)

    def audit(self, state: TowersState, answer: MoveAndBoard) -> str | None:
        """Check by the board that the move is legal and leads where the answer says."""
        try:
            return _illegal(state, answer) if answer[1] is None else _inconsistent(state, answer)
        except IllegalMove as error:
            return str(error)

    def case(self, rng: random.Random) -> Case[TowersState, MoveAndBoard]:
        """Draw one of the job's own states, uniformly over its steps, with the right answer."""
        step = rng.randrange(self.steps())
        move = board.optimal_move(self.disks, step)
        after = None if self.form == "move" else board.optimal_state(self.disks, step + 1)
        return Case(self.boundary(step), (move, after))

    def boundary(self, step: int) -> TowersState:
        """The optimal sequence is known in closed form."""
        previous = board.optimal_move(self.disks, step - 1) if step else None
        return previous, board.optimal_state(self.disks, step)

    def show(self, answer: MoveAndBoard) -> str:
        """Write `disk from to`."""
        return "{} {} {}".format(*answer[0])

    def guess(self, state: TowersState, after: TowersState, view: int = 0) -> str | None:
        """Write the compact answer; None in the verbose style, where what a model thinks first is unknown."""
        move, pegs = after
        if self.style == "verbose" or move is None:
            return None
        shown = self._shown(pegs, view) if self.form == "full" else None
        return compact.answer(self._shown_move(move, view), shown)

    def short(self) -> "Towers":
        """The same job in move-only form, where the board works out what the model need not write."""
        return self if self.form == "move" else Towers(self.disks, self.style, "move")

    def ask_ahead(self, state: TowersState, steps: int) -> Prompt | None:
        """Ask for the next `steps` moves alone; None in the compact style, whose models answer one step at a time."""
        if self.style == "compact":
            return None
        previous, pegs = state
        shown_move = None if previous is None else self._shown_move(previous, 0)
        return verbose.prompt_ahead(self._shown(pegs, 0), shown_move, steps)

    def read_ahead(self, text: str, state: TowersState) -> Sequence[TowersState]:
        """Let the board apply the moves that the text ends with, up to the first illegal one."""
        states: list[TowersState] = []
        for move in [self._real_move(shown, 0) for shown in verbose.read_moves(text)]:
            after = self.unfold(state, move)
            if after is None:
                break
            states.append(after)
            state = after
        return states

    def gist(self, state: TowersState, after: TowersState) -> Move | None:
        """The move that led to `after`."""
        return after[0]

    def unfold(self, state: TowersState, gist: Hashable) -> TowersState | None:
        """Let the board apply the move; None if it is illegal."""
        move = cast(Move, gist)
        try:
            return move, board.apply(state[1], move)
        except IllegalMove:
            return None

    def _read_compact(self, text: str) -> tuple[Move, Pegs | None]:
        if self.form == "move":
            move = compact.read_move(text)
            if move is None:
                raise NotAnAnswer(f"{text!r} is not a move")
            return move, None
        answer = compact.read_answer(text)
        if answer is None:
            raise NotAnAnswer(f"{text!r} is not a move and a board")
        return answer

    def _read_verbose(self, text: str) -> tuple[Move, Pegs | None]:
        return verbose.read_answer(text) if self.form == "full" else (verbose.read_move(text), None)

    def _shown(self, pegs: Pegs, view: int) -> Pegs:
        first, second, third = self._real_pegs[view]
        return pegs[first], pegs[second], pegs[third]

    def _real(self, shown: Pegs, view: int) -> Pegs:
        first, second, third = self._shown_pegs[view]
        return shown[first], shown[second], shown[third]

    def _shown_move(self, move: Move, view: int) -> Move:
        disk, source, target = move
        return new_move((disk, self._shown_pegs[view][source], self._shown_pegs[view][target]))

    def _real_move(self, move: Move, view: int) -> Move:
        disk, source, target = move
        if not (source < PEGS and target < PEGS):
            raise NotAnAnswer(f"there is no such peg in move {list(move)!r}")
        return new_move((disk, self._real_pegs[view][source], self._real_pegs[view][target]))


def _illegal(state: TowersState, answer: MoveAndBoard) -> str | None:
    return board.broken_rule(state[1], answer[0])


def _inconsistent(state: TowersState, answer: MoveAndBoard) -> str | None:
    move, after = answer
    if board.apply(state[1], move) == after:
        return None
    return f"move {list(move)!r} does not lead to the board in the answer"


def _one_of(what: str, value: W, allowed: tuple[W, ...]) -> W:
    if value not in allowed:
        raise BadInput(f"{what} is one of {', '.join(allowed)}, not {value!r}")
    return value

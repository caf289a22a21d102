"""Towers of Hanoi as a task, after "Solving a Million-Step LLM Task with Zero Errors" (arXiv 2511.09030).

The microagent is shown the procedure, the previous move and the current board, and answers with the next move and the
board after it.  Nothing else reaches it: no history, no solver.  Every board has three equivalent views, one for each
naming of the pegs under which the procedure reads the same; odd towers, whose disk 1 travels the other way round, are
shown mirrored, so the procedure is one and the same for all.
"""

import random
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic_core import from_json

from ..errors import BadInput
from ..tools import towers as board
from ..tools.towers import PEGS, Move, Pegs
from ..voting.flags import PAPER, Broken, NotAnAnswer
from . import compact
from .model import Message, Prompt, Sampling
from .task import Case, Task, Value

Style = Literal["verbose", "compact"]
Form = Literal["full", "move"]

State = tuple[Move | None, Pegs]
"""The previous move and the board it led to."""
Step = tuple[Move, Pegs | None]
"""The decided move and the board after it, as the model wrote it; no board in move-only form."""

RULES = """\
You carry out one step of a Towers of Hanoi procedure.

There are three pegs, 0, 1 and 2, and disks numbered from 1 (the smallest) upwards. A board is written as three lists,
one per peg, each from the bottom disk to the top disk. Only the top disk of a peg can be moved, one at a time, and
a disk never lies on a smaller one.

Procedure:
- If the previous move did not move disk 1, or if there was none, move disk 1 one peg clockwise: 0 -> 1, 1 -> 2, 2 -> 0.
- If the previous move moved disk 1, make the only legal move that does not move disk 1.

Example for three disks.
Previous move: [1, 0, 1]
Current board: [[3, 2], [1], []]
Disk 1 was moved last, so the other disks' turn has come: disk 2 can only go to peg 2.
move = [2, 0, 2]
next_state = [[3], [1], [2]]

You may think first, but briefly. End with exactly these lines:
{lines}"""
FULL_LINES = "move = [disk, from peg, to peg]\nnext_state = [[...], [...], [...]]"
MOVE_LINE = "move = [disk, from peg, to peg]"

_PEG = r"\[\s*(?:\d+\s*(?:,\s*\d+\s*)*)?\]"
_MOVE_LINE = re.compile(r"^\W*move\s*=\s*(\[\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\])\W*$", re.MULTILINE)
_STATE_LINE = re.compile(
    rf"^\W*next_state\s*=\s*(\[\s*{_PEG}\s*,\s*{_PEG}\s*,\s*{_PEG}\s*\])\W*$", re.MULTILINE
)


class Towers(Task[State, Step]):
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
        self.flags = PAPER
        if checked or form == "move":
            self.flags = self.flags | Broken("illegal", _illegal)
        if checked and form == "full":
            self.flags = self.flags | Broken("inconsistent", _inconsistent)
        if style == "compact":
            self.sampling = Sampling(temperature=0.3, first_temperature=None, max_tokens=disks + 16)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {"disks": self.disks, "style": self.style, "form": self.form, "checked": self.checked}

    def start(self) -> State:
        """All disks on peg 0, nothing moved yet."""
        return None, board.start(self.disks)

    def ask(self, state: State, view: int = 0) -> Prompt:
        """Show the previous move and the board, pegs named as in `view`."""
        previous, pegs = state
        shown_move = None if previous is None else self._shown_move(previous, view)
        shown = self._shown(pegs, view)
        if self.style == "compact":
            return compact.prompt(shown, shown_move, move_only=self.form == "move")
        return _verbose_prompt(shown_move, shown, self.form)

    def read(self, text: str, state: State, view: int = 0) -> Step:
        """Parse the answer strictly and name the pegs as they are; `NotAnAnswer` if anything is off.

        Strict means the form: a move of three numbers on existing pegs, and a board that holds every disk once.
        Whether the move is legal and leads to that board is not looked at here.
        """
        move, shown = self._read_compact(text) if self.style == "compact" else self._read_verbose(text)
        if not (move[1] < PEGS and move[2] < PEGS):
            raise NotAnAnswer(f"there is no such peg in move {list(move)!r}")
        if shown is None:
            return self._real_move(move, view), None
        if sorted(shown[0] + shown[1] + shown[2]) != list(range(1, self.disks + 1)):
            raise NotAnAnswer(f"the board does not hold the disks 1 to {self.disks} once each")
        return self._real_move(move, view), self._real(shown, view)

    def advance(self, state: State, answer: Step) -> State:
        """Take the board from the answer; in move-only form apply the move."""
        move, after = answer
        return move, board.apply(state[1], move) if after is None else after

    def finished(self, state: State) -> bool:
        """Whether every disk lies on peg 2, as far as the model's own boards tell."""
        return board.solved(state[1])

    def solved(self, state: State) -> bool:
        """Whether the final board is a legal one with every disk on peg 2."""
        return board.solved(state[1]) and board.is_board(state[1], self.disks)

    def steps(self) -> int:
        """The length of the optimal sequence, 2^disks - 1."""
        return board.optimal_length(self.disks)

    def audit(self, state: State, answer: Step) -> str | None:
        """Check by the board that the move is legal and leads where the answer says."""
        return _illegal(state, answer) or (None if answer[1] is None else _inconsistent(state, answer))

    def case(self, rng: random.Random) -> Case[State, Step]:
        """Draw one of the job's own states, uniformly over its steps, with the right answer."""
        step = rng.randrange(self.steps())
        move = board.optimal_move(self.disks, step)
        previous = board.optimal_move(self.disks, step - 1) if step else None
        after = None if self.form == "move" else board.optimal_state(self.disks, step + 1)
        return Case((previous, board.optimal_state(self.disks, step)), (move, after))

    def show(self, answer: Step) -> str:
        """Write `disk from to`."""
        return "{} {} {}".format(*answer[0])

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
        move = _last(_MOVE_LINE, text, "move")
        shown = _last(_STATE_LINE, text, "next_state") if self.form == "full" else None
        return Move(*move), None if shown is None else (tuple(shown[0]), tuple(shown[1]), tuple(shown[2]))

    def _shown(self, pegs: Pegs, view: int) -> Pegs:
        first, second, third = self._real_pegs[view]
        return pegs[first], pegs[second], pegs[third]

    def _real(self, shown: Pegs, view: int) -> Pegs:
        first, second, third = self._shown_pegs[view]
        return shown[first], shown[second], shown[third]

    def _shown_move(self, move: Move, view: int) -> Move:
        disk, source, target = move
        return Move(disk, self._shown_pegs[view][source], self._shown_pegs[view][target])

    def _real_move(self, move: Move, view: int) -> Move:
        disk, source, target = move
        return Move(disk, self._real_pegs[view][source], self._real_pegs[view][target])


def _verbose_prompt(previous: Move | None, pegs: Pegs, form: str) -> Prompt:
    rules = RULES.format(lines=FULL_LINES if form == "full" else MOVE_LINE)
    shown = "none" if previous is None else str(list(previous))
    return (
        Message("system", rules),
        Message("user", f"Previous move: {shown}\nCurrent board: {[list(peg) for peg in pegs]}"),
    )


def _last(line: re.Pattern[str], text: str, what: str) -> list[Any]:
    """Return the list on the last line of this form: a model that thinks first may quote the form before."""
    found = line.findall(text)
    if not found:
        raise NotAnAnswer(f"there is no line '{what} = [...]' in the wanted form")
    value: list[Any] = from_json(found[-1])
    return value


def _illegal(state: State, answer: Step) -> str | None:
    return board.broken_rule(state[1], answer[0])


def _inconsistent(state: State, answer: Step) -> str | None:
    move, after = answer
    if board.apply(state[1], move) == after:
        return None
    return f"move {list(move)!r} does not lead to the board in the answer"


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadInput(f"{what} is one of {', '.join(allowed)}, not {value!r}")
    return value

"""Towers of Hanoi from pixels: before each move somebody looks at the three pegs, and the move is decided on what was seen.

    look at peg 0 -> peg 1 -> peg 2 -> move -> look at peg 0 ...

The world is the board, drawn anew after each move.  The model that moves is shown what was seen and never the board; a move that the
board does not allow leaves it as it is.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import lcm
from typing import Literal

from surefoot.agents.tasks.task import Task, Value
from surefoot.agents.tasks.towers import Towers
from surefoot.errors import BadInput
from surefoot.models.base import Message, Prompt, Sampling
from surefoot.tools.drawing.towers import MOST_DISKS, draw_towers, label_box, peg_box
from surefoot.tools.pictures.crops import Box, Framing, crop, framed
from surefoot.tools.pictures.picture import Picture
from surefoot.tools.pictures.pixels import encoded
from surefoot.tools.towers import board
from surefoot.tools.towers.board import PEGS, Move, Pegs
from surefoot.typed_input import checked
from surefoot.voting.flags import NotAnAnswer

Disks = tuple[int, ...]
"""One peg, bottom first."""
SeenState = tuple[Move | None, Pegs, tuple[Disks, ...]]
"""The move before, the board as it is, and what has been seen of it since: peg 0 first."""
SeenAnswer = tuple[str, tuple[int, ...]]
"""`("peg", disks)`, or `("move", (disk, source, target))`."""

Part = Literal["peg", "labels"]

FRAMINGS: dict[Part, tuple[Framing, ...]] = {"peg": ("as it is", "ink"), "labels": ("ink", "double")}
"""Readers of text err least on what is cut to the ink, and at another size they err elsewhere."""
QUESTION = "peg?"
NONE = "none"


class SeenTowers(Task[SeenState, SeenAnswer]):
    """Move a tower of `disks` from peg 0 to peg 2, looking at the board before each move.

    `look` says what of a peg is shown: all of it, or the column of its numbers, for readers of text.  `readers` are names of a
    `surefoot.models.perceivers.Panel`, asked in turn; without any there is one perceiver.  The mover reads pebble's compact text.
    """

    name = "seen-towers"

    @checked
    def __init__(self, disks: int = 5, look: Part = "peg", readers: tuple[str, ...] = ()) -> None:
        if not 1 <= disks <= MOST_DISKS:
            raise BadInput(f"1 to {MOST_DISKS} disks are drawn, not {disks!r}")
        self._disks, self._look, self._readers = disks, look, readers
        self._mover = Towers(disks, style="compact", form="move")
        self._looks = len(FRAMINGS[look]) * max(1, len(readers))
        self.views = lcm(self._looks, self._mover.views)
        self.sampling = Sampling(temperature=0.3, first_temperature=None, max_tokens=disks + 16)
        self._shown = lru_cache(maxsize=4 * self._looks)(self._drawn)

    def spec(self) -> Mapping[str, Value]:
        """The constructor's arguments."""
        return {"disks": self._disks, "look": self._look, "readers": self._readers}

    def start(self) -> SeenState:
        """All disks on peg 0, nothing seen yet."""
        return None, board.start(self._disks), ()

    def ask(self, state: SeenState, view: int = 0) -> Prompt:
        """Show one peg; or, when all have been seen, ask for a move on what was seen."""
        previous, pegs, seen = state
        if len(seen) == PEGS:
            return self._mover.ask((previous, _pegs(seen)), view % self._mover.views)
        framing, reader = divmod(view % self._looks, max(1, len(self._readers)))
        addressed = f"[{self._readers[reader]}]\n" if self._readers else ""
        return (Message("user", addressed + QUESTION, (self._shown(pegs, len(seen), framing),)),)

    def read(self, text: str, state: SeenState, view: int = 0) -> SeenAnswer:
        """Read the numbers on a peg, from the top down, or a move."""
        previous, _, seen = state
        if len(seen) < PEGS:
            return "peg", self._read_peg(text)
        move, _ = self._mover.read(text, (previous, _pegs(seen)), view % self._mover.views)
        return "move", tuple(move)

    def advance(self, state: SeenState, answer: SeenAnswer) -> SeenState:
        """Keep what was seen; or let the board move, if it can."""
        previous, pegs, seen = state
        what, numbers = answer
        if what == "peg":
            return previous, pegs, (*seen, numbers)
        move = Move(*numbers)
        if board.broken_rule(pegs, move):
            return previous, pegs, ()
        return move, board.apply(pegs, move), ()

    def finished(self, state: SeenState) -> bool:
        """Whether every disk lies on peg 2."""
        return board.solved(state[1])

    def steps(self) -> int:
        """Three looks and a move for each move of the optimal sequence."""
        return (PEGS + 1) * board.optimal_length(self._disks)

    def show(self, answer: SeenAnswer) -> str:
        """Write `see 3 1`, or `move 1 0 2`."""
        what, numbers = answer
        return f"{'see' if what == 'peg' else what} {' '.join(map(str, numbers)) or NONE}"

    def _read_peg(self, text: str) -> Disks:
        words = text.split()
        if words in ([], [NONE]):
            return ()
        if not all(word.isascii() and word.isdigit() and len(word) == 1 for word in words):
            raise NotAnAnswer(f"{text[:60]!r} is no numbers of disks")
        disks = tuple(map(int, reversed(words)))
        if not all(1 <= disk <= self._disks for disk in disks) or disks != tuple(
            sorted(set(disks), reverse=True)
        ):
            raise NotAnAnswer(f"{text[:60]!r} is no peg: disks are smaller from one to the next")
        return disks

    def _drawn(self, pegs: Pegs, peg: int, framing: int) -> Picture:
        box = peg_box if self._look == "peg" else label_box
        return framed(
            crop(encoded(draw_towers(pegs)), Box(*box(peg, self._disks))), FRAMINGS[self._look][framing]
        )


def _pegs(seen: tuple[Disks, ...]) -> Pegs:
    first, second, third = seen
    return first, second, third

"""Scoring of "which operations lead to this state": the answer is run from the hidden state, as leniently as the published scorer runs it.

    number      an illegal move is left out; "upward" is up
    circle      a move off the board is left out; a word such as "upward" is wrong
    cup         a swap with a cup off the board is left out
    files       at most two commands, touch and rm -rf alone, no name in both; the shell leaves out what it cannot do
    cards       only cards of the pack; only the card at the bottom is removed
    chips       only the five values; only a chip that is there is removed

Capitals do not count, but in the names of files.  What names a swap, command or action in another form is no answer: it is not left out.

The published card scorer compares the pile from the bottom up with a target that its question lists from the top down, so that it counts
right answers as wrong; here both are from the bottom up.
"""

import re
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

from .answers import ANY_CELL, CARD, all_found, cell_in, directions, unhedged
from .boards import DIRECTIONS, Board
from .cards import PACK, Piles
from .chips import VALUES, Cups
from .circle import CIRCLE, CircleState
from .cup import CUP
from .demo import Demo
from .files import Command, Paths, run
from .number import NUMBER

S = TypeVar("S", bound=Hashable)
O = TypeVar("O", bound=Hashable)  # noqa: E741 - the field's letter for an operation
T = TypeVar("T")

_WORD = re.compile(r"\b(?:up|down|left|right)\w*+")
_SWAP = re.compile(r"\(([a-i])(\d),\s?([a-i])(\d)\)")
_COMMAND = re.compile(r"\b(touch|rm -rf) path([01])/?\{([^{}]*+)\}", re.IGNORECASE)
_A_COMMAND = re.compile(r"\b(?:touch|rm|cp|mv)\b|path\d/", re.IGNORECASE)
_ACTION = re.compile(r"\b(?:add(?:s|ed|ing)?|remov(?:e|es|ed|ing))\b")
_DEAL = re.compile(rf"\b(add|remove) {CARD} (?:to |from )?pile([01])\b")
_CHIP = re.compile(r"\b(add|remove) (\d{1,3}) (?:to |from )?cup([01])\b")
_CARDS = {name.lower(): card for card, name in PACK.items()}


def number_reached(text: str, board: Board) -> Hashable:
    """Return the board after the moves."""
    return _lenient(NUMBER, board, [(each,) for each in _moves(text)])


def circle_reached(text: str, state: CircleState) -> Hashable:
    """Return the pieces after the moves, wherever the circle is then."""
    if not set(_WORD.findall(text.lower())) <= set(DIRECTIONS):
        raise NotAnAnswer(f"{text[:100]!r} has other words than {', '.join(DIRECTIONS)}")
    return _lenient(CIRCLE, state, [(each,) for each in _moves(text)])[0]


def cup_reached(text: str, board: Board) -> Hashable:
    """Return the board after the swaps."""
    swaps = [(cell_in(each[:2]), cell_in(each[2:])) for each in all_found(_SWAP, ANY_CELL, unhedged(text))]
    if not swaps:
        raise NotAnAnswer(f"{text[:100]!r} has no swap, as (a1, b2)")
    return _lenient(CUP, board, swaps)


def files_reached(text: str, paths: Paths, number: int) -> Hashable:
    """Return the names in one path after the commands."""
    unhedged(text)
    commands = all_found(_COMMAND, _A_COMMAND, text)
    found = [(verb.lower(), {name.strip() for name in names.split(",")}, int(path)) for verb, path, names in commands]  # fmt: skip
    if not 1 <= len(found) <= 2:
        raise NotAnAnswer(f"{text[:100]!r} is not one command or two, touch and rm -rf alone")
    if len({verb for verb, *_ in found}) == 2 and found[0][1] & found[1][1]:
        raise NotAnAnswer(f"{text[:100]!r} has a file in both commands")
    for verb, names, path in found:
        if path >= len(paths):
            raise NotAnAnswer(f"there is no path{path}")
        paths = run(paths, Command(verb.partition(" ")[0], tuple(sorted(names)), path, path))
    return paths[number]


def cards_reached(text: str, piles: Piles, number: int) -> Hashable:
    """Return one pile after the actions."""
    reached = list(map(deque, piles))
    for action, rank, suit, place in _actions(_DEAL, text):
        card, pile = _CARDS[f"{rank} of {suit}"], _at(reached, place)
        if action == "add":
            pile.append(card)
        elif not pile or pile.popleft() != card:
            raise NotAnAnswer(f"{card} is not at the bottom of pile{place}")
    return tuple(reached[number])


def chips_reached(text: str, cups: Cups, number: int) -> Hashable:
    """Return one cup after the actions."""
    reached = list(map(Counter, cups))
    for action, word, place in _actions(_CHIP, text):
        value, cup = int(word), _at(reached, place)
        if value not in VALUES or (action == "remove" and not cup[value]):
            raise NotAnAnswer(f"cup{place} has no chip of {value}, or there is none")
        cup[value] += 1 if action == "add" else -1
    return tuple(sorted(reached[number].elements()))


def _lenient(demo: Demo[S, O], state: S, operations: Sequence[O]) -> S:
    for operation in operations:
        try:
            state = demo.after(state, operation)
        except NoMove:
            continue
    return state


def _moves(text: str) -> tuple[str, ...]:
    moves = directions(text)
    if not moves:
        raise NotAnAnswer(f"{text[:100]!r} has no move: {', '.join(DIRECTIONS)}")
    return moves


def _actions(form: re.Pattern[str], text: str) -> list[Any]:
    """Return the actions; raises `NotAnAnswer` if there are none, or one that is not in form."""
    lower = unhedged(text)
    found = form.findall(lower)
    if not found or len(found) != len(_ACTION.findall(lower)):
        raise NotAnAnswer(f"{text[:100]!r} has an action that cannot be performed, or none")
    return found


def _at(collections: list[T], place: str) -> T:
    if int(place) >= len(collections):
        raise NotAnAnswer(f"there is no number {place}")
    return collections[int(place)]

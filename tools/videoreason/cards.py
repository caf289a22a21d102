"""Cards: a card is added to the TOP of a pile, or removed from its BOTTOM; no card is there twice."""

import random

from surefoot.tools.puzzles.puzzle import NoMove
from surefoot.voting.flags import NotAnAnswer

from .demo import Demo
from .sets import SIZES, Change, check_change, read_change, read_sets, write_change, write_sets

Piles = tuple[tuple[str, ...], ...]
"""Each pile from the bottom up; `6H` is the 6 of Hearts."""

SUITS = {"H": "Hearts", "C": "Clubs", "D": "Diamonds", "S": "Spades"}
RANKS = {
    "A": "Ace",
    **{str(number): str(number) for number in range(2, 11)},
    "J": "Jack",
    "Q": "Queen",
    "K": "King",
}
PACK = {f"{rank}{suit}": f"{RANKS[rank]} of {SUITS[suit]}" for rank in RANKS for suit in SUITS}
"""From the short name to the long one."""
REMOVALS = 0.52
MOST_CARDS = 10
"""A pile that is drawn grows no higher."""


class Cards(Demo[Piles, Change]):
    """One pile or two, `pile0` and `pile1`."""

    name = "cards"
    sizes = SIZES

    def start(self, size: int, rng: random.Random) -> Piles:
        """Draw 3 to 5 cards for each pile."""
        pack = rng.sample(list(PACK), 5 * size)
        return tuple(tuple(pack[5 * pile : 5 * pile + rng.randint(3, 5)]) for pile in range(size))

    def draw(self, state: Piles, rng: random.Random) -> Change:
        """Draw a pile, and remove its bottom card or add a card of the rest of the pack."""
        number = rng.randrange(len(state))
        pile = state[number]
        if pile and (rng.random() < REMOVALS or len(pile) >= MOST_CARDS):
            return "remove", pile[0], number
        held = set(sum(state, ()))
        return "add", rng.choice([card for card in PACK if card not in held]), number

    def after(self, state: Piles, operation: Change) -> Piles:
        """Put the card on top, or take it from the bottom."""
        action, card, number = operation
        check_change(action, number, state)
        pile = state[number]
        if card not in PACK or (action == "add" and card in sum(state, ())):
            raise NoMove(f"{operation!r} is illegal: a card is one of the pack, and is there once")
        if action == "remove" and (not pile or pile[0] != card):
            raise NoMove(f"{operation!r} is illegal: the card at the bottom is removed, and it is another")
        pile = (*pile, card) if action == "add" else pile[1:]
        return (*state[:number], pile, *state[number + 1 :])

    def write_operation(self, operation: Change) -> str:
        """`+6H 0`: add the 6 of Hearts to pile 0."""
        return write_change(*operation)

    def read_operation(self, text: str) -> Change:
        """Read what is added or removed, and where."""
        return read_change(text, "card", PACK.__contains__)

    def write_state(self, state: Piles) -> str:
        """`pile0: 6H, KC; pile1: empty`: each pile from the top down."""
        return write_sets("pile", [pile[::-1] for pile in state])

    def read_state(self, text: str) -> Piles:
        """Read the piles."""
        piles = tuple(pile[::-1] for pile in read_sets(text, "pile", PACK.__contains__))
        if len(set(sum(piles, ()))) < sum(map(len, piles)):
            raise NotAnAnswer(f"{text[:100]!r} holds a card twice")
        return piles


CARDS = Cards()

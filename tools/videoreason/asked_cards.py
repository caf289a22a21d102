"""The questions about cards, in the published words."""

from collections.abc import Iterable

from .answers import counted_cards, dealt_cards, ordered_cards, set_of_cards
from .asked import OTHER, Asked, QuestionBody, counted, numbered, reaching, span
from .boards import NONE
from .cards import PACK, Piles
from .replays import cards_reached
from .sets import Change, action_of

LISTED = (
    "List them in order from top to bottom, including both the value and suit of each card.\nFormat your response like this:\n"
    "6 of Hearts, King of Clubs, 3 of Spades."
)
SETS = "For each card, provide its suit and value.\nFormat your response like this:\n6 of Hearts, King of Clubs, 3 of Spades."
RULES = """\
Rules:
1. Each action must either add a card to a pile or remove a card from a pile.
2. You may only add cards to the top of a pile or remove cards from the bottom of a pile.

Response Format:
List the actions in sequence, specifying the action, card, and pile. Separate each action with a comma.
For example, `add 6 of Hearts to pile0, remove King of Clubs from pile0`"""
DEALT = """\
For each card, provide the following details:
1. The order (e.g., 1st or 2nd)
2. The suit and value (e.g., 6 of Hearts)
3. The pile involved (e.g., pile0, pile1)
Format your response like this:
1st: 6 of Hearts, pile0
2nd: Jack of Spades, pile1."""


class AskedCards(Asked[Piles, Change]):
    """Questions about piles of cards."""

    def introduction(self) -> str:
        """Tell of the piles."""
        shows = "The video showcases a sequence of operations involving one or more piles of cards."
        if self.video.shown == "start":
            return (
                f"{shows} It begins by displaying the initial arrangement of cards in each pile from top to bottom. The cards are then "
                "turned face down, after which a series of actions is carried out. Note that there are only two types of actions: adding "
                "one card to the top of the pile or removing one card from the bottom of the pile.\nPlease carefully watch the video and "
            )
        return (
            f"{shows} Throughout the video, before the final reveal of each pile, only two types of actions occur: adding one card to "
            "the top of the pile or removing one card from the bottom of the pile. Then, the video ends by displaying the final "
            "arrangement of cards in each pile from top to bottom.\nPlease carefully watch the video and "
        )

    def order_operation(self) -> QuestionBody:
        """Ask which cards were added, or removed, in their order."""
        action = self.rng.choice(self.video.operations)[0]
        lines = [f"{PACK[card]}, pile{pile}" for each, card, pile in self.video.operations if each == action]
        numbers = self._stretch(len(lines))
        text = (
            f"What are the {span(numbers)} cards being {_past(action)} any pile throughout the video? {DEALT}"
        )
        return QuestionBody(text, numbered(numbers, lines), dealt_cards)

    def counting_operation(self) -> QuestionBody:
        """Ask how many cards were added to a pile, or removed, and which."""
        action, _, pile = self.rng.choice(self.video.operations)
        cards = [PACK[card] for each, card, other in self.video.operations if (each, other) == (action, pile)]
        text = (
            f"How many cards were {_past(action)} `pile{pile}` throughout the video? For each card, provide its suit and value (e.g., 6 "
            "of Hearts)\nFormat your response like this:\n2 cards: 6 of Hearts, King of Clubs."
        )
        return QuestionBody(text, counted(cards, " cards"), counted_cards)

    def state(self) -> QuestionBody:
        """Ask for a pile."""
        pile = self._pile()
        text = f"At the {self.video.hidden_end} of the video, what cards are in `pile{pile}`? {LISTED}"
        return QuestionBody(text, _downward(self.video.hidden[pile]), ordered_cards)

    def comparison_state(self) -> QuestionBody:
        """Ask for the cards that were in a pile at one end alone."""
        pile, end = self._pile(), self.rng.choice(tuple(OTHER))
        start, last = self.video.states[0][pile], self.video.states[-1][pile]
        within, without = (start, last) if end == "start" else (last, start)
        text = f"What cards were in `pile{pile}` at the {end} of the video, but were not there at the {OTHER[end]} of the video? {SETS}"
        return QuestionBody(text, _named(card for card in within if card not in without), set_of_cards)

    def prediction_state(self) -> QuestionBody:
        """Ask for a pile after further actions."""
        operations, piles = self._further()
        pile = self._pile()
        text = (
            f"{self._as_hidden()}, and now we perform these actions in order: `{_actions(operations)}`. What cards would be in "
            f"`pile{pile}`? {LISTED}"
        )
        return QuestionBody(text, _downward(piles[pile]), ordered_cards)

    def prediction_operation(self) -> QuestionBody:
        """Ask for actions to a pile."""
        pile = self._pile()
        operations, piles = self._leading(lambda state: state[pile] not in ((), self.video.hidden[pile]))
        text = (
            f"{self._as_hidden()}, to ensure that `pile{pile}` contains exactly the following cards from top to bottom: "
            f"`{_downward(piles[pile])}`, what sequence of actions should be performed?\n{RULES}"
        )
        return QuestionBody(text, _actions(operations), reaching(cards_reached, self.video.hidden, pile))

    def _pile(self) -> int:
        return self.rng.randrange(len(self.video.hidden))

    def _as_hidden(self) -> str:
        return f"If the piles currently contain exactly the same cards as they did at the {self.video.hidden_end} of the video"


def _past(action: str) -> str:
    return "added to" if action == "add" else "removed from"


def _actions(operations: Iterable[Change]) -> str:
    return ", ".join(action_of(action, PACK[card], f"pile{pile}") for action, card, pile in operations)


def _named(cards: Iterable[str]) -> str:
    return ", ".join(PACK[card] for card in cards) or NONE


def _downward(pile: tuple[str, ...]) -> str:
    return _named(reversed(pile))

"""The questions about chips, in the published words."""

from collections.abc import Iterable

from .answers import counted_chips, put_chips, worth
from .asked import Asked, QuestionBody, counted, numbered, reaching, span
from .chips import ChipChange, Cups
from .replays import chips_reached
from .sets import action_of

REVEAL = "Disregarding the process of revealing all chips in the cup(s)"
COUNTED = "For each chip, provide its value (order does not matter).\nFormat your response like this:\n4 chips: 20, 5, 100, 100."
EQUAL = "The total value of chips is equal at both times."
RULES = """\
Rules:
1. Each action must either add a chip to a cup or remove a chip from a cup.
2. Available chips for addition are: 5, 10, 20, 50, 100.
3. You may only remove a chip if it is already present in the cup.

Response Format:
List the actions in sequence, specifying the action, chip, and cup. Separate each action with a comma.
For example, `add 20 to cup0, remove 50 cup0`"""
PUT = """\
For each chip, provide the following details:
1. The order (e.g., 1st or 2nd)
2. The value (e.g., 20)
3. The cup involved (e.g., cup0, cup1)
Format your response like this:
1st: 100, cup0
2nd: 20, cup1."""


class AskedChips(Asked[Cups, ChipChange]):
    """Questions about chips in cups."""

    state_dim = "counting_state"

    def introduction(self) -> str:
        """Tell of the cups."""
        shows = "The video showcases a sequence of operations involving one or more cup(s) and chips."
        if self.video.shown == "start":
            return (
                f"{shows} It begins by showing the initial chips contained in each cup. Then, a series of actions are carried out. Note "
                "that there are only two types of actions: adding one chip to a cup or removing one chip from a cup.\nPlease carefully "
                "watch the video and "
            )
        return (
            f"{shows} Throughout the video, before the final reveal of chips contained in each cup, only two types of actions occur: "
            "adding one chip to a cup or removing one chip from a cup. Then, the video ends by displaying the final chips contained in "
            "each cup.\nPlease carefully watch the video and "
        )

    def order_operation(self) -> QuestionBody:
        """Ask which chips were added, or removed, in their order."""
        action = self.rng.choice(self.video.operations)[0]
        lines = [f"{value}, cup{cup}" for each, value, cup in self.video.operations if each == action]
        numbers = self._stretch(len(lines))
        kind = "added to" if action == "add" else "removed from"
        text = (
            f"{REVEAL}, what are the {span(numbers)} chips being {kind} any cup throughout the video? {PUT}"
        )
        return QuestionBody(text, numbered(numbers, lines), put_chips)

    def counting_operation(self) -> QuestionBody:
        """Ask how many chips were added to a cup, or removed, and which."""
        action, _, cup = self.rng.choice(self.video.operations)
        values = [value for each, value, other in self.video.operations if (each, other) == (action, cup)]
        kind = "added to" if action == "add" else "removed from"
        text = f"{REVEAL}, how many chips were {kind} `cup{cup}` throughout the video? {COUNTED}"
        return QuestionBody(text, _counted(values), counted_chips)

    def state(self) -> QuestionBody:
        """Ask for a cup."""
        cup = self._cup()
        text = f"At the {self.video.hidden_end} of the video, how many chips were in `cup{cup}`? {COUNTED}"
        return QuestionBody(text, _counted(self.video.hidden[cup]), counted_chips)

    def comparison_state(self) -> QuestionBody:
        """Ask when a cup was worth more."""
        cup = self._cup()
        more = sum(self.video.states[-1][cup]) - sum(self.video.states[0][cup])
        text = (
            f"At which point in the video is the total value of chips in `cup{cup}` higher, at start or end? Also, what is the difference "
            "in value between the two times?\nFormat your response like this:\n {time_with_higher_value}, {difference_in_value} (e.g., "
            "start, 115)."
        )
        return QuestionBody(text, f"{'end' if more > 0 else 'start'}, {abs(more)}" if more else EQUAL, worth)

    def prediction_state(self) -> QuestionBody:
        """Ask for a cup after further actions."""
        operations, cups = self._further()
        cup = self._cup()
        text = (
            f"{self._as_hidden()}, and now we perform these actions in order: `{_actions(operations)}`. How many chips would be in "
            f"`cup{cup}`? {COUNTED}"
        )
        return QuestionBody(text, _counted(cups[cup]), counted_chips)

    def prediction_operation(self) -> QuestionBody:
        """Ask for actions to a cup."""
        cup = self._cup()
        operations, cups = self._leading(lambda state: state[cup] not in ((), self.video.hidden[cup]))
        wanted = ", ".join(map(str, cups[cup]))
        text = (
            f"{self._as_hidden()}, to ensure that `cup{cup}` contains exactly the following chips: `{wanted}` (order does not matter), "
            f"what sequence of actions should be performed?\n{RULES}"
        )
        return QuestionBody(text, _actions(operations), reaching(chips_reached, self.video.hidden, cup))

    def _cup(self) -> int:
        return self.rng.randrange(len(self.video.hidden))

    def _as_hidden(self) -> str:
        return f"If the cups currently contain exactly the same chips as they did at the {self.video.hidden_end} of the video"


def _actions(operations: Iterable[ChipChange]) -> str:
    return ", ".join(action_of(action, value, f"cup{cup}") for action, value, cup in operations)


def _counted(values: Iterable[int]) -> str:
    return counted(list(map(str, values)), " chips")

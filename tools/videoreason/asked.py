"""A question about a video, its right answer, and how an answer is scored."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from surefoot.errors import BadInput
from surefoot.voting.flags import NotAnAnswer

from .answers import Reader, final_answer
from .boards import NONE
from .demo import Demo

S = TypeVar("S")
O = TypeVar("O")  # noqa: E741 - the field's letter for an operation

Shown = Literal["start", "end"]
OTHER: Mapping[Shown, Shown] = {"start": "end", "end": "start"}
ASKED = "\n\nProvide a summary of the final answer after 'Final Answer:'"
FURTHER = (3, 5)
"""How many operations are foreseen, at least and at most."""
MOST_DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class VideoQuestion:
    """One question about one video."""

    demo: str
    dim: str
    """One of the six dimensions."""
    shown: Shown
    """Where the state is visible."""
    text: str
    answer: str
    """A right answer, as the simulator knows it; where operations are asked for, one of many."""
    read: Reader
    """What an answer says, or what its operations lead to."""

    def right(self, response: str) -> bool:
        """Whether what follows "Final Answer" says the same as the right answer; a response without it is wrong."""
        try:
            return self.read(final_answer(response)) == self.read(self.answer)
        except NotAnAnswer:
            return False


class QuestionBody(NamedTuple):
    """A question without its introduction."""

    text: str
    answer: str
    read: Reader


@dataclass(frozen=True, slots=True)
class Video(Generic[S, O]):
    """All that happens, and at which end the state is visible; one more state than operations."""

    demo: Demo[Any, Any]
    states: Sequence[S]
    operations: Sequence[O]
    shown: Shown

    def __post_init__(self) -> None:
        if not self.operations or len(self.states) != len(self.operations) + 1:
            raise BadInput(
                f"a video has at least 1 operation, and one more state than operations, not {len(self.states)} and {len(self.operations)}"
            )

    @property
    def hidden(self) -> S:
        """The state at the end that is not shown."""
        return self.states[-1 if self.shown == "start" else 0]

    @property
    def visible(self) -> S:
        """The state at the end that is shown."""
        return self.states[0 if self.shown == "start" else -1]

    @property
    def hidden_end(self) -> Shown:
        """Which end is not shown."""
        return OTHER[self.shown]


class Asked(ABC, Generic[S, O]):
    """The six questions about the videos of one demo; what is drawn comes from `rng`, in the order of the dimensions."""

    state_dim: ClassVar[str] = "order_state"
    """What the benchmark calls the question for the hidden state."""

    def __init__(self, video: Video[S, O], rng: random.Random) -> None:
        self.video, self.rng = video, rng

    def questions(self) -> tuple[VideoQuestion, ...]:
        """Ask one question for each dimension."""
        asked: Mapping[str, Callable[[], QuestionBody]] = {
            "order_operation": self.order_operation,
            "counting_operation": self.counting_operation,
            self.state_dim: self.state,
            "comparison_state": self.comparison_state,
            "prediction_state": self.prediction_state,
            "prediction_operation": self.prediction_operation,
        }
        return tuple(self._question(dim, body()) for dim, body in asked.items())

    @abstractmethod
    def introduction(self) -> str:
        """Tell what the video shows."""

    @abstractmethod
    def order_operation(self) -> QuestionBody:
        """Ask for some operations in their order."""

    @abstractmethod
    def counting_operation(self) -> QuestionBody:
        """Ask how many operations are of a kind, and which."""

    @abstractmethod
    def state(self) -> QuestionBody:
        """Ask for the hidden state."""

    @abstractmethod
    def comparison_state(self) -> QuestionBody:
        """Ask what differs between the start and the end."""

    @abstractmethod
    def prediction_state(self) -> QuestionBody:
        """Ask for the state after further operations."""

    @abstractmethod
    def prediction_operation(self) -> QuestionBody:
        """Ask for operations that lead to a state."""

    def _question(self, dim: str, body: QuestionBody) -> VideoQuestion:
        text = f"{self.introduction()}answer the following question:\n\n{body.text}{ASKED}"
        return VideoQuestion(self.video.demo.name, dim, self.video.shown, text, body.answer, body.read)

    def _stretch(self, count: int) -> range:
        """Draw the numbers, from 1, of 2 to 7 of `count` things in a row; of one thing it is that."""
        length = min(count, self.rng.randint(2, 7))
        first = self.rng.randint(1, count - length + 1)
        return range(first, first + length)

    def _further(self) -> tuple[list[O], S]:
        """Draw 3 to 5 operations from the hidden state on, and return them and where they lead."""
        state, operations = self.video.hidden, []
        for _ in range(self.rng.randint(*FURTHER)):
            operation = self.video.demo.draw(state, self.rng)
            operations.append(operation)
            state = self.video.demo.after(state, operation)
        return operations, state

    def _leading(self, wanted: Callable[[S], bool]) -> tuple[list[O], S]:
        """Draw further operations until they lead to a wanted state."""
        for _ in range(MOST_DRAWS):
            operations, state = self._further()
            if wanted(state):
                return operations, state
        raise BadInput(f"no state can be foreseen from {self.video.hidden!r}: take a longer video")


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`."""
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def span(numbers: range) -> str:
    """`2nd to 4th`; `1st` alone."""
    first, last = ordinal(numbers[0]), ordinal(numbers[-1])
    return first if len(numbers) == 1 else f"{first} to {last}"


def numbered(numbers: range, lines: Sequence[str]) -> str:
    """Write a line for each number, which counts `lines` from 1."""
    return "\n".join(f"{ordinal(number)}: {lines[number - 1]}" for number in numbers)


def counted(found: Sequence[str], noun: str = "") -> str:
    """`2: (b,2), (c,2)`: how many, and which."""
    return f"{len(found)}{noun}: {', '.join(found) or NONE}"


def reaching(reached: Callable[..., Any], *given: object) -> Reader:
    """Return the reader of operations that are run from a state."""

    def read(text: str) -> Any:
        return reached(text, *given)

    return read

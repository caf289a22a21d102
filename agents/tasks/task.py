"""The `Task` seam: a long-horizon job seen as a chain of steps.

A domain of one's own is a class of about thirty lines that knows nothing of voting, Redis or HTTP:

    class Countdown(Task[int, int]):
        name = "countdown"

        def __init__(self, start: int) -> None:
            self.first = start

        def spec(self) -> dict[str, Value]:
            return {"start": self.first}

        def start(self) -> int:
            return self.first

        def ask(self, state: int, view: int = 0) -> Prompt:
            return f"What comes after {state} when counting down? Answer with the number alone."

        def read(self, text: str, state: int, view: int = 0) -> int:
            if not text.strip().isdecimal():
                raise NotAnAnswer("not a number")
            return int(text)

        def advance(self, state: int, answer: int) -> int:
            return answer

        def finished(self, state: int) -> bool:
            return state == 0

That is all a task must have.  It may refine a few more members, which have defaults, and have methods for calibration, acting on the
world and speculation: `optional`.

States and answers are plain values (`Value`: None, bool, int, str and tuples of these, named tuples included), so that
they can be compared, hashed and written down without a codec of the task's own.  Anything else is refused when it is first met, since
a resumed run would go on with something else; named tuples come back from the journal as tuples.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from surefoot.models.base import Prompt, Sampling
from surefoot.voting.flags import PAPER, Flag

from .codec import Codec

Value = None | bool | int | str | tuple["Value", ...]

S = TypeVar("S", bound=Hashable)
A = TypeVar("A", bound=Hashable)


class Task(ABC, Generic[S, A]):
    """Where a job starts, what one step is asked, how its answer is read, and when it is over.

    A ballot is the whole answer.  If the model writes the next state, the next state is part of the answer, and
    `advance` takes it from there: never from another ballot, never from a simulator.
    """

    # What makes a task: these seven.

    name: ClassVar[str]
    """What the journal, messages and entry points call it."""

    @abstractmethod
    def spec(self) -> Mapping[str, Value]:
        """Return the keyword arguments that make this task again, in another process."""

    @abstractmethod
    def start(self) -> S:
        """Return the state before the first step."""

    @abstractmethod
    def ask(self, state: S, view: int = 0) -> Prompt:
        """Return what the microagent is asked; the common part first and the state last, for prefix caches."""

    @abstractmethod
    def read(self, text: str, state: S, view: int = 0) -> A:
        """Parse one sample strictly and map it back from its view; raise `NotAnAnswer` if it is malformed."""

    @abstractmethod
    def advance(self, state: S, answer: A) -> S:
        """Return the state after a decided step."""

    @abstractmethod
    def finished(self, state: S) -> bool:
        """Whether the job is over."""

    # What any task may refine: these have defaults.

    views: int = 1
    """How many equivalent presentations a step has; ballot j of a step sees view j mod `views`."""
    flags: Flag = PAPER
    """What throws a sample away; by default the paper's red flags, which know no rules of the task."""
    sampling: Sampling = Sampling()
    """How ballots are drawn unless the user says otherwise; never longer than `flags` let pass (`sampling_for`)."""
    state_codec: Codec[S] | None = None
    """How states are written down that are not plain values (`Typed` for pydantic models and the like)."""
    answer_codec: Codec[A] | None = None
    """The same for answers."""

    def solved(self, state: S) -> bool:
        """Check the result, from outside the model; by default a finished job is solved."""
        return self.finished(state)

    def steps(self) -> int | None:
        """Return the number of steps the job should take, or None if it is unknown.

        A run that is not finished after so many is over and not solved.
        """
        return None

    def audit(self, state: S, answer: A) -> str | None:
        """Say what is wrong with a decided step, by the task's own check from outside the model; None if nothing."""
        return None

    def show(self, answer: A) -> str:
        """Write one decided answer for a person: a line of `--out`."""
        return str(answer)


def sampling_for(task: Task[Any, Any], given: Sampling | None = None) -> Sampling:
    """Return how the samples of `task` are drawn: as the user has `given`, or else as the task says.

    Either is cut down to the longest sample that the task's flags let pass.  Without that a sample that is too long could
    pass in a request for several, since the samples of one request have no lengths of their own.
    """
    return (given or task.sampling).within(task.flags.limit)

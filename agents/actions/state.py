"""What is known of a chain at a step, and what is answered there: all of it can be written down."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from surefoot.agents.tasks.codec import Typed

Stage = Literal["continue", "reflect", "explore", "compare", "over"]


@dataclass(frozen=True, slots=True)
class ActionStep:
    """One step of a solution; equal ones have the same result, however they came to it."""

    normal: str
    """The normal form of the result, by which steps are compared."""
    said: str = field(compare=False)
    """The result as the first one of those that won has said it."""
    text: str = field(compare=False, default="")
    """What was done; empty for an answer."""
    final: bool = False
    """Whether the result is the answer to the problem."""
    kind: Literal["step"] = "step"

    def __str__(self) -> str:
        return f"answer {self.said}" if self.final else f"continue {self.text} -> {self.said}"


@dataclass(frozen=True, slots=True)
class Reflection:
    """What a reflection has found; equal ones name the same step."""

    bad: int | None
    """The first step that is wrong, from 1; None if all are right."""
    why: str = field(compare=False, default="")
    kind: Literal["finding"] = "finding"

    def __str__(self) -> str:
        return "reflect: all right" if self.bad is None else f"reflect: step {self.bad}: {self.why}"


@dataclass(frozen=True, slots=True)
class Preferred:
    """Which of a step that was taken back and the one in its place is right."""

    new: bool
    kind: Literal["preferred"] = "preferred"

    def __str__(self) -> str:
        return f"compare: the {'new' if self.new else 'old'} step"


ChainAnswer = ActionStep | Reflection | Preferred


@dataclass(frozen=True, slots=True)
class ChainState:
    """The steps that stand, and what is in doubt."""

    steps: tuple[ActionStep, ...] = ()
    doubt: str | None = None
    """Why the steps are to be verified: what a check has said, or "" if it was their turn; None if they are not."""
    undone: tuple[ActionStep, ...] = ()
    """The steps that were taken back, from the first bad one on: the checkpoint that an unconfirmed doubt returns to."""
    why: str = ""
    """Why they were."""
    candidate: ActionStep | None = None
    """What would stand in place of the first of them."""
    findings: tuple[Reflection, ...] = ()
    """What the reflection that is open has found so far, a sample each."""
    comparisons: tuple[Preferred, ...] = ()
    """The same of the comparison that is open."""
    reflected: tuple[int, ...] = ()
    """How many steps there were at each reflection."""
    explores: int = 0
    """How often steps were taken back."""
    taken: int = 0
    """Steps taken so far, those that were taken back among them."""

    @property
    def stage(self) -> Stage:
        """What is asked next."""
        if self.candidate is not None:
            return "compare"
        if self.doubt is not None:
            return "reflect"
        if self.undone:
            return "explore"
        return "over" if self.steps and self.steps[-1].final else "continue"

    @property
    def answer(self) -> str | None:
        """The answer to the problem; None while there is none, or it is in doubt."""
        return self.steps[-1].said if self.stage == "over" else None

    @property
    def swapped(self) -> bool:
        """Whether a comparison shows the new step first: in every other one, so that who always takes the first decides nothing."""
        return len(self.comparisons) % 2 == 1

    def settled(self, steps: tuple[ActionStep, ...]) -> "ChainState":
        """Return the state with these steps, and nothing in doubt."""
        return replace(
            self, steps=steps, doubt=None, undone=(), why="", candidate=None, findings=(), comparisons=()
        )


STATES: Typed[ChainState] = Typed(ChainState, of_answers=True)
ANSWERS: Typed[ChainAnswer] = Typed(Annotated[ChainAnswer, Field(discriminator="kind")])

"""What is known of a problem at a step, and what is answered there: all of it can be written down."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from surefoot.agents.tasks.codec import Typed
from surefoot.tools.answers.combining import Combine

DEEPEST = 50
"""So many problems are parts of one another at most, the whole included."""
MOST_PARTS = 10_000
"""Once so many are answered no problem is made smaller any more."""
Stage = Literal["propose", "choose", "solve", "compose", "over"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A way to make a problem smaller; without parts the problem is to be answered as it is."""

    parts: tuple[str, ...] = ()
    """Problems, each told whole."""
    combine: Combine = "ask"
    formula: str = ""
    kind: Literal["proposal"] = "proposal"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of the ways shown are right."""

    numbers: tuple[int, ...]
    """From 1, in order; none if none is.  All of them, since votes for one of several right ways would never agree."""
    kind: Literal["chosen"] = "chosen"


@dataclass(frozen=True, slots=True)
class Solved:
    """An answer; equal ones mean the same, however they are said."""

    normal: str
    """Its normal form, by which it is compared."""
    said: str = field(compare=False)
    """As the first one of those that won has said it."""
    kind: Literal["solved"] = "solved"


PlannerAnswer = Proposal | Chosen | Solved


@dataclass(frozen=True, slots=True)
class Node:
    """A problem that is being worked on."""

    problem: str
    split: Proposal | None = None
    """How it was decided to be made smaller; None while that is open."""
    answers: tuple[str, ...] = ()
    """Those of its parts so far."""
    rejected: int = 0
    """How often none of the proposals was right."""


@dataclass(frozen=True, slots=True)
class Part:
    """A problem that has its answer."""

    depth: int
    """0 for the whole."""
    problem: str
    split: Proposal
    answer: str


@dataclass(frozen=True, slots=True)
class GoalState:
    """The problem, the part of it that is being worked on, the part of that, and so on."""

    nodes: tuple[Node, ...]
    """From the whole to the part that is asked about; empty once there is an answer."""
    proposals: tuple[Proposal, ...] = ()
    """For the last node."""
    choosing: bool = False
    """Whether they differ, so that one of them is to be chosen."""
    done: tuple[Part, ...] = ()
    """What has been answered, in that order: a problem comes after its parts."""

    @property
    def answer(self) -> str | None:
        """That of the whole; None while there is none."""
        return None if self.nodes else self.done[-1].answer

    @property
    def stage(self) -> Stage:
        """What is asked next."""
        if not self.nodes:
            return "over"
        node = self.nodes[-1]
        if node.split is None:
            return "choose" if self.choosing else "propose"
        return "compose" if node.split.parts else "solve"


def outline(done: tuple[Part, ...]) -> str:
    """Write what has been answered as a tree, each problem above its parts."""
    trees: list[list[str]] = []
    for part in done:
        first = len(trees) - len(part.split.parts)
        below = [f"  {line}" for tree in trees[first:] for line in tree]
        how = part.split.formula or (part.split.combine if part.split.parts else "")
        said = f"{' '.join(part.problem.split())} -> {part.answer}" + (f"   [{how}]" if how else "")
        trees[first:] = [[said, *below]]
    return "\n".join(line for tree in trees for line in tree)


STATES: Typed[GoalState] = Typed(GoalState, of_answers=True)
ANSWERS: Typed[PlannerAnswer] = Typed(Annotated[PlannerAnswer, Field(discriminator="kind")])

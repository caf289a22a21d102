"""The seam through which a step goes on that its election leaves undecided: who decides it then, and with what."""

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol

from surefoot.agents.tasks.task import A, S
from surefoot.models.base import Model
from surefoot.orchestration.record import RungTally

from .open_step import Decision, Drawn, StepStalled, Terms


class Hold(Protocol):
    """Holds an election, of the job's own model unless another is given."""

    async def __call__(
        self, terms: Terms[S, A], state: S, step: int, model: Model | None = None
    ) -> Decision[A]:
        """Return its decision; raises `StepStalled`, and `Paused` before the budget is overspent."""
        ...


class Ascent(NamedTuple, Generic[A]):
    """What became of a climb."""

    winner: A | None = None
    """What was decided; None if nothing was."""
    rungs: tuple[RungTally, ...] = ()
    """What was climbed, the rung that decided last; the answers in them are as the journal has them."""
    drawn: tuple[Drawn, ...] = ()
    """Further samples of the step itself, numbered on."""
    back_to: int | None = None
    """Decide the steps from this one on again."""
    candidates: tuple[A, ...] = ()
    """A person is to choose among these."""


@dataclass(frozen=True, slots=True)
class HardStep(Generic[S, A]):
    """A step that its own election left undecided."""

    stall: StepStalled
    state: S
    terms: Terms[S, A]
    hold: Hold

    @property
    def step(self) -> int:
        """Its number."""
        return self.stall.step


class Climbs(Protocol[S, A]):
    """Decides hard steps by other means than their own election."""

    async def climb(self, hard: HardStep[S, A]) -> Ascent[A]:
        """Return what became of it.  The same step, state, terms and samples lead to the same end."""
        ...

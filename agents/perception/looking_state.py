"""What is known of a question about pictures, and what is answered at a step: all of it can be written down."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from surefoot.agents.tasks.codec import Typed

Region = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, from the left upper corner."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is to be looked at."""

    question: str
    picture: int = 1
    """From 1."""
    region: Region | None = None
    """The part that is shown; None is the whole picture."""


@dataclass(frozen=True, slots=True)
class Queries:
    """A planner's decision to look before it answers."""

    queries: tuple[Query, ...]
    kind: Literal["queries"] = "queries"


@dataclass(frozen=True, slots=True)
class RatedQueries:
    """The same from a planner that was asked how sure it is; equal ones ask the same, however sure it is."""

    queries: tuple[Query, ...]
    confidence: int = field(compare=False)
    """In the best answer that it had before these looks, 0 to 100."""
    kind: Literal["rated queries"] = "rated queries"


@dataclass(frozen=True, slots=True)
class Rephrased:
    """A question without what its writer expected to see."""

    question: str
    kind: Literal["rephrased"] = "rephrased"


@dataclass(frozen=True, slots=True)
class Captioned:
    """A perceiver's description of a whole picture."""

    said: str
    kind: Literal["captioned"] = "captioned"


@dataclass(frozen=True, slots=True)
class Described:
    """What the perceiver has said; equal ones mean the same, however they are said."""

    normal: str
    said: str = field(compare=False)
    kind: Literal["described"] = "described"


@dataclass(frozen=True, slots=True)
class Answered:
    """A planner's answer to the whole."""

    normal: str
    said: str = field(compare=False)
    kind: Literal["answered"] = "answered"


LookingAnswer = Queries | RatedQueries | Rephrased | Captioned | Described | Answered


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen, and where it comes from."""

    query: Query
    digest: str
    """SHA-256 of the picture's bytes."""
    answer: str


@dataclass(frozen=True, slots=True)
class LookingState:
    """What has been seen, and what is to be looked at next."""

    observations: tuple[Observation, ...] = ()
    waiting: tuple[Query, ...] = ()
    rounds: int = 0
    """How often the planner has asked."""
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class ExtendingState(LookingState):
    """The same where the planner says how sure it is.  A class of its own: the start of a job is part of its hash chain, and stays as it was."""

    confidences: tuple[int, ...] = ()
    """0 to 100, one for each round."""

    @property
    def rising(self) -> bool:
        """Whether what was seen in the round before the last one has made the planner surer."""
        return len(self.confidences) > 1 and self.confidences[-1] > self.confidences[-2]


STATES: Typed[LookingState] = Typed(LookingState)
EXTENDING_STATES: Typed[LookingState] = Typed(ExtendingState)
ANSWERS: Typed[LookingAnswer] = Typed(Annotated[LookingAnswer, Field(discriminator="kind")])

"""What an agent knows at a step of its run, and what may happen to it there: all of it can be written down."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from surefoot.agents.tasks.codec import Typed
from surefoot.models.base import Message
from surefoot.models.offers import Call, write_calls

OVERHEAD = 16
"""Bytes that the form of a message takes."""
BYTES_A_TOKEN = 3.0
"""Of UTF-8, where nobody has counted: rather too few than too many, since code has fewer than English prose.  A letter of most other
scripts takes two or three bytes, and about a token.
"""

Ending = Literal["", "answered", "submitted", "turn_limit", "error_limit", "refused", "overthinking"]
"""How a run is over; "" while it is not.

    answered     the model answered without a call
    submitted    a tool that ends runs was called
    turn_limit   no turn is left
    error_limit  in too many turns in a row every call came to nothing
    refused      a person did not allow a call, and said that the run is over
    overthinking the monitor ended it, after every other intervention
"""


@dataclass(frozen=True, slots=True)
class DecidedCalls:
    """A turn's ballot: the calls that are to be made, or an answer.  Two are equal when the calls are, whatever the prose around them."""

    calls: tuple[Call, ...]
    prose: str = field(compare=False)
    answer: str = ""
    """The prose with its white space evened out, where there is no call; empty otherwise."""
    prompt_tokens: int = field(default=0, compare=False)
    """How long the conversation was before it, as the server counted it; 0 where it does not say."""
    kind: Literal["decided"] = "decided"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a person said to the call that is due."""

    yes: bool
    kind: Literal["allowed"] = "allowed"


@dataclass(frozen=True, slots=True)
class Seen:
    """An observation: what the world answered to one call."""

    text: str
    code: int | None = None
    ends: bool = False
    """Whether the run is over, `text` being its result."""
    outcome: Literal["done", "failed", "refused", "unknown"] = "done"
    """`failed`: the call came to nothing.  `refused`: a person did not allow it.  `unknown`: the run was killed in the middle of it, and
    it must not be made twice."""
    kind: Literal["seen"] = "seen"

    @property
    def told(self) -> str:
        """The observation as the model is told it."""
        if self.outcome == "unknown":
            return "Nobody knows whether this call was made: the run was interrupted.  Look before you repeat it."
        return self.text or "done, no output"


@dataclass(frozen=True, slots=True)
class Summary:
    """What the model wrote about turns that no longer fit."""

    text: str
    kind: Literal["summary"] = "summary"


TurnAnswer = DecidedCalls | Allowed | Seen | Summary


# Without slots, so that it can keep what is made of it: states share their turns, and a prompt holds hundreds of them.
@dataclass(frozen=True)
class AgentTurn:
    """A decided answer, and the observations so far, one a call."""

    prose: str
    calls: tuple[Call, ...]
    seen: tuple[Seen, ...] = ()

    @cached_property
    def size(self) -> int:
        """About how many bytes it takes in a prompt."""
        calls = sum(bytes_in(call.name) + bytes_in(call.arguments) + 2 * OVERHEAD for call in self.calls)
        return (
            OVERHEAD
            + bytes_in(self.prose)
            + calls
            + sum(OVERHEAD + bytes_in(seen.text) for seen in self.seen)
        )

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The turn as a chat has it."""
        said = Message("assistant", write_calls(self.prose, self.calls))
        return (said, *(Message("tool", seen.told) for seen in self.seen))


@dataclass(frozen=True, slots=True)
class Watched:
    """What the monitor remembers, and what it wants of the next turn."""

    memory: str = ""
    """Of the signals, as JSON; bounded however long the run."""
    stance: tuple[float, ...] = ()
    """Of the policy; empty before the first turn."""
    said: str = ""
    """What the model is told before its next turn."""
    required: bool = False
    """Whether the next turn has to be a call."""
    thinking: float = 1.0
    """What share of its usual thinking the next turn is left."""
    level: float = 0.0
    """Of the signal that spoke loudest after the latest turn, from 0 to 10."""
    pattern: str = ""
    """Which one that is."""
    act: str = ""
    """How the monitor stepped in after the latest turn; empty if it did not."""
    interventions: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the model is shown at the next turn, and how far the run is.  The journal has the turns that are not in it any more."""

    turns: tuple[AgentTurn, ...] = ()
    earlier: int | None = None
    """Bytes that all turns but the last take in a prompt; None where they have not been counted.  A window holds hundreds of them."""
    summary: str = ""
    """Of the turns before these."""
    turn: int = 0
    """Turns decided so far."""
    calls: int = 0
    """Calls answered so far."""
    errors: int = 0
    """Turns in a row of which every call came to nothing."""
    bytes_a_token: float = BYTES_A_TOKEN
    """By which the room for turns is reckoned: as the server counted the latest prompt, if it did."""
    allowed: bool | None = None
    """What a person said to the call that is due; None before that."""
    crowded: bool = False
    """Whether the turns no longer fit, so that the next step is a summary."""
    watched: Watched = Watched()
    ended: Ending = ""
    result: str = ""

    @property
    def due(self) -> Call | None:
        """The call that is to be made next, if there is one."""
        if self.ended or not self.turns:
            return None
        last = self.turns[-1]
        return last.calls[len(last.seen)] if len(last.seen) < len(last.calls) else None


def bytes_in(text: str) -> int:
    """Return how many bytes of UTF-8 a text takes."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


STATES: Typed[Conversation] = Typed(Conversation, of_answers=True)
ANSWERS: Typed[TurnAnswer] = Typed(Annotated[TurnAnswer, Field(discriminator="kind")])

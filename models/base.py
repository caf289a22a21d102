"""The `Model` seam: give me samples for these asks."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from inspect import iscoroutinefunction, isgeneratorfunction
from typing import NamedTuple, Protocol, runtime_checkable

from surefoot.errors import BadInput, SurefootError
from surefoot.tools.pictures.picture import Picture
from surefoot.typed_input import check_fields
from surefoot.voting.samples import Sample

from .offers import Offer


class Message(NamedTuple):
    """One turn of a chat."""

    role: str
    content: str
    pictures: tuple[Picture, ...] = ()
    """What is to be looked at; it comes before the text."""


Prompt = str | tuple[Message, ...]
"""A plain string goes to the completions endpoint, messages to the chat endpoint."""


class Ask(NamedTuple):
    """A request for one sample."""

    prompt: Prompt
    temperature: float
    max_tokens: int
    seed: int
    """The same ask with the same seed should get the same sample; two ballots never share one."""
    guess: str | None = None
    """What the sample is expected to be; it may only make the answer faster, never different."""
    offer: Offer | None = None
    """What the model may call; the calls stand in the text of its sample."""
    extra: str | None = None
    """More fields of the request, a JSON object: `{"top_p": 0.9}`.  What is no server does without them."""


@runtime_checkable
class Model(Protocol):
    """What answers asks: a server, or a deterministic double."""

    @property
    def name(self) -> str:
        """What reports and journals call it."""
        ...

    def sample(self, asks: Sequence[Ask]) -> AsyncGenerator[tuple[int, Sample], None]:
        """Draw one sample per ask and yield (position of the ask, sample) in the order of completion.

        Closing the generator cancels what is still running.  A failure of the transport is retried inside; when
        patience ends it raises `ModelUnavailable`.  It is never turned into a sample.
        """
        ...


@runtime_checkable
class Bounded(Protocol):
    """A model that can say how long its context is."""

    async def context(self) -> int | None:
        """Return how many tokens a prompt and its answer may have together; None if the server does not say."""
        ...


async def context_of(model: object) -> int | None:
    """Return how many tokens a prompt and its answer may have together, if the model says it."""
    if not (isinstance(model, Bounded) and iscoroutinefunction(model.context)):
        return None  # what has that name by chance says nothing
    found = await model.context()
    return found if type(found) is int and found > 0 else None


def check_model(model: str | Model) -> None:
    """Raise `BadInput` for an object that only looks like a model: `isinstance` sees no more than the names."""
    if isinstance(model, str):
        return
    wrong = (
        f"it is the class {model.__name__}"
        if isinstance(model, type)
        else f"its name is {model.name!r}"
        if not isinstance(model.name, str)
        else f"its `sample` is no async generator function: {model.sample!r}"
        if not callable(model.sample)
        or iscoroutinefunction(model.sample)
        or isgeneratorfunction(model.sample)
        else ""
    )
    if wrong:
        raise BadInput(
            f"a model is an object with a `name`, a text, and `sample`, an async generator function: {wrong}"
        )


class ModelUnavailable(SurefootError):
    """The model cannot be asked: unreachable, refusing, or gone for longer than the patience allows."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the ballots of a step are drawn."""

    temperature: float = 0.1
    """For every ballot but the first.  0.1 is the paper's choice."""
    first_temperature: float | None = 0.0
    """For the first ballot of a step; None treats it like the others."""
    max_tokens: int = 750
    """The model is cut off here, which is a red flag.  750 is the paper's choice."""

    def __post_init__(self) -> None:
        check_fields(self)
        for value in (self.temperature, self.first_temperature):
            if value is not None and not 0 <= value <= 2:
                raise BadInput(f"a temperature lies between 0 and 2, not {value!r}")
        if self.max_tokens < 1:
            raise BadInput(f"max_tokens must be at least 1, not {self.max_tokens!r}")

    def temperature_of(self, ballot: int) -> float:
        """Return the temperature for ballot number `ballot` (from 0) of a step."""
        if ballot == 0 and self.first_temperature is not None:
            return self.first_temperature
        return self.temperature

    def within(self, limit: int | None) -> "Sampling":
        """Return the same with `max_tokens` no higher than `limit`; None is no limit."""
        if limit is None or self.max_tokens <= limit:
            return self
        return replace(self, max_tokens=limit)

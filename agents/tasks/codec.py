"""Codecs: how states and answers that are richer than plain values are written down, and read back as they were."""

from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from surefoot.errors import BadInput
from surefoot.printable import printable

T = TypeVar("T")

SHOWN = 100
"""Characters of a value in a sentence."""


class Codec(Protocol[T]):
    """Turns values of one kind into plain ones and back; equal values become equal ones, either way."""

    def encode(self, value: T) -> Any:
        """Return the plain value that is written down for `value`."""
        ...

    def decode(self, plain: Any) -> T:
        """Return the value again."""
        ...


class Typed(Generic[T]):
    """A codec for the types that pydantic can check: models, dataclasses, named tuples, enums, and unions of these.

        class Route(surefoot.Task[Board, Move]):
            state_codec = surefoot.Typed(Board)

    They are written as JSON texts.  States and answers are counted and compared, so they have to be hashable: frozen.

    A value is read back as soon as it is made, so that one that would not come back as it is ends the run before more is spent.
    That takes time in proportion to its size, at every step.  `of_answers` says that states are made of answers alone, which have been
    read back by then: such a state is read back only where it is written, at the end of a segment.
    """

    def __init__(self, kind: Any, *, of_answers: bool = False) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)
        self.of_answers = of_answers

    def encode(self, value: T) -> str:
        """Return the value as JSON."""
        return self._adapter.dump_json(value, warnings="error").decode()

    def decode(self, plain: Any) -> T:
        """Read the JSON."""
        return self._adapter.validate_json(plain)


def written(codec: Codec[T] | None, value: T) -> Any:
    """Return the plain value that a journal holds for a state or an answer."""
    return value if codec is None else codec.encode(value)


def read_back(codec: Codec[T] | None, plain: Any) -> T:
    """Return the state or the answer that a journal's plain value stands for; `BadInput` if the codec cannot read it."""
    if codec is None:
        found: T = plain
        return found
    try:
        return codec.decode(plain)
    except Exception as error:
        raise BadInput(
            f"the task's codec cannot read {repr(plain)[:SHOWN]} of the journal: {printable(str(error))}"
        ) from error

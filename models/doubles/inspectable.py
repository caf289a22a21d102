"""A thinking double whose hidden states are known, for trying what looks inside a model.

double = InspectableDouble(writer, lambda layer, raw: [float(len(raw)), 1.0], depth=2)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

from surefoot.errors import BadInput
from surefoot.models.streaming import Draw, Piece

from .thinking import ThinkingDouble
from .thoughts import Writer

States = Callable[[int, str], Sequence[float]]
"""(layer, from 1; raw text so far, prompt included) -> the state from which the next token is drawn."""


class InspectableDouble(ThinkingDouble):
    """A `ThinkingDouble` that is `Inspectable`: what it writes does not depend on its states, nor on what is added to them."""

    def __init__(
        self, writer: Writer, states: States, *, depth: int, name: str = "inspectable-double", seed: int = 0
    ) -> None:
        super().__init__(writer, name=name, seed=seed)
        self._states = states
        self._depth = depth

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return self._depth

    async def digest(self) -> str:
        """Return the digest of its name: doubles of one name pass for one model."""
        return sha256(self.name.encode()).hexdigest()

    def pieces(self, draw: Draw) -> Iterator[Piece]:
        """Yield the pieces of a stream, with states for the layers that the draw asks for."""
        for layer in (*draw.layers, *([draw.added.layer] if draw.added else [])):
            if not 1 <= layer <= self._depth:
                raise BadInput(f"this model has layers 1 to {self._depth}, not {layer!r}")
        raw = f"{draw.prompt}{draw.begun}"
        tokens = iter(self.written(replace(draw, tags=self.tags))[0])
        for piece in super().pieces(draw):
            if not piece.usage.completion:
                yield piece
                continue
            yield piece._replace(states=tuple(self._states(layer, raw) for layer in draw.layers))
            raw += next(tokens).text

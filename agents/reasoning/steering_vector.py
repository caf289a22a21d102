"""SteeringVector: what tells a thought that goes on from one that looks back, added to the model's hidden states where thoughts end.

After SEAL (Chen et al. 2025, arXiv 2504.07986): the mean state at the ends of thoughts after which the model went on minus the mean of those after which it
reflected or changed course.  `Steer` is what a plain server offers in its place.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from surefoot.errors import BadInput
from surefoot.models.local.study import Trial
from surefoot.models.streaming import AddedVector, Draw, Inspectable, Piece, Streaming

from .control import Control, StreamAction, StreamState, Watch
from .thoughts import CUES, Cues, Thought, ThoughtKind

KindOf = Callable[[Thought], ThoughtKind | None]


def usual_kind(thought: Thought) -> ThoughtKind | None:
    """Return what a thought does by its cue words."""
    return thought.kind


@dataclass(frozen=True, slots=True)
class Direction:
    """A direction in the hidden states of one model after one layer: from looking back to going on."""

    model: str
    digest: str
    """Of the model's weights."""
    layer: int
    """From 1."""
    values: tuple[float, ...]
    ends: str
    """What ends a thought."""
    execution: int
    """Ends of thoughts that it was learned from: those that the model went on after,"""
    other: int
    """and those after which it reflected or changed course."""
    state_norm: float
    """Mean length of the states.  Where single numbers of a state are huge the direction may be most of it: a strength of 1 then breaks the model."""
    version: Literal[1] = 1

    @property
    def norm(self) -> float:
        """Its length."""
        return math.hypot(*self.values)

    def random(self, seed: int = 0) -> "Direction":
        """Return the control: a random direction of the same length."""
        rng = random.Random(seed)
        drawn = [rng.gauss(0, 1) for _ in self.values]
        scale = self.norm / math.hypot(*drawn)
        return replace(self, values=tuple(scale * value for value in drawn))

    def write(self, path: Path) -> None:
        """Write it as JSON; raises `BadInput` where that cannot be."""
        try:
            path.write_bytes(to_json(self) + b"\n")
        except OSError as error:
            raise BadInput(f"the direction cannot be written to {str(path)!r}: {error.strerror}") from None

    @classmethod
    def read(cls, path: Path) -> "Direction":
        """Read what `write` has written; raises `BadInput` if that is not what lies there."""
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except OSError as error:
            raise BadInput(f"the direction {str(path)!r} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            raise BadInput(f"{str(path)!r} is no direction ({error.errors()[0]['msg']})") from None


class SteeringVector(Control):
    """Adds `strength` times a direction to the state wherever a thought has ended; below 0 it makes the model look back more.

    Useful strengths lie in a narrow window: choose one by `best_steering` on problems of your own, beside `Direction.random`.
    """

    def __init__(self, direction: Direction | str | Path, strength: float) -> None:
        if not isinstance(direction, Direction):
            direction = Direction.read(Path(direction))
        if not math.isfinite(strength):
            raise BadInput(f"a strength is a finite number, not {strength!r}")
        self.direction, self.strength = direction, strength
        values = tuple(strength * value for value in direction.values)
        self._added = AddedVector(direction.layer, values, direction.ends)

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"vector({self.strength:g} after layer {self.direction.layer})"

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Have the vector added; raises `BadInput` for a model whose states it was not learned from."""
        if not isinstance(model, Inspectable) or await model.digest() != self.direction.digest:
            raise BadInput(
                f"the direction was learned from hidden states of {self.direction.model!r}, which says nothing about {model.name!r}: learn it anew"
            )
        state.draw = replace(state.draw, added=self._added)


class ThoughtStates(Control):
    """Learns directions from streams that are left alone: give it to a `Reasoner`, let that think, then ask for `direction`.

    `cues.separator` is what ends a thought, and `kind` says what a thought does; None leaves it out.  Each end counts for the thought that follows.
    """

    name = "thought states"

    def __init__(self, layers: Sequence[int], cues: Cues = CUES, *, kind: KindOf = usual_kind) -> None:
        if not layers or not cues.separator:
            raise BadInput("name one or more layers, and what separates thoughts")
        self.layers = tuple(layers)
        self.counts: Counter[str] = Counter()
        """Ends of thoughts, by what followed."""
        self._ends, self._kind = cues.separator, kind
        self._sums: dict[tuple[str, int], list[float]] = {}
        self._norms: defaultdict[int, float] = defaultdict(float)
        self._model, self._digest = "", ""

    async def prepare(self, state: StreamState, model: Streaming) -> None:
        """Have states sent; raises `BadInput` for a model that shows none."""
        if not isinstance(model, Inspectable):
            raise BadInput(f"{model.name!r} shows no hidden states: use a model of `surefoot.models.local`")
        self._model, self._digest = model.name, await model.digest()
        state.draw = replace(state.draw, layers=self.layers)

    def watch(self, draw: Draw, model: Streaming) -> Watch:
        """Return a fresh watcher for one stream."""
        return _ThoughtEnds(self)

    def add(self, thought: Thought, states: Sequence[Sequence[float]]) -> None:
        """Count the states at the end before a thought."""
        kind = self._kind(thought)
        if kind is None:
            return
        side = "execution" if kind == "execution" else "other"
        self.counts[side] += 1
        for layer, state in zip(self.layers, states, strict=True):
            values = [float(value) for value in state]
            self._norms[layer] += math.hypot(*values)
            known = self._sums.get((side, layer))
            self._sums[side, layer] = (
                values if known is None else [a + b for a, b in zip(known, values, strict=True)]
            )

    def direction(self, layer: int) -> Direction:
        """Return what was learned after a layer; raises `BadInput` if ends of one side are missing."""
        execution, other = self.counts["execution"], self.counts["other"]
        if layer not in self.layers or not execution or not other:
            raise BadInput(
                f"nothing can be said of layer {layer!r}: states were seen after {self.layers}, at {execution} ends before thoughts that go on and "
                f"{other} before those that do not"
            )
        sides = zip(self._sums["execution", layer], self._sums["other", layer], strict=True)
        values = tuple(a / execution - b / other for a, b in sides)
        norm = self._norms[layer] / (execution + other)
        return Direction(self._model, self._digest, layer, values, self._ends, execution, other, norm)


class _ThoughtEnds(Watch):
    def __init__(self, learned: ThoughtStates) -> None:
        self._learned = learned
        self._start = 0
        """Where the thought under way begins in the thinking."""
        self._first: Piece | None = None
        """The piece that begins there, if one does: not where a cue word in mid-paragraph was found to have begun a thought."""
        self._restarts = 0

    async def see(self, state: StreamState, piece: Piece, thoughts: Sequence[Thought]) -> StreamAction | None:
        if state.restarts != self._restarts:
            self._restarts, self._start, self._first = state.restarts, 0, None
        if piece.thought and state.length - len(piece.thought) == self._start:
            self._first = piece
        for thought in thoughts:
            # Nothing ends before the first thought: its state is that of the tag that opened it.
            if self._start and self._first:
                self._learned.add(thought, self._first.states)
            self._start, self._first = self._start + len(thought.text), None
        return None


async def best_steering(
    directions: Sequence[Direction],
    strengths: Sequence[float],
    evaluate: Callable[[SteeringVector | None], Awaitable[Trial]],
    *,
    tolerated: float = 0.01,
) -> tuple[SteeringVector | None, list[tuple[SteeringVector | None, Trial]]]:
    """Return the vector that makes texts shortest with no more than `tolerated` of the right answers lost, None if none does, and all trials.

    `evaluate` lets a model solve the same held-out problems each time, without a vector for None.  Measure what is chosen on others.
    """
    candidates = [None, *(SteeringVector(direction, s) for direction in directions for s in strengths)]
    trials = [(vector, await evaluate(vector)) for vector in candidates]
    plain = trials[0][1]
    good = [
        (trial.tokens, number)
        for number, (_, trial) in enumerate(trials)
        if trial.right >= plain.right - tolerated
    ]
    return trials[min(good)[1]][0], trials

"""What a compressed cache keeps of each key-value head: all of the text, or its beginning and its latest tokens.

After RLKV (arXiv 2510.08525), which finds the heads that reasoning needs whole, and StreamingLLM (arXiv 2309.17453), whose sinks
and window the others are left with.  Keys keep the positions that they were written at.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from surefoot.errors import BadInput

SINKS, WINDOW = 8, 48
"""Tokens that a windowed head keeps: of the beginning, and of the latest."""


class Head(NamedTuple):
    """A key-value head; query heads that share it are compressed with it."""

    layer: int
    """From 1."""
    head: int
    """From 0."""

    def __str__(self) -> str:
        return f"{self.layer}.{self.head}"


class CacheShape(NamedTuple):
    """The sizes of a model's key-value cache."""

    layers: int
    heads: int
    """Key-value heads of a layer."""
    width: int
    """Numbers of a key, and of a value."""
    item_bytes: int
    """Of one number."""

    @property
    def every(self) -> list[Head]:
        """All heads, layer by layer."""
        return [Head(layer, head) for layer in range(1, self.layers + 1) for head in range(self.heads)]

    def bytes(self, tokens: int, kv: "CompressedKV | None" = None) -> int:
        """Return what the cache of a text of so many tokens holds."""
        windowed = len(kv.windowed) if kv else 0
        whole = self.layers * self.heads - windowed
        kept = min(tokens, kv.sinks + kv.window) if kv else 0
        return 2 * self.width * self.item_bytes * (whole * tokens + windowed * kept)


@dataclass(frozen=True, slots=True)
class CompressedKV:
    """A cache whose `windowed` heads see the first `sinks` tokens and the latest `window`, the present one among them.

    CompressedKV({Head(1, 0), Head(3, 2)})               # these two windowed, all others whole
    CompressedKV(set(shape.every) - important)            # only the important ones whole
    """

    windowed: frozenset[Head]
    sinks: int = SINKS
    window: int = WINDOW

    def __init__(self, windowed: Iterable[Head], sinks: int = SINKS, window: int = WINDOW) -> None:
        object.__setattr__(self, "windowed", frozenset(Head(*head) for head in windowed))
        object.__setattr__(self, "sinks", sinks)
        object.__setattr__(self, "window", window)
        if sinks < 0 or window < 1:
            raise BadInput(
                f"a windowed head keeps 0 or more sinks and 1 or more recent tokens, not {sinks!r} and {window!r}"
            )

    def check(self, shape: CacheShape) -> None:
        """Raise `BadInput` for heads that a model of this shape does not have."""
        if wrong := sorted(self.windowed - set(shape.every)):
            raise BadInput(
                f"this model has heads 1.0 to {shape.layers}.{shape.heads - 1} (layer, key-value head), not {wrong[0]}"
            )

    def of_layer(self, layer: int) -> tuple[int, ...]:
        """Return the windowed heads of a layer (from 1), in order."""
        return tuple(sorted(head.head for head in self.windowed if head.layer == layer))

"""glance's network in numpy: one picture and one short question become a few characters.

    picture, 80 x 80 pixels  ->  four convolutions  ->  100 places of 112 numbers
    question and answer, characters  ->  two blocks: what was written, what is seen, a feed-forward  ->  the next character

It sees nothing but that picture and reads nothing but that question, and has no room for more than `ROOM` characters of both: that
it may only describe is so by construction.  Every draw is the same function of the ask's seed and the position, as pebble's.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.numpy import load_file

from surefoot.tools.pictures.picture import Picture
from surefoot.tools.pictures.pixels import decoded

from . import WEIGHTS
from .draws import choose_tokens, uniform

SIDE = 80
"""Pixels of a picture's side as the network sees it."""
ROOM = 48
"""Most characters of a question and its answer."""
END = 0
"""Ends a question, and an answer."""
BATCH = 64
"""Pictures that are seen in one pass: what they become stays in a core's cache."""
EPSILON = np.float32(1e-5)

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
Pixels = NDArray[np.uint8]
"""(SIDE, SIDE, 3)."""


class GlanceQuestion(NamedTuple):
    """One question about one picture."""

    pixels: Pixels
    """As `seen` makes them."""
    question: str
    temperature: float = 0.0
    seed: int = 0
    most: int = ROOM
    """Most characters of the answer."""


class GlanceAnswer(NamedTuple):
    """What the network says."""

    text: str
    ended: bool
    """Whether it came to an end by itself."""


class BlockWeights(NamedTuple):
    """One layer of the decoder; every matrix is (in, out)."""

    qkv: Floats
    out: Floats
    ask: Floats
    """Queries to what is seen."""
    keys: Floats
    """Keys and values of what is seen."""
    tell: Floats
    up: Floats
    down: Floats


def seen(picture: Picture) -> Pixels:
    """Return a picture as the network sees it; raises `BadInput` if it cannot be decoded."""
    return squared(decoded(picture))


def squared(image: Image.Image) -> Pixels:
    """Return an RGB image as the network sees it: its sides in proportion, filled up with the colour of its first pixel."""
    ground = image.getpixel((0, 0))
    padded = ImageOps.pad(image, (SIDE, SIDE), Image.Resampling.BILINEAR, color=ground)  # type: ignore[arg-type]
    return np.asarray(padded, np.uint8)


class Glance:
    """The weights, and what can be done with them."""

    def __init__(self, folder: Path = WEIGHTS / "glance") -> None:
        config = json.loads((folder / "config.json").read_text())
        weights = {
            name: array.astype(np.float32) for name, array in load_file(folder / "model.safetensors").items()
        }
        self.heads: int = config["heads"]
        self.convolutions = [
            (_matrix(weights[f"convolutions.{n}.weight"]), weights[f"convolutions.{n}.bias"], stride)
            for n, stride in enumerate(config["strides"])
        ]
        self.places: Floats = weights["places"]
        self.characters: Floats = weights["characters"]
        self.positions: Floats = weights["positions"]
        self.blocks = [_block(weights, n) for n in range(config["blocks"])]
        self.head: Floats = weights["head"].T

    def answer(self, looks: Sequence[GlanceQuestion]) -> list[GlanceAnswer]:
        """Answer questions, in their order; questions of one length are answered together, and a picture's questions share what is seen."""
        answers: list[GlanceAnswer | None] = [None] * len(looks)
        by_length: dict[int, list[int]] = {}
        for number, look in enumerate(looks):
            by_length.setdefault(len(_codes(look.question)), []).append(number)
        for numbers in by_length.values():
            for first in range(0, len(numbers), BATCH):
                part = numbers[first : first + BATCH]
                for number, said in zip(part, self._answer([looks[n] for n in part]), strict=True):
                    answers[number] = said
        return [said for said in answers if said is not None]

    def encode(self, pixels: NDArray[np.uint8]) -> Floats:
        """Return what is seen in (batch, SIDE, SIDE, 3) pixels: (batch, places, width)."""
        x: Floats = pixels.astype(np.float32) / 127.5 - 1
        for kernel, bias, stride in self.convolutions:
            x = _normed(np.maximum(_convolved(x, kernel, stride) + bias, 0))
        return x.reshape(len(x), -1, x.shape[-1]) + self.places

    def _answer(self, looks: Sequence[GlanceQuestion]) -> list[GlanceAnswer]:
        memory = [
            self._kept(self.encode(np.stack([look.pixels for look in looks])), block) for block in self.blocks
        ]
        codes = np.array([_codes(look.question) for look in looks])
        past: list[list[tuple[Floats, Floats]]] = [[] for _ in self.blocks]
        seeds = np.array([look.seed % 2**64 for look in looks], np.uint64)
        temperatures = np.array([look.temperature for look in looks], np.float32)
        room = min(ROOM - codes.shape[1], max(look.most for look in looks))
        made: list[Codes] = []
        latest, over = codes, np.zeros(len(looks), bool)
        while len(made) < room and not over.all():
            first = codes.shape[1] + len(made) - latest.shape[1]
            logits = self._read(latest, first, memory, past)
            at = uniform(seeds, np.full(len(looks), len(made)))
            latest = choose_tokens(logits, temperatures, at)[:, None]
            made.append(latest[:, 0])
            over |= made[-1] == END
        return [
            _seen(row, look.most)
            for row, look in zip(np.array(made).T.reshape(len(looks), -1), looks, strict=True)
        ]

    def _kept(self, places: Floats, block: BlockWeights) -> tuple[Floats, Floats]:
        keys, values = np.split(_normed(places) @ block.keys, 2, axis=-1)
        return self._by_head(keys), self._by_head(values)

    def _read(
        self,
        codes: Codes,
        first: int,
        memory: list[tuple[Floats, Floats]],
        past: list[list[tuple[Floats, Floats]]],
    ) -> Floats:
        """Read characters at positions `first` and later; return the logits after the last, (batch, characters)."""
        length = codes.shape[1]
        x = self.characters[codes] + self.positions[first : first + length]
        future = np.triu(np.full((length, length), -np.inf, np.float32), 1)
        for block, (keys, values), before in zip(self.blocks, memory, past, strict=True):
            q, k, v = (self._by_head(part) for part in np.split(_normed(x) @ block.qkv, 3, axis=-1))
            before.append((k, v))
            k, v = (np.concatenate(parts, axis=2) for parts in zip(*before, strict=True))
            x = x + self._attended(q, k, v, future if first == 0 else np.float32(0)) @ block.out
            x = (
                x
                + self._attended(self._by_head(_normed(x) @ block.ask), keys, values, np.float32(0))
                @ block.tell
            )
            x = x + np.maximum(_normed(x) @ block.up, 0) ** 2 @ block.down
        logits: Floats = _normed(x[:, -1]) @ self.head
        return logits

    def _attended(self, q: Floats, k: Floats, v: Floats, hidden: Floats | np.float32) -> Floats:
        scores = q @ k.swapaxes(2, 3) / np.sqrt(np.float32(q.shape[-1])) + hidden
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: Floats = (scores @ v).swapaxes(1, 2).reshape(len(q), q.shape[2], -1)
        return mixed

    def _by_head(self, x: Floats) -> Floats:
        """(batch, length, width) as (batch, heads, length, head width)."""
        return x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)


def _codes(question: str) -> list[int]:
    return [*question.encode("ascii"), END]


def _seen(row: Codes, most: int) -> GlanceAnswer:
    codes = row[:most].tolist()
    ended = END in codes
    return GlanceAnswer(bytes(codes[: codes.index(END)] if ended else codes).decode("ascii"), ended)


def _convolved(x: Floats, kernel: Floats, stride: int) -> Floats:
    """Convolve (batch, height, width, channels) by a kernel (side, side, channels, out) as one matrix product; a border of one is added."""
    side, _, channels, out = kernel.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))[
        :, ::stride, ::stride
    ]
    batch, height, width = windows.shape[:3]
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, side * side * channels)
    convolved: Floats = (columns @ kernel.reshape(-1, out)).reshape(batch, height, width, out)
    return convolved


def _normed(x: Floats) -> Floats:
    """RMSNorm without weights."""
    normed: Floats = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON)
    return normed


def _matrix(kernel: Floats) -> Floats:
    """(out, channels, side, side) as (side, side, channels, out)."""
    return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))


def _block(weights: Mapping[str, Any], number: int) -> BlockWeights:
    return BlockWeights(
        *(np.ascontiguousarray(weights[f"blocks.{number}.{name}.weight"].T) for name in BlockWeights._fields)
    )

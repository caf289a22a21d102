"""Train the drafts: `python -m surefoot.training.drafts.family --out DIR`.

Each is a network of ponder's kind, smaller, trained by its loop on the process that ponder was trained on, left alone.  Each budget
of tokens is a run of its own whose learning rate falls to zero: a checkpoint on the way of a longer run would be worse than a
draft of that many tokens is.
"""

import argparse
import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

from surefoot.training.pebble.export import Identity
from surefoot.training.pebble.model import Pebble, Shape
from surefoot.training.pebble.train import train
from surefoot.training.ponder import data
from surefoot.training.ponder.train import row_of

WIDTHS = {1: (16, 32, 64, 96, 128), 2: (32, 64)}
"""By layers."""
TOKENS = (65_536, 110_218, 185_364, 311_744, 524_288)
HEAD_WIDTH = 16
BATCH = 8
MUON_LR = 0.04
MEAN_TOKENS = 148
"""Of a row, which count in the loss."""
ALONE = data.Mix(0.0, 0.0, 0.0)


class DraftSpec(NamedTuple):
    """One draft: its size, and how many tokens it is trained on."""

    layers: int
    width: int
    tokens: int

    @property
    def shape(self) -> Shape:
        """The network: ponder's, in heads of 16 and with a hidden width of at least 2.75 widths, in whole blocks of q8_0."""
        hidden = 32 * -(-self.width * 11 // 4 // 32)
        return Shape(
            width=self.width,
            layers=self.layers,
            heads=self.width // HEAD_WIDTH,
            hidden=hidden,
            vocabulary=data.VOCABULARY,
            positions=data.CONTEXT,
        )

    @property
    def parameters(self) -> int:
        """Of the layers: embedding and head, which look up and tell tokens apart, are left out, as is usual in scaling laws."""
        shape = self.shape
        return shape.layers * (4 * shape.width**2 + 3 * shape.width * shape.hidden)

    @property
    def steps(self) -> int:
        """Steps of training."""
        return max(1, round(self.tokens / BATCH / MEAN_TOKENS))

    @property
    def adam_lr(self) -> float:
        """The learning rate of embedding, head and norms: narrow networks need larger steps to tell tokens apart."""
        return min(0.02, 0.64 / self.width)

    @property
    def identity(self) -> Identity:
        """What its files say."""
        return Identity(f"draft-{self.layers}x{self.width}-{self.tokens}", self.shape, data.TAGS)


FAMILY = [
    DraftSpec(layers, width, tokens) for layers in WIDTHS for width in WIDTHS[layers] for tokens in TOKENS
]


def is_made(spec: DraftSpec, out: Path) -> bool:
    """Whether an earlier call has trained this draft."""
    return (out / spec.identity.name / "done").exists()


def make(spec: DraftSpec, out: Path, seed: int = 0) -> Path:
    """Train one draft, unless its weights are there; return the folder, which has model.safetensors."""
    folder = out / spec.identity.name
    if not is_made(spec, out):
        torch.manual_seed(seed)
        train(
            folder,
            Pebble(spec.shape),
            map(row_of, data.examples(seed, ALONE)),
            steps=spec.steps,
            batch=BATCH,
            chunk=BATCH,
            threads=1,
            limit_s=math.inf,
            muon_lr=MUON_LR,
            adam_lr=spec.adam_lr,
        )
        (folder / "done").touch()
    return folder


def make_all(family: list[DraftSpec], out: Path, processes: int = 2) -> list[Path]:
    """Train drafts, each by one core; return their folders.  What an earlier call has finished is not done again."""
    missing = [spec for spec in family if not is_made(spec, out)]
    if missing:  # each process loads torch
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            list(pool.map(make, missing, [out] * len(missing)))
    return [out / spec.identity.name for spec in family]


def main() -> None:
    """Train the family."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    make_all(FAMILY, given.out, given.processes)


if __name__ == "__main__":
    main()

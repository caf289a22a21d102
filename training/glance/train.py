"""Train glance from scratch: `python -m surefoot.training.glance.train --out DIR --minutes 20`.

Muon for the decoder's matrices, AdamW for the rest.  The learning rate falls to zero with the time that is left, so that a run ends
on time on any machine.  Pictures are drawn by a process beside.
"""

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from surefoot.models.embedded.glance import END

from .data import PHASES, PictureExample, examples
from .model import CONFIG, GlanceNetwork

IGNORED = -100
WARMUP = 0.03


class PictureBatch(NamedTuple):
    """Pictures, and questions and answers about them."""

    pixels: Tensor
    """(pictures, side, side, 3) bytes."""
    which: Tensor
    """(rows,): the picture that a row is about."""
    codes: Tensor
    """(rows, length): question, END, answer."""
    targets: Tensor
    """(rows, length): the next character, IGNORED within the question."""


def batch_of(found: list[PictureExample]) -> PictureBatch:
    """Put examples together."""
    rows = [(number, *pair) for number, example in enumerate(found) for pair in example.pairs]
    length = max(len(question) + len(answer) + 1 for _, question, answer in rows)
    codes = torch.full((len(rows), length), END)
    targets = torch.full((len(rows), length), IGNORED)
    for row, (_, question, answer) in enumerate(rows):
        text = [*question.encode(), END, *answer.encode(), END]
        codes[row, : len(text) - 1] = torch.tensor(text[:-1])
        targets[row, len(question) : len(text) - 1] = torch.tensor(text[len(question) + 1 :])
    pixels = torch.stack([torch.tensor(example.pixels) for example in found])
    return PictureBatch(pixels, torch.tensor([number for number, *_ in rows]), codes, targets)


class PictureBatches(IterableDataset[PictureBatch]):
    """PictureBatches without end."""

    def __init__(self, seed: int, phase: str, size: int) -> None:
        self.seed, self.phase, self.size = seed, phase, size

    def __iter__(self) -> Iterator[PictureBatch]:
        drawn = examples(self.seed, self.phase)
        while True:
            yield batch_of(list(islice(drawn, self.size)))


def optimizers(model: GlanceNetwork, muon_lr: float, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the decoder's matrices and AdamW for all other parameters."""
    matrices = list(model.blocks.parameters())
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=muon_lr, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def learning_rate(progress: float) -> float:
    """Return the factor on the learning rates at `progress` in 0..1."""
    return min((progress + 1e-3) / WARMUP, (1 - progress) / (1 - WARMUP), 1.0)


def train(
    model: GlanceNetwork,
    batches: Iterator[PictureBatch],
    out: Path,
    *,
    seconds: float,
    muon_lr: float,
    adam_lr: float,
) -> None:
    """Train for so long, print a line every 100 steps, and write the weights."""
    opts = optimizers(model, muon_lr, adam_lr)
    peak = [group["lr"] for opt in opts for group in opt.param_groups]
    began, step = time.monotonic(), 0
    while (progress := (time.monotonic() - began) / seconds) < 1:
        step += 1
        for lr, group in zip(peak, (g for opt in opts for g in opt.param_groups), strict=True):
            group["lr"] = lr * learning_rate(progress)
        batch = next(batches)
        logits = model(model.encode(batch.pixels)[batch.which], batch.codes)
        loss = functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad()
        if step % 100 == 0:
            asked = batch.targets != IGNORED
            wrong = ((logits.argmax(-1) != batch.targets) & asked).any(1).float().mean()
            print(
                f"step {step}: loss {loss.item():.4f}, wrong answers {wrong.item():.3f}, {progress:.0%} of the time",
                flush=True,
            )
        if step % 1000 == 0:
            save(model, out)
    save(model, out)


def save(model: GlanceNetwork, out: Path) -> None:
    """Write the weights in half precision, and what the engine must know of them."""
    out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.half().contiguous() for name, value in model.state_dict().items()},
        out / "model.safetensors",
    )
    (out / "config.json").write_text(json.dumps(CONFIG) + "\n")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--phase", choices=PHASES, default="look", help="what it is trained on")
    parser.add_argument("--begin", type=Path, help="weights to go on from, instead of new ones")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=0.002)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = GlanceNetwork()
    if options.begin:
        model.load_state_dict({name: value.float() for name, value in load_file(options.begin).items()})
    batches = DataLoader(
        PictureBatches(options.seed, options.phase, options.batch),
        batch_size=None,
        num_workers=1,
        prefetch_factor=8,
    )
    rates = {"muon_lr": options.muon_lr, "adam_lr": options.adam_lr}
    train(model, iter(batches), options.out, seconds=60 * options.minutes, **rates)


if __name__ == "__main__":
    main()

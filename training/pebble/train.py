"""Train pebble from scratch: `python -m surefoot.training.pebble.train --out DIR`.

Muon for the layers' matrices, AdamW for embedding, head and norms; the loss counts answer tokens only; the learning
rate rises for a moment and then falls linearly to zero over the run (the fall removes the last errors).  ponder is trained by the
same loop.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from surefoot.models.embedded.worker_protocol import EOS, tokens

from . import data
from .model import Pebble

IGNORED = -100
CHUNK = 32
WARMUP = 0.02
BFLOAT16 = not torch.backends.cpu.get_cpu_capability().endswith("AVX2")
"""Whether matrix products are in bfloat16: a processor without instructions for that takes five times as long."""


class TokenRow(NamedTuple):
    """The tokens of one example, and how much each of them counts in the loss."""

    tokens: list[int]
    weights: list[float]


class TensorBatch(NamedTuple):
    """Rows as tensors, each (rows, tokens of the longest)."""

    inputs: Tensor
    targets: Tensor
    weights: Tensor


def row_of(example: data.BoardExample) -> TokenRow:
    """Return an example in tokens; the loss counts the answer and its end."""
    prompt, answer = tokens(example.prompt), [*tokens(example.answer), EOS]
    return TokenRow(prompt + answer, [0.0] * len(prompt) + [1.0] * len(answer))


def batch_of(rows: list[TokenRow]) -> TensorBatch:
    """Return rows as tensors; targets that do not count are IGNORED."""
    length = max(len(row.tokens) for row in rows) - 1
    inputs = torch.full((len(rows), length), EOS)
    targets = torch.full((len(rows), length), IGNORED)
    weights = torch.zeros((len(rows), length))
    for number, row in enumerate(rows):
        text, own = torch.tensor(row.tokens), torch.tensor(row.weights)
        inputs[number, : len(text) - 1] = text[:-1]
        targets[number, : len(text) - 1] = text.where(own > 0, IGNORED)[1:]
        weights[number, : len(text) - 1] = own[1:]
    return TensorBatch(inputs, targets, weights)


def chunks_of(rows: list[TokenRow], chunk: int) -> Iterator[TensorBatch]:
    """Yield a batch in chunks of similar lengths, to pad little."""
    rows.sort(key=lambda row: len(row.tokens))
    for first in range(0, len(rows), chunk):
        yield batch_of(rows[first : first + chunk])


def gradients(model: Pebble, batch: TensorBatch) -> tuple[tuple[Tensor, ...], float, int]:
    """Return the gradients of a chunk's summed loss, that loss, and how many rows are not predicted greedily."""
    asked = batch.targets != IGNORED
    with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
        logits = model.lm_head(model.hidden(batch.inputs)[asked])
    losses = functional.cross_entropy(logits.float(), batch.targets[asked], reduction="none")
    loss = (losses * batch.weights[asked]).sum()
    missed = torch.zeros_like(asked)
    missed[asked] = logits.argmax(-1) != batch.targets[asked]
    return torch.autograd.grad(loss, list(model.parameters())), loss.item(), int(missed.any(dim=1).sum())


def backward(
    model: Pebble, rows: list[TokenRow], chunk: int, pool: ThreadPoolExecutor
) -> tuple[float, float]:
    """Set the gradients of a batch; return its mean loss per token and the share of rows that are not predicted greedily."""
    chunks = list(chunks_of(rows, chunk))[::-1]
    total = sum(one.weights.sum().item() for one in chunks)
    loss, wrong = 0.0, 0
    for parts, summed, missed in pool.map(lambda one: gradients(model, one), chunks):
        for parameter, part in zip(model.parameters(), parts, strict=True):
            mean = part / total
            parameter.grad = mean if parameter.grad is None else parameter.grad + mean
        loss += summed / total
        wrong += missed
    return loss, wrong / len(rows)


def optimizers(model: Pebble, muon_lr: float | None, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices and AdamW for all other parameters; without a rate for Muon AdamW for all."""
    if muon_lr is None:
        return [torch.optim.AdamW(model.parameters(), lr=adam_lr, betas=(0.9, 0.98), fused=True)]
    matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
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
    out: Path,
    model: Pebble,
    rows: Iterator[TokenRow],
    *,
    steps: int,
    batch: int,
    chunk: int,
    threads: int,
    limit_s: float,
    muon_lr: float | None,
    adam_lr: float,
) -> None:
    """Train, print a line per 50 steps, and write `out`/model.safetensors (every 500 steps and at the end).

    A run that would take longer than `limit_s` has fewer steps, so that its learning rate falls to zero all the same.

    Each thread takes whole chunks: threads that share every operation wait for the slowest, which on a busy machine takes most of the time.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    opts = optimizers(model, muon_lr, adam_lr)
    began = time.monotonic()
    peak = [group["lr"] for opt in opts for group in opt.param_groups]
    for step in range(1, steps + 1):
        progress = max((step - 1) / steps, (time.monotonic() - began) / limit_s)
        if progress >= 1:
            break
        for lr, group in zip(peak, (g for opt in opts for g in opt.param_groups), strict=True):
            group["lr"] = lr * learning_rate(progress)
        loss, wrong = backward(model, list(islice(rows, batch)), chunk, pool)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad()
        if step % 50 == 0:
            print(f"step {step} of {steps}: loss {loss:.6f}, wrong answers {wrong:.3f}, "
                  f"{step * batch} examples in {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        if step % 500 == 0:
            save_file(model.state_dict(), out / "model.safetensors")
    save_file(model.state_dict(), out / "model.safetensors")


def run(
    network: Callable[[], Pebble],
    phases: Mapping[str, Callable[[int], Iterator[TokenRow]]],
    *,
    steps: int,
    batch: int,
    chunk: int,
) -> None:
    """Read the command line, whose defaults are given, and train a network on the rows of a phase, drawn from a seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--phase", choices=phases, default=next(iter(phases)), help="what it is trained on")
    parser.add_argument("--begin", type=Path, help="weights to go on from, instead of new ones")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--chunk", type=int, default=chunk)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=math.inf, help="longest time that it may take")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=0.003)
    options = vars(parser.parse_args())
    seed, begin = options.pop("seed"), options.pop("begin")
    torch.manual_seed(seed)
    model = network()
    if begin:
        model.load_state_dict(load_file(begin))
    rows = phases[options.pop("phase")](seed)
    train(options.pop("out"), model, rows, **options)


def main() -> None:
    """Train pebble."""
    run(Pebble, {"steps": lambda seed: map(row_of, data.examples(seed))}, steps=2400, batch=64, chunk=CHUNK)


if __name__ == "__main__":
    main()

"""Train pebble from scratch: `python -m surefoot.agents.pebble.train --out DIR`.

Muon for the layers' matrices, AdamW for embedding, head and norms; the loss counts answer tokens only; the learning
rate rises for a moment and then falls linearly to zero over the run (the fall removes the last errors).
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from . import data
from .model import Pebble

IGNORED = -100
CHUNK = 32
WARMUP = 0.02


def batch_of(examples: list[data.Example]) -> tuple[Tensor, Tensor]:
    """Return inputs and targets (batch, tokens of the longest); targets outside the answers are IGNORED."""
    texts = [(data.tokens(e.prompt), [*data.tokens(e.answer), data.EOS]) for e in examples]
    length = max(len(prompt) + len(answer) for prompt, answer in texts) - 1
    inputs = torch.full((len(texts), length), data.EOS)
    targets = torch.full((len(texts), length), IGNORED)
    for row, (prompt, answer) in enumerate(texts):
        text = torch.tensor(prompt + answer)
        inputs[row, : len(text) - 1] = text[:-1]
        targets[row, len(prompt) - 1 : len(text) - 1] = text[len(prompt) :]
    return inputs, targets


def chunks_of(examples: list[data.Example]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a batch in chunks of similar lengths, to pad little."""
    examples.sort(key=lambda example: len(example.prompt) + len(example.answer))
    for first in range(0, len(examples), CHUNK):
        yield batch_of(examples[first : first + CHUNK])


def backward(model: Pebble, examples: list[data.Example]) -> tuple[float, float]:
    """Add the gradients of a batch; return its mean loss per answer token and its share of wrong answers."""
    chunks = list(chunks_of(examples))
    answer_tokens = sum(int((targets != IGNORED).sum()) for _, targets in chunks)
    loss, wrong = 0.0, 0
    for inputs, targets in chunks:
        asked = targets != IGNORED
        with torch.autocast("cpu", torch.bfloat16):
            logits = model.lm_head(model.hidden(inputs)[asked])
        part = functional.cross_entropy(logits.float(), targets[asked], reduction="sum") / answer_tokens
        torch.autograd.backward(part)
        loss += part.item()
        missed = torch.zeros_like(asked)
        missed[asked] = logits.argmax(-1) != targets[asked]
        wrong += int(missed.any(dim=1).sum())
    return loss, wrong / len(examples)


def optimizers(model: Pebble, muon_lr: float, adam_lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices and AdamW for all other parameters."""
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


def train(out: Path, *, steps: int, batch: int, seed: int, muon_lr: float, adam_lr: float) -> None:
    """Train, print a line per 50 steps, and write `out`/model.safetensors (every 500 steps and at the end)."""
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    model, stream = Pebble(), data.examples(seed)
    opts = optimizers(model, muon_lr, adam_lr)
    began = time.monotonic()
    peak = [group["lr"] for opt in opts for group in opt.param_groups]
    for step in range(1, steps + 1):
        for lr, group in zip(peak, (g for opt in opts for g in opt.param_groups), strict=True):
            group["lr"] = lr * learning_rate((step - 1) / steps)
        loss, wrong = backward(model, list(islice(stream, batch)))
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


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m surefoot.agents.pebble.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=0.003)
    options = vars(parser.parse_args())
    torch.set_num_threads(options.pop("threads"))
    train(options.pop("out"), **options)


if __name__ == "__main__":
    main()

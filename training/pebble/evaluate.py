"""Measure pebble by teacher forcing: `python -m surefoot.training.pebble.evaluate`.

No text is generated: one forward pass over prompt and right answer gives the probability of that answer at every
temperature, and whether greedy decoding writes it.  A state is *hard* if greedy decoding does not.  The weights are
those of the GGUF file, dequantised to float32.  Results are written after every block; a run that was cut short goes
on from there when it is started again.

The sweep over every step of the tallest tower is *screened*: matrices are multiplied in bfloat16, and whatever is
doubtful then is scored again in float32.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from surefoot.models.embedded.worker_protocol import EOS
from surefoot.tools.towers.board import PEGS, optimal_length

from . import card, data
from .export import GGUF_NAME, HERE, read_gguf
from .model import Pebble

TEMPERATURES = (1.0, 0.7, 0.5, 0.3, 0.1)
THRESHOLDS = (0.5, 0.9, 0.98, 0.99, 0.999)
BATCH = 96
BLOCK = 85 * BATCH
DOUBT = 0.95
LISTED = 60
BEYOND = (15, 16, 17, 18, 19, 20, 21, 22, 24)


class Scores(NamedTuple):
    """P(right answer) as (temperatures, answers), and whether greedy decoding writes it, as (answers,)."""

    chances: Tensor
    greedy: Tensor


def inputs_of(examples: list[data.BoardExample]) -> Tensor:
    """Return prompt, answer and `<eos>` of examples of one length as (batch, tokens)."""
    text = "".join(example.prompt + example.answer for example in examples).encode()
    rows = np.frombuffer(text, dtype=np.uint8).reshape(len(examples), -1).astype(np.int64)
    return torch.from_numpy(np.pad(rows, ((0, 0), (0, 1)), constant_values=EOS))


def scores_of(logits: Tensor, right: Tensor, temperatures: Sequence[float]) -> Scores:
    """Score logits (batch, tokens, vocabulary) against the right tokens (batch, tokens)."""
    of_right = logits.gather(-1, right.unsqueeze(-1)).squeeze(-1)
    logs = [(of_right / t - (logits / t).logsumexp(-1)).sum(dim=1) for t in temperatures]
    return Scores(torch.stack(logs).exp(), (logits.argmax(-1) == right).all(dim=1))


def score_examples(model: Pebble, examples: list[data.BoardExample]) -> Scores:
    """Score examples of one length in float32, at every temperature."""
    text, prompt = inputs_of(examples), len(examples[0].prompt)
    return scores_of(model(text[:, :-1], first=prompt - 1), text[:, prompt:], TEMPERATURES)


def screener(model: Pebble) -> Callable[[list[data.BoardExample]], Scores]:
    """Return a function like `score_examples` for temperature 1 only: bfloat16 first, float32 for what is doubtful."""
    hidden = torch.compile(model.hidden, dynamic=False)

    def screen(examples: list[data.BoardExample]) -> Scores:
        if len(examples) < BATCH:  # another shape would be compiled anew
            chances, greedy = score_examples(model, examples)
            return Scores(chances[:1], greedy)
        text, prompt = inputs_of(examples), len(examples[0].prompt)
        with torch.autocast("cpu", torch.bfloat16):
            seen = hidden(text[:, :-1])[:, prompt - 1 :]
        scores = scores_of(model.lm_head(seen.float()), text[:, prompt:], TEMPERATURES[:1])
        doubtful = ((scores.chances[0] < DOUBT) | ~scores.greedy).nonzero().flatten().tolist()
        if doubtful:
            again = score_examples(model, [examples[i] for i in doubtful])
            scores.chances[0, doubtful], scores.greedy[doubtful] = again.chances[0], again.greedy
        return scores

    return screen


@dataclass
class SizeScores:
    """What is known about one number of disks so far; sums, so that blocks add up."""

    disks: int
    planned: int
    temperatures: int = len(TEMPERATURES)
    steps: int = 0
    hard_by_view: list[int] = field(default_factory=lambda: [0] * PEGS)
    hard_in_two_views: int = 0
    missing: list[float] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    lowest: float = 1.0
    hard_states: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.missing = self.missing or [0.0] * self.temperatures
        self.below = self.below or [[0] * len(THRESHOLDS) for _ in range(self.temperatures)]

    def add(self, steps: Sequence[int], views: list[Scores]) -> None:
        """Add the scores of a block of steps, one `Scores` per view."""
        chances = torch.stack([view.chances for view in views], dim=1).double()
        wrong = ~torch.stack([view.greedy for view in views])
        self.steps += len(steps)
        self.hard_by_view = [n + int(m) for n, m in zip(self.hard_by_view, wrong.sum(dim=1), strict=True)]
        self.hard_in_two_views += int((wrong.sum(dim=0) >= 2).sum())
        self.lowest = min(self.lowest, chances[0].min().item())
        for t, chance in enumerate(chances):
            self.missing[t] += (1 - chance).clamp(min=0).sum().item()
            self.below[t] = [
                n + int((chance < p).sum()) for n, p in zip(self.below[t], THRESHOLDS, strict=True)
            ]
        found = [[steps[i], view] for view, i in wrong.nonzero().tolist()]
        self.hard_states = (self.hard_states + found)[:LISTED]

    def as_json(self) -> dict[str, Any]:
        """Return the row as the card stores it; `error_by_temperature` is the mean over steps and views."""
        return {
            "disks": self.disks,
            "planned": self.planned,
            "steps": self.steps,
            "exhaustive": self.steps == optimal_length(self.disks),
            "hard_by_view": self.hard_by_view,
            "hard_in_two_views": self.hard_in_two_views,
            "error_by_temperature": [missing / (PEGS * self.steps) for missing in self.missing],
            "below": self.below,
            "lowest": self.lowest,
            "hard_states": self.hard_states,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "SizeScores":
        """Return the row that `as_json` wrote."""
        kept = {
            name: saved[name] for name in ("disks", "planned", "steps", "hard_by_view", "hard_in_two_views")
        }
        kept |= {name: saved[name] for name in ("below", "lowest", "hard_states")}
        errors = saved["error_by_temperature"]
        missing = [error * PEGS * saved["steps"] for error in errors]
        return cls(temperatures=len(errors), missing=missing, **kept)

    def same_job(self, other: "SizeScores") -> bool:
        """Whether both rows measure, or were to measure, the same steps."""
        return (self.disks, self.planned, self.temperatures) == (
            other.disks,
            other.planned,
            other.temperatures,
        )


class Measurement:
    """A card in the making: the rows so far, and the file that they go to."""

    def __init__(self, gguf: Path, out: Path, processes: int) -> None:
        self.out = out
        # One thread each: threads of one process wait for each other after every small matrix.
        self.pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (gguf,))
        content = gguf.read_bytes()
        self.about: dict[str, Any] = {
            "file": gguf.name,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "parameters": sum(p.numel() for p in read_gguf(gguf).parameters()),
            "temperatures": TEMPERATURES,
            "thresholds": THRESHOLDS,
        }
        known = json.loads(out.read_text()) if out.exists() else {}
        if known.get("sha256") != self.about["sha256"]:
            known = {}
        self.rows = {
            kind: [SizeScores.from_json(row) for row in known.get(kind, [])] for kind in ("full", "move_only")
        }

    def every_step(self, disks: int, *, move_only: bool = False) -> None:
        """Measure every step of a number of disks."""
        blocks = blocks_of(range(optimal_length(disks)))
        self.measure(SizeScores(disks, optimal_length(disks)), blocks, move_only=move_only)

    def sample(self, disks: int, steps: int, *, move_only: bool = False) -> None:
        """Measure random steps of a number of disks."""
        chosen = random.Random(disks).sample(range(optimal_length(disks)), steps)
        self.measure(SizeScores(disks, steps), blocks_of(chosen), move_only=move_only)

    def sweep(self, disks: int) -> None:
        """Measure every step of a tall tower, screened, in blocks at random: if cut short it leaves a fair sample."""
        blocks = blocks_of(range(optimal_length(disks)))
        random.Random(disks).shuffle(blocks)
        row = SizeScores(disks, optimal_length(disks), temperatures=1)
        self.measure(row, blocks, screened=True)

    def row_for(self, job: SizeScores, kind: str) -> SizeScores:
        """Return the row that was begun for the same job, or enter this one."""
        for row in self.rows[kind]:
            if row.same_job(job):
                return row
        self.rows[kind].append(job)
        return job

    def measure(
        self, job: SizeScores, blocks: list[Sequence[int]], *, move_only: bool = False, screened: bool = False
    ) -> None:
        """Fill a row block by block, all views of a step together; blocks that it already holds are skipped."""
        row = self.row_for(job, "move_only" if move_only else "full")
        held, began = row.steps, time.monotonic()
        ends = itertools.accumulate(len(block) for block in blocks)
        todo = [block for block, end in zip(blocks, ends, strict=True) if end > held]
        same = (itertools.repeat(row.disks), itertools.repeat(move_only), itertools.repeat(screened))
        for block, views in zip(todo, self.pool.map(_score_block, todo, *same), strict=True):
            row.add(block, views)
            self.save(done=False)
            rate = PEGS * (row.steps - held) / (time.monotonic() - began)
            print(f"{row.disks} disks{', move-only' if move_only else ''}: {row.steps:,} of {row.planned:,} steps, "
                  f"hard {row.hard_by_view}, in 2+ views {row.hard_in_two_views}; {rate:.0f} answers/s",
                  flush=True)  # fmt: skip

    def save(self, *, done: bool) -> None:
        """Write what is known so far."""
        rows = {kind: [row.as_json() for row in rows if row.steps] for kind, rows in self.rows.items()}
        partial = self.out.with_suffix(".partial")
        partial.write_text(json.dumps({**self.about, "done": done, **rows}, indent=1) + "\n")
        partial.replace(self.out)


class _Worker:
    """What a process of the pool holds."""

    score: Callable[[list[data.BoardExample]], Scores]
    screen: Callable[[list[data.BoardExample]], Scores]


def _begin(gguf: Path) -> None:
    torch.set_num_threads(1)
    model = read_gguf(gguf)
    _Worker.score, _Worker.screen = partial(score_examples, model), screener(model)


@torch.inference_mode()
def _score_block(steps: Sequence[int], disks: int, move_only: bool, screened: bool) -> list[Scores]:
    """Score a block of steps in every view, in a process of the pool."""
    scorer = _Worker.screen if screened else _Worker.score
    views = []
    for view in range(PEGS):
        examples = [data.path_example(disks, step, view, move_only=move_only) for step in steps]
        parts = [scorer(examples[first : first + BATCH]) for first in range(0, len(examples), BATCH)]
        chances = torch.cat([part.chances for part in parts], dim=1)
        views.append(Scores(chances, torch.cat([part.greedy for part in parts])))
    return views


def blocks_of(steps: Sequence[int]) -> list[Sequence[int]]:
    """Cut steps into blocks."""
    return [steps[first : first + BLOCK] for first in range(0, len(steps), BLOCK)]


def main() -> None:
    """Read the command line and measure, the cheap parts first."""
    parser = argparse.ArgumentParser(prog="python -m surefoot.training.pebble.evaluate", description=__doc__)
    parser.add_argument("--gguf", type=Path, default=HERE / GGUF_NAME)
    parser.add_argument("--out", type=Path, default=card.MEASURED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--every", type=int, default=14, help="every step of 1 up to this many disks")
    parser.add_argument(
        "--sample", type=int, default=2000, help="random steps of each larger number of disks"
    )
    parser.add_argument(
        "--sweep", type=int, default=20, help="also every step of this many disks; 0 for none"
    )
    parser.add_argument("--card", action="store_true", help="only render CARD.md from the JSON")
    options = parser.parse_args()
    if options.card:
        card.main()
        return
    measurement = Measurement(options.gguf, options.out, options.processes)
    for disks in range(1, options.every + 1):
        measurement.every_step(disks)
        measurement.every_step(disks, move_only=True)
    for disks in BEYOND:
        measurement.sample(disks, options.sample)
        measurement.sample(disks, options.sample, move_only=True)
    if options.sweep:
        measurement.sweep(options.sweep)
    measurement.save(done=True)


if __name__ == "__main__":
    main()

"""How often ponder accepts a draft's tokens, exactly: no sampling, one pass of both over traces that ponder has drawn.

A token drawn from the draft's distribution q and judged by ponder's p is accepted with the chance sum over tokens of min(p, q)
(Leviathan et al. 2023, arXiv 2211.17192, section 3.2).  At temperature 0 both are the likeliest token alone.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from surefoot.models.embedded import WEIGHTS
from surefoot.training.pebble.model import Pebble
from surefoot.training.ponder.data import EOS
from surefoot.training.ponder.model import SHAPE
from surefoot.training.ponder.problems import DIFFICULTIES, several
from surefoot.training.rl.rollouts import FusedLlama

from .family import DraftSpec

PONDER = WEIGHTS / "ponder"
LIMIT = 400
"""Tokens of a trace."""
GREEDY = 1e-3
"""The temperature that traces for temperature 0 are drawn at."""
HARD = 0.2
"""Share of the tokens, those of the target's highest entropy."""
ROWS = 32


class PonderTrace(NamedTuple):
    """What ponder wrote after a prompt, in tokens; a prompt has `start` of them."""

    tokens: list[int]
    start: int


class AcceptanceFound(NamedTuple):
    """Mean acceptance of a draft's tokens."""

    every: float
    hard: float
    """Over the fifth of the tokens at which the target's entropy is highest."""


def ponder() -> Pebble:
    """Return ponder."""
    return loaded(Pebble(SHAPE), PONDER)


def draft(spec: DraftSpec, folder: Path) -> Pebble:
    """Return a draft that was trained into this folder."""
    return loaded(Pebble(spec.shape), folder)


def loaded(model: Pebble, folder: Path) -> Pebble:
    """Return a network with the weights of a folder."""
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()


def traces(temperature: float, problems: int, seed: int = 0) -> list[PonderTrace]:
    """Let ponder think about so many held-out problems of each difficulty, which no draft was trained on either."""
    rng = random.Random(f"training/drafts {seed}")
    asked = [list(p.prompt.encode()) for name in DIFFICULTIES for p in several(name, problems, rng)]
    model: Any = AutoModelForCausalLM.from_pretrained(PONDER)
    found = FusedLlama(model.eval()).draw(
        asked, group=1, limit=LIMIT, temperature=max(temperature, GREEDY), end=EOS, seed=seed
    )
    return [
        PonderTrace(prompt + drawn.tokens, len(prompt)) for prompt, drawn in zip(asked, found, strict=True)
    ]


@torch.inference_mode()
def logits(model: Pebble, given: Sequence[PonderTrace]) -> Tensor:
    """Return the logits of every token of the traces after their prompts: (tokens, vocabulary), in the order of the traces."""
    return torch.cat(list(_logits(model, given)))


def _logits(model: Pebble, given: Sequence[PonderTrace]) -> Iterator[Tensor]:
    for first in range(0, len(given), ROWS):
        part = given[first : first + ROWS]
        rows = torch.full((len(part), max(len(trace.tokens) for trace in part)), EOS)
        for row, trace in zip(rows, part, strict=True):
            row[: len(trace.tokens)] = torch.tensor(trace.tokens)
        for row, trace in zip(model(rows), part, strict=True):
            yield row[trace.start - 1 : len(trace.tokens) - 1]


def shared_mass(target: Tensor, draft: Tensor, temperature: float) -> Tensor:
    """Return the chance that a token is accepted at each place, (tokens,), from logits (tokens, vocabulary); at temperature 0 it is 0 or 1."""
    if temperature == 0:
        return (target.argmax(-1) == draft.argmax(-1)).float()
    p, q = ((each / temperature).softmax(-1) for each in (target, draft))
    return torch.minimum(p, q).sum(-1)


def hardest(target: Tensor, temperature: float) -> Tensor:
    """Return which tokens are hard, (tokens,) of bool, by the target's entropy at the temperature; at 0 by that at 1."""
    p = (target / (temperature or 1.0)).softmax(-1)
    entropy = torch.special.entr(p).sum(-1)
    return entropy >= entropy.quantile(1 - HARD)


def acceptance(target: Tensor, draft: Tensor, temperature: float, hard: Tensor) -> AcceptanceFound:
    """Return the mean acceptance over tokens, all and hard ones."""
    found = shared_mass(target, draft, temperature)
    return AcceptanceFound(found.mean().item(), found[hard].mean().item())

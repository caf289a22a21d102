"""Speculation in llama.cpp as it is: CPU seconds a token without drafts and with 1 to 8 drafted tokens, greedily."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx
import torch
from torch import Tensor

from surefoot.models.embedded.llama_cpp import DraftFile, EmbeddedServer
from surefoot.training.drafts.acceptance import draft, ponder
from surefoot.training.drafts.family import DraftSpec
from surefoot.training.pebble.export import Identity, write_gguf
from surefoot.training.ponder.data import TAGS
from surefoot.training.ponder.model import SHAPE
from surefoot.training.ponder.problems import DIFFICULTIES, several

LENGTHS = (1, 2, 3, 4, 5, 6, 7, 8)
PATIENCE_S = 600.0


class Swept(NamedTuple):
    """One length of drafts, 0 for none, on one pair of models."""

    length: int
    cpu_s: list[float]
    """A token, each round of measuring."""
    drafted: int
    accepted: int
    tokens: int
    same: bool
    """Whether the texts are those without drafts."""

    @property
    def token_s(self) -> float:
        return median(self.cpu_s)

    @property
    def round_s(self) -> float:
        """CPU seconds from one verification to the next."""
        return self.token_s * self.tokens * self.length / self.drafted


def idle_layers(state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Return ponder's weights with layers after its own that add nothing to the states: the same model at a higher price."""
    own = {name: weight for name, weight in state.items() if ".layers.0." in name}
    more = {
        name.replace(".layers.0.", f".layers.{layer}."): torch.ones_like(weight)
        if weight.ndim == 1
        else torch.zeros_like(weight)
        for layer in range(SHAPE.layers, layers)
        for name, weight in own.items()
    }
    return {**state, **more}


def target_file(layers: int, folder: Path) -> Path:
    """Write ponder with so many layers, of which all but its own are idle, for llama.cpp."""
    path = folder / f"ponder-{layers}.gguf"
    identity = Identity("ponder", replace(SHAPE, layers=layers), TAGS)
    write_gguf(idle_layers(ponder().state_dict(), layers), identity, path)
    return path


def draft_file(spec: DraftSpec, folder: Path) -> Path:
    """Write a draft for llama.cpp."""
    path = folder / f"{spec.identity.name}.gguf"
    write_gguf(draft(spec, folder / spec.identity.name).state_dict(), spec.identity, path)
    return path


class SweepLoad(NamedTuple):
    """What is written at each length."""

    batch: int
    """Texts at a time."""
    texts: int
    tokens: int
    """Of each text."""
    rounds: int
    """How often each length has its turn."""


def sweep(target: Path, drafted: Path, load: SweepLoad, lengths: tuple[int, ...] = LENGTHS) -> list[Swept]:
    """Measure drafts of all lengths, and none, in turn; each time by a new server."""
    rng = random.Random("bench/draft_laws")
    asked = [several(DIFFICULTIES[n % len(DIFFICULTIES)], 1, rng)[0].prompt for n in range(load.texts)]
    spent: dict[int, list[float]] = {length: [] for length in (0, *lengths)}
    last: dict[int, _Written] = {}
    for _ in range(load.rounds):
        for length in spent:
            last[length] = _written(target, DraftFile(drafted, length) if length else None, asked, load)
            spent[length].append(last[length].cpu_s / last[length].tokens)
    plain = last[0].texts
    return [
        Swept(length, spent[length], found.drafted, found.accepted, found.tokens, found.texts == plain)
        for length, found in last.items()
    ]


def alone_s(model: Path, load: SweepLoad) -> float:
    """Return CPU seconds a token of a draft that is served by itself."""
    asked = [several(DIFFICULTIES[0], 1, random.Random(n))[0].prompt for n in range(load.texts)]
    found = [_written(model, None, asked, load) for _ in range(load.rounds)]
    return median(each.cpu_s / each.tokens for each in found)


class _Written(NamedTuple):
    texts: list[str]
    cpu_s: float
    tokens: int
    drafted: int
    accepted: int


def _written(target: Path, drafted: DraftFile | None, asked: list[str], load: SweepLoad) -> _Written:
    said = {"temperature": 0, "top_k": 1, "n_predict": load.tokens, "ignore_eos": True, "cache_prompt": False}
    with (
        EmbeddedServer(target, name="ponder", slots=load.batch, draft=drafted) as server,
        ThreadPoolExecutor(load.batch) as pool,
    ):
        url = server.url.removesuffix("/v1") + "/completion"

        def answer(prompt: str) -> dict[str, Any]:
            said_of_it = {"prompt": prompt, **said}
            found: dict[str, Any] = httpx.post(url, json=said_of_it, timeout=PATIENCE_S).json()
            return found

        answer(asked[0])  # the first call sets up
        began = time.process_time()
        answers = list(pool.map(answer, asked))
        spent = time.process_time() - began
    counted = [found["timings"] for found in answers]
    return _Written(
        [found["content"] for found in answers],
        spent,
        sum(each["predicted_n"] for each in counted),
        sum(each.get("draft_n", 0) for each in counted),
        sum(each.get("draft_n_accepted", 0) for each in counted),
    )

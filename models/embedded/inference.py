"""pebble's network in numpy: many asks at a time, and an expected answer costs no more than reading it.

An ask may carry a guess.  One pass over prompt and guess gives the distribution at every position of the answer; the token at
each is drawn, and what was drawn stands as long as it equals the guess.  The first token that differs stands too, for it
was drawn after what is right; from there on the answer is made token by token, keys and values being kept.  This is
speculative decoding (Leviathan et al., arXiv 2211.17192) with a guess instead of a draft's distribution, and every draw
is the same function of the ask's seed and the position, so the guess changes the time and not the sample.

Except for the last bits of float32: a sum may be rounded differently in a batch of another shape.  That moves a logit by up to
4e-5, measured, and a draw that falls into so small a gap comes out as its neighbour: not once in 28,000 samples at
temperatures 1 and 2.

Weights are laid out for a few large matrix products: norms' weights and the scale of attention are part of the matrices
that follow, queries, keys and values are one matrix, and rotated pairs lie side by side, as one complex number each.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from surefoot.models.base import Ask
from surefoot.voting.samples import Sample, Usage

from . import WEIGHTS
from .worker_protocol import CONTEXT, EOS, flat, tokens

TILE = 440
"""Most tokens read in one pass: activations stay in a core's own cache, and matrix products are as fast as they get."""

Floats = NDArray[np.float32]
TokenArray = NDArray[np.int64]


class LayerWeights(NamedTuple):
    """One decoder layer; every matrix is (in, out)."""

    qkv: Floats
    out: Floats
    gate: Floats
    up: Floats
    down: Floats


class Generation:
    """An answer in the making: what is known of it, and how long it may get."""

    def __init__(self, position: int, ask: Ask) -> None:
        self.position = position
        self.prompt = tokens(flat(ask.prompt))
        self.limit = min(ask.max_tokens, CONTEXT - len(self.prompt))
        self.guess = list((ask.guess or "").encode(errors="replace"))[: self.limit - 1]
        self.temperature = ask.temperature
        self.seed = ask.seed % 2**64
        self.made: list[int] = []

    @property
    def shape(self) -> tuple[int, int]:
        """Lengths of prompt and guess: what answers must share to be read in one pass."""
        return len(self.prompt), len(self.guess)

    @property
    def done(self) -> bool:
        """Whether it has ended or come to its limit."""
        return self.made[-1] == EOS or len(self.made) == self.limit

    def sample(self) -> Sample:
        """Return the finished answer; its tokens include the one that ends it."""
        stopped = self.made[-1] == EOS
        text = bytes(self.made[:-1] if stopped else self.made).decode(errors="replace")
        count = len(self.made)
        return Sample(
            text, "stop" if stopped else "length", count, Usage(prompt=len(self.prompt), completion=count)
        )


class CachedAnswers(NamedTuple):
    """Answers that go on, and the keys and values of what was read for them: (batch, length, 2, heads, head width) a layer."""

    answers: list[Generation]
    kept: list[Floats]


class Network:
    """The weights, and what can be done with them."""

    def __init__(self, folder: Path = WEIGHTS / "pebble") -> None:
        config = json.loads((folder / "config.json").read_text())
        weights = load_file(folder / "model.safetensors")
        self.width: int = config["hidden_size"]
        self.heads: int = config["num_attention_heads"]
        self.head_width = self.width // self.heads
        self.epsilon = np.float32(config["rms_norm_eps"])
        self.embedding: Floats = weights["model.embed_tokens.weight"]
        self.layers = [self._layer(weights, number) for number in range(config["num_hidden_layers"])]
        self.head: Floats = _folded(weights["lm_head.weight"], weights["model.norm.weight"])
        self.turns = self._turns(config["rope_theta"])
        self.future = _hidden(np.tri(CONTEXT))
        self._buffers: dict[str, Floats] = {}

    def complete(self, asks: Sequence[Ask]) -> list[Sample]:
        """Draw one sample per ask, in their order.

        A guess shortens the work and nothing else.  An answer ends with `<eos>` (finish `stop`), at the ask's limit or
        where prompt and answer fill the context (finish `length`).
        """
        answers = [Generation(position, ask) for position, ask in enumerate(asks)]
        parts = [self._verify(alike) for alike in _alike(answers)]
        unfinished = [part for part in parts if part.answers]
        if unfinished:
            self._go_on([answer for part in unfinished for answer in part.answers], self._memory(unfinished))
        return [answer.sample() for answer in answers]

    def read(self, texts: TokenArray, first: int) -> tuple[Floats, list[Floats]]:
        """Read (batch, length) tokens; return the logits at positions `first` and later, (batch, length - first, vocabulary).

        Beside them each layer's queries, keys and values, (batch, length, 3, heads, head width); they hold until the next call.
        """
        batch, length = texts.shape
        x = self.embedding[texts.ravel()]
        kept = []
        for number, layer in enumerate(self.layers):
            qkv = self._buffer(f"qkv{number}", batch * length, 3 * self.width)
            np.matmul(self._normed(x), layer.qkv, out=qkv)
            self._rotate(qkv.reshape(batch, length, -1), self.turns[:length])
            kept.append(qkv.reshape(batch, length, 3, self.heads, self.head_width))
            start = first if number == len(self.layers) - 1 else 0
            if start:
                # The last layer's output at the other positions is not used.
                x = x.reshape(batch, length, -1)[:, start:].reshape(-1, self.width)
            mixed = self._attention(kept[-1], start)
            x += np.matmul(mixed, layer.out, out=self._buffer("out", *x.shape))
            x += self._feed_forward(x, layer)
        logits: Floats = self._normed(x) @ self.head
        return logits.reshape(batch, length - first, -1), kept

    def step(self, last: TokenArray, lengths: TokenArray, keys: Floats, values: Floats) -> Floats:
        """Read one more token of each text, text i having `lengths[i]` so far; return the logits, (batch, vocabulary).

        `keys` and `values`, (layers, batch, heads, room, head width), are where the layers look back, and are added to.
        """
        batch, room = len(last), keys.shape[3]
        rows = np.arange(batch)
        hidden = _hidden(np.arange(room) <= lengths[:, None])[:, None, None]
        x = self.embedding[last]
        for number, layer in enumerate(self.layers):
            qkv = self._normed(x) @ layer.qkv
            self._rotate(qkv, self.turns[lengths])
            q, k, v = qkv.reshape(batch, 3, self.heads, self.head_width).swapaxes(0, 1)
            keys[number, rows, :, lengths], values[number, rows, :, lengths] = k, v
            scores = q[:, :, None] @ keys[number].swapaxes(2, 3)
            mixed = _softmax(scores, hidden) @ values[number]
            x += mixed.reshape(batch, -1) @ layer.out
            x += self._feed_forward(x, layer)
        logits: Floats = self._normed(x) @ self.head
        return logits

    def _verify(self, answers: Sequence[Generation]) -> CachedAnswers:
        """Take from each guess what is drawn, and the first token that is not; the answers are of one shape.

        Returns those that are not at their end then.
        """
        guesses = np.array([[*answer.guess, -1] for answer in answers])
        texts = np.array([answer.prompt + answer.guess for answer in answers])
        logits, kept = self.read(texts, len(answers[0].prompt) - 1)
        drawn = _draw(logits, answers, np.arange(guesses.shape[1]))
        for answer, row, agreed in zip(answers, drawn, (drawn != guesses).argmax(axis=1), strict=True):
            answer.made = row[: agreed + 1].tolist()
        rows = [row for row, answer in enumerate(answers) if not answer.done]
        return CachedAnswers([answers[row] for row in rows], [layer[rows, :, 1:] for layer in kept])

    def _memory(self, parts: Sequence[CachedAnswers]) -> Floats:
        """Return the keys and values of unfinished answers, with room for the rest of them, as `step` wants them."""
        answers = [answer for part in parts for answer in part.answers]
        room = max(len(answer.prompt) + answer.limit for answer in answers)
        memory = np.zeros((2, len(self.layers), len(answers), self.heads, room, self.head_width), np.float32)
        row = 0
        for part in parts:
            rows = slice(row, row + len(part.answers))
            for number, layer in enumerate(part.kept):
                memory[:, number, rows, :, : layer.shape[1]] = layer.transpose(2, 0, 3, 1, 4)
            row = rows.stop
        return memory

    def _go_on(self, answers: list[Generation], memory: Floats) -> None:
        """Make the rest of answers token by token."""
        lengths = np.array([len(answer.prompt) + len(answer.made) - 1 for answer in answers])
        while answers:
            last = np.array([answer.made[-1] for answer in answers])
            logits = self.step(last, lengths, memory[0], memory[1])
            made = np.array([len(answer.made) for answer in answers])
            for answer, token in zip(answers, _draw(logits[:, None], answers, made[:, None]), strict=True):
                answer.made.append(int(token[0]))
            lengths += 1
            going = [row for row, answer in enumerate(answers) if not answer.done]
            if len(going) < len(answers):
                answers = [answers[row] for row in going]
                lengths, memory = lengths[going], memory[:, :, going]

    def _attention(self, qkv: Floats, first: int) -> Floats:
        """Mix the values at positions `first` and later: (batch times (length - first), width)."""
        batch, length = qkv.shape[:2]
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)
        scores = self._buffer("scores", batch * self.heads * (length - first), length)
        scores = scores.reshape(batch, self.heads, length - first, length)
        np.matmul(q[:, :, first:], k.swapaxes(2, 3), out=scores)
        mixed = self._buffer("mixed", batch * (length - first), self.width)
        by_head = mixed.reshape(batch, length - first, self.heads, self.head_width).swapaxes(1, 2)
        np.matmul(_softmax(scores, self.future[first:length, :length]), v, out=by_head)
        return mixed

    def _feed_forward(self, x: Floats, layer: LayerWeights) -> Floats:
        """SwiGLU, by silu(2h) = h (1 + tanh h), which cannot overflow; the 2 is part of the weights."""
        normed = self._normed(x)
        rows, hidden = len(x), layer.gate.shape[1]
        half = np.matmul(normed, layer.gate, out=self._buffer("half", rows, hidden))
        up = np.matmul(normed, layer.up, out=self._buffer("up", rows, hidden))
        gate = np.tanh(half, out=self._buffer("gate", rows, hidden))
        gate += 1
        gate *= half
        gate *= up
        return np.matmul(gate, layer.down, out=self._buffer("down", rows, self.width))

    def _normed(self, x: Floats) -> Floats:
        """RMSNorm without its weights."""
        scale = np.einsum("ij,ij->i", x, x)
        scale /= self.width
        scale += self.epsilon
        np.sqrt(scale, out=scale)
        return np.divide(x, scale[:, None], out=self._buffer("normed", *x.shape))

    def _rotate(self, qkv: Floats, turns: NDArray[np.complex64]) -> None:
        """Apply the rotary embedding to queries and keys, in place."""
        pairs = qkv.view(np.complex64)[..., : self.width]
        np.multiply(pairs, turns, out=pairs)

    def _buffer(self, name: str, rows: int, columns: int) -> Floats:
        """Return memory for a result that is gone before the name is used again: fresh memory costs page faults."""
        held = self._buffers.get(name)
        if held is None or held.size < rows * columns:
            held = self._buffers[name] = np.empty(rows * columns, np.float32)
        return held[: rows * columns].reshape(rows, columns)

    def _turns(self, theta: float) -> NDArray[np.complex64]:
        """Return the rotation of every pair at every position, (positions, width), queries' and keys' alike."""
        angles = np.outer(np.arange(CONTEXT), theta ** -(np.arange(0, self.head_width, 2) / self.head_width))
        return np.tile(np.exp(1j * angles), 2 * self.heads).astype(np.complex64)

    def _layer(self, weights: dict[str, Any], number: int) -> LayerWeights:
        own = {
            name.removeprefix(f"model.layers.{number}."): weight
            for name, weight in weights.items()
            if name.startswith(f"model.layers.{number}.")
        }
        queries = self._paired(own["self_attn.q_proj.weight"]) / np.sqrt(np.float32(self.head_width))
        keys = self._paired(own["self_attn.k_proj.weight"])
        before, between = own["input_layernorm.weight"], own["post_attention_layernorm.weight"]
        return LayerWeights(
            qkv=_folded(np.concatenate([queries, keys, own["self_attn.v_proj.weight"]]), before),
            out=_folded(own["self_attn.o_proj.weight"]),
            gate=_folded(own["mlp.gate_proj.weight"] / 2, between),
            up=_folded(own["mlp.up_proj.weight"], between),
            down=_folded(own["mlp.down_proj.weight"]),
        )

    def _paired(self, weight: Floats) -> Floats:
        """Put the two rows that are rotated together side by side: they lie half a head apart."""
        halves = weight.reshape(self.heads, 2, self.head_width // 2, -1)
        return halves.swapaxes(1, 2).reshape(weight.shape)


def uniform(seeds: NDArray[np.uint64], positions: TokenArray) -> NDArray[np.float64]:
    """Return numbers in [0, 1) that depend on seed and position alone: splitmix64 (Steele, Lea and Flood, 2014)."""
    state = _mixed(seeds) + (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return (_mixed(state) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose_tokens(logits: Floats, temperatures: Floats, at: NDArray[np.float64]) -> TokenArray:
    """Pick the token at quantile `at` of each row of logits at its temperature; the likeliest at temperature 0.

    The quantiles run through the likeliest token first and then through the others: nearly every pick ends there.
    """
    likeliest = logits.argmax(axis=1)
    if not temperatures.any():
        return likeliest
    rows = np.arange(len(logits))
    shares = logits - logits[rows, likeliest][:, None]
    with np.errstate(over="ignore"):
        shares /= np.where(temperatures > 0, temperatures, 1)[:, None]
    np.exp(shares, out=shares)
    beyond = at * shares.sum(axis=1) - 1
    others = np.flatnonzero((temperatures > 0) & (beyond >= 0))
    shares[others, likeliest[others]] = 0
    sums = shares[others].cumsum(axis=1, dtype=np.float64)
    picked = (sums <= beyond[others, None]).sum(axis=1)
    # Rounding may leave the very last quantile beyond the sum of all.
    likeliest[others] = np.where(picked < logits.shape[1], picked, likeliest[others])
    return likeliest


def _draw(logits: Floats, answers: Sequence[Generation], positions: TokenArray) -> TokenArray:
    """Draw the tokens at `positions` of the answers: (batch, positions)."""
    batch, count = logits.shape[:2]
    seeds = np.array([answer.seed for answer in answers], np.uint64)[:, None]
    temperatures = np.array([answer.temperature for answer in answers], np.float32).repeat(count)
    at = uniform(seeds, positions).reshape(-1)
    return choose_tokens(logits.reshape(batch * count, -1), temperatures, at).reshape(batch, count)


def _alike(answers: Sequence[Generation]) -> Iterator[list[Generation]]:
    """Cut answers into parts that are read in one pass: of one shape, so that nothing is padded."""
    for (prompt, guess), found in groupby(sorted(answers, key=lambda one: one.shape), lambda one: one.shape):
        same, size = list(found), max(1, TILE // (prompt + guess))
        yield from (same[first : first + size] for first in range(0, len(same), size))


def _softmax(scores: Floats, hidden: Floats) -> Floats:
    """Softmax over the last axis, in place; `hidden` is 0 where a position is seen and minus infinity where not."""
    scores += hidden
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= np.einsum("...i->...", scores)[..., None]
    return scores


def _hidden(seen: NDArray[Any]) -> Floats:
    """Return what is added to scores so that only what is seen counts."""
    return np.where(seen, np.float32(0), np.float32(-np.inf))


def _folded(weight: Floats, norm: Floats | None = None) -> Floats:
    """Turn a checkpoint's (out, in) matrix into (in, out), with the weights of the norm before it."""
    return np.ascontiguousarray(weight.T if norm is None else weight.T * norm[:, None])


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))

"""pebble's network in numpy: many asks at a time, and an expected answer costs no more than reading it.

An ask may carry a guess.  One pass over prompt and guess gives the distribution at every position of the answer; the token at
each is drawn, and what was drawn stands as long as it equals the guess.  The first token that differs stands too, for it
was drawn after what is right; from there on the answer is made token by token, keys and values being kept.  This is
speculative decoding (Leviathan et al., arXiv 2211.17192) with a guess instead of a draft's distribution, and every draw
is the same function of the ask's seed and the position, so the guess changes the time and not the sample.

Except for the last bits of float32: a sum may be rounded differently in a batch of another shape.  That moves a logit by up to
4e-5, measured, and a draw that falls into so small a gap comes out as its neighbour: not once in 28,000 samples at
temperatures 1 and 2.

What is known already is not computed again: prompts are read from where none before began like them (`PrefixCache`), and
the first layer's queries, keys and values are looked up, since they follow from the token alone.

Nearly every answer is the one that was expected, and far from any other.  So a network whose products are rounded (`Bfloat16`)
may say which answers hold by a margin (`certain`), and only the others are made in float32.

Weights are laid out for a few large matrix products: norms' weights and the scale of attention are part of the matrices
that follow, queries, keys and values are one matrix, and rotated pairs lie side by side, as one complex number each.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from surefoot.models.base import Ask
from surefoot.voting.samples import Sample, Usage

from . import WEIGHTS
from .arithmetic import Arithmetic, Buffers, Float32, Floats
from .draws import TokenArray, choose_tokens, logprobs_of, sure_tokens, uniform
from .prefix_cache import BLOCK, PrefixCache
from .worker_protocol import CONTEXT, EOS, flat

TILE = 440
"""Most tokens read in one pass: activations stay in a core's own cache, and matrix products are as fast as they get."""
MARGIN = 3.0
"""What bfloat16 is taken to move the difference of two likely logits by, at most: seen on boards (`bench/precision.py`) was 0.46.

On prompts without sense logits move further, and of 227 answers to 1,200 of them none came out other than in float32.
"""


class LayerWeights(NamedTuple):
    """One decoder layer; every matrix is (in, out), as the network's arithmetic keeps it."""

    qkv: Any
    out: Any
    gate: Any
    up: Any
    down: Any


class Generation:
    """An answer in the making: what is known of it, and how long it may get."""

    def __init__(self, ask: Ask, prefixes: PrefixCache) -> None:
        self.prompt = flat(ask.prompt).encode()
        self.known = prefixes.find(self.prompt)
        self.limit = min(ask.max_tokens, CONTEXT - len(self.prompt))
        self.guess = list((ask.guess or "").encode(errors="replace"))[: self.limit - 1]
        self.temperature = ask.temperature
        self.seed = ask.seed % 2**64
        self.made: list[int] = []
        self.logprobs: list[float] = []
        """Of what is made, if the network tells them."""

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
        usage = Usage(prompt=len(self.prompt), completion=count)
        logprob = min(0.0, fmean(self.logprobs)) if self.logprobs else None
        return Sample(text, "stop" if stopped else "length", count, usage, logprob=logprob)


class CachedAnswers(NamedTuple):
    """Answers that go on, and the keys and values of what was read for them: (layers, batch, length, 2, heads, head width)."""

    answers: list[Generation]
    kept: Floats


class Network:
    """The weights, and what can be done with them; with `logprobs`, `complete` says the log-probability of each sample."""

    def __init__(
        self,
        arithmetic: Arithmetic | None = None,
        folder: Path = WEIGHTS / "pebble",
        *,
        logprobs: bool = False,
    ) -> None:
        self.logprobs = logprobs
        config = json.loads((folder / "config.json").read_text())
        weights = load_file(folder / "model.safetensors")
        self.width: int = config["hidden_size"]
        self.heads: int = config["num_attention_heads"]
        self.head_width = self.width // self.heads
        self.epsilon = np.float32(config["rms_norm_eps"])
        self.arithmetic = arithmetic or Float32()
        self.embedding: Floats = weights["model.embed_tokens.weight"]
        self.layers = [self._layer(weights, number) for number in range(config["num_hidden_layers"])]
        self.head = self._matrix(weights["lm_head.weight"], weights["model.norm.weight"])
        self.turns = self._turns(config["rope_theta"])
        self.future = _hidden(np.tri(CONTEXT).T)
        self.prefixes = PrefixCache(len(self.layers), 2 * self.width)
        self._buffers = Buffers()
        self.table = self._product(self._normed(self.embedding), self.layers[0].qkv, "qkv").copy()
        """The first layer's queries, keys and values of every token, before their rotation."""

    def complete(self, asks: Sequence[Ask]) -> list[Sample]:
        """Draw one sample per ask, in their order.

        A guess shortens the work and nothing else.  An answer ends with `<eos>` (finish `stop`), at the ask's limit or
        where prompt and answer fill the context (finish `length`).
        """
        self.prefixes.make_room(len(asks))
        answers = [Generation(ask, self.prefixes) for ask in asks]
        parts = [self._verify(alike) for alike in _alike(answers)]
        unfinished = [part for part in parts if part.answers]
        if unfinished:
            self._go_on([answer for part in unfinished for answer in part.answers], self._memory(unfinished))
        return [answer.sample() for answer in answers]

    def certain(self, asks: Sequence[Ask]) -> list[Sample | None]:
        """Return the samples that hold by a margin, in the order of the asks; None for each of the others.

        By a margin holds an expected answer whose every token is drawn even if all differences of logits are wrong by `MARGIN`: it is
        what `complete` returns, by this network or by one whose arithmetic is more exact.
        """
        self.prefixes.make_room(len(asks))
        answers = [Generation(ask, self.prefixes) for ask in asks]
        for alike in _alike([answer for answer in answers if answer.guess]):
            expected = np.array([[*answer.guess, EOS] for answer in alike])
            logits, _ = self._read_all(alike)
            flat_logits = logits.reshape(expected.size, -1)
            sure = sure_tokens(flat_logits, *_quantiles(alike, np.arange(expected.shape[1])), MARGIN)
            for answer, right in zip(alike, sure.reshape(expected.shape) == expected, strict=True):
                if right.all():
                    answer.made = [*answer.guess, EOS]
        return [answer.sample() if answer.made else None for answer in answers]

    def read(self, texts: TokenArray, first: int, known: Floats | None = None) -> tuple[Floats, Floats]:
        """Read (batch, length) tokens; return the logits at positions `first` and later, (batch, length - first, vocabulary).

        Beside them every layer's keys and values, (layers, batch, length, 2 width); they hold until the next call.  `known` are
        those of the positions that need not be read, all of them before `first`.
        """
        batch, length = texts.shape
        begin = 0 if known is None else known.shape[2]
        fresh = texts[:, begin:].ravel()
        x = self.embedding[fresh]
        kept = self._buffers.take("kept", len(self.layers), batch, length, 2 * self.width)
        if known is not None:
            kept[:, :, :begin] = known
        for number, layer in enumerate(self.layers):
            qkv = self._product(self._normed(x), layer.qkv, "qkv") if number else self._look_up(fresh)
            by_text = qkv.reshape(batch, length - begin, -1)
            self._rotate(by_text, self.turns[begin:length])
            kept[number, :, begin:] = by_text[..., self.width :]
            start = begin
            if number == len(self.layers) - 1:
                # The last layer's output at the other positions is not used.
                start = first
                x = x.reshape(batch, length - begin, -1)[:, start - begin :].reshape(-1, self.width)
            mixed = self._attention(by_text[:, start - begin :, : self.width], kept[number])
            x += self._product(mixed, layer.out, "out")
            x += self._feed_forward(x, layer)
        logits = self._product(self._normed(x), self.head, "logits")
        return logits.reshape(batch, length - first, -1), kept

    def step(self, last: TokenArray, lengths: TokenArray, keys: Floats, values: Floats) -> Floats:
        """Read one more token of each text, text i having `lengths[i]` so far; return the logits, (batch, vocabulary).

        `keys` and `values`, (layers, batch, heads, room, head width), are where the layers look back, and are added to.
        """
        batch, room = len(last), keys.shape[3]
        rows = np.arange(batch)
        hidden = _hidden(np.arange(room)[:, None] <= lengths)[:, :, None]
        x = self.embedding[last]
        for number, layer in enumerate(self.layers):
            qkv = self._product(self._normed(x), layer.qkv, "qkv") if number else self._look_up(last)
            self._rotate(qkv, self.turns[lengths])
            q, k, v = qkv.reshape(batch, 3, self.heads, self.head_width).swapaxes(0, 1)
            keys[number, rows, :, lengths], values[number, rows, :, lengths] = k, v
            scores = np.empty((room, batch, self.heads), np.float32)
            by_text = scores.transpose(1, 2, 0)[..., None]
            np.matmul(keys[number], q[..., None], out=by_text)
            _softmax(scores, hidden)
            mixed = by_text.swapaxes(2, 3) @ values[number]
            x += self._product(mixed.reshape(batch, -1), layer.out, "out")
            x += self._feed_forward(x, layer)
        return self._product(self._normed(x), self.head, "logits")

    def _verify(self, answers: Sequence[Generation]) -> CachedAnswers:
        """Take from each guess what is drawn, and the first token that is not; the answers are of one shape.

        Returns those that are not at their end then.
        """
        guesses = np.array([[*answer.guess, -1] for answer in answers])
        logits, kept = self._read_all(answers)
        drawn = _draw(logits, answers, np.arange(guesses.shape[1]))
        told = self._told(logits, drawn)
        for answer, row, own, agreed in zip(
            answers, drawn, told, (drawn != guesses).argmax(axis=1), strict=True
        ):
            answer.made = row[: agreed + 1].tolist()
            answer.logprobs = own[: agreed + 1].tolist()
        rows = [row for row, answer in enumerate(answers) if not answer.done]
        by_head = kept.reshape(*kept.shape[:3], 2, self.heads, self.head_width)
        return CachedAnswers([answers[row] for row in rows], by_head[:, rows])

    def _told(self, logits: Floats, drawn: TokenArray) -> NDArray[np.float64]:
        """Return the log-probabilities of drawn tokens, (batch, positions); of none, (batch, 0), if they are not wanted."""
        if not self.logprobs:
            return np.empty((len(drawn), 0))
        return logprobs_of(logits.reshape(drawn.size, -1), drawn.reshape(-1)).reshape(drawn.shape)

    def _read_all(self, answers: Sequence[Generation]) -> tuple[Floats, Floats]:
        """Read prompts and guesses, all of one shape, from where a prompt is new; return what `read` does."""
        texts = np.array([[*answer.prompt, *answer.guess] for answer in answers])
        fewest = min(len(answer.known) for answer in answers)
        known = self.prefixes.load([answer.known[:fewest] for answer in answers])
        logits, kept = self.read(texts, len(answers[0].prompt) - 1, known)
        for row, answer in enumerate(answers):
            self.prefixes.learn(answer.prompt, len(answer.known), kept[:, row])
        return logits, kept

    def _memory(self, parts: Sequence[CachedAnswers]) -> Floats:
        """Return the keys and values of unfinished answers, with room for the rest of them, as `step` wants them."""
        answers = [answer for part in parts for answer in part.answers]
        room = max(len(answer.prompt) + answer.limit for answer in answers)
        memory = np.zeros((2, len(self.layers), len(answers), self.heads, room, self.head_width), np.float32)
        row = 0
        for part in parts:
            rows = slice(row, row + len(part.answers))
            memory[:, :, rows, :, : part.kept.shape[2]] = part.kept.transpose(3, 0, 1, 4, 2, 5)
            row = rows.stop
        return memory

    def _go_on(self, answers: list[Generation], memory: Floats) -> None:
        """Make the rest of answers token by token."""
        lengths = np.array([len(answer.prompt) + len(answer.made) - 1 for answer in answers])
        while answers:
            last = np.array([answer.made[-1] for answer in answers])
            logits = self.step(last, lengths, memory[0], memory[1])
            made = np.array([len(answer.made) for answer in answers])
            drawn = _draw(logits[:, None], answers, made[:, None])
            for answer, token, own in zip(answers, drawn, self._told(logits[:, None], drawn), strict=True):
                answer.made.append(int(token[0]))
                answer.logprobs += own.tolist()
            lengths += 1
            going = [row for row, answer in enumerate(answers) if not answer.done]
            if len(going) < len(answers):
                answers = [answers[row] for row in going]
                lengths, memory = lengths[going], memory[:, :, going]

    def _attention(self, queries: Floats, kept: Floats) -> Floats:
        """Mix the values that are kept of texts, for the last positions, whose queries these are: (batch times count, width)."""
        batch, count = queries.shape[:2]
        length = kept.shape[1]
        q = queries.reshape(batch, count, self.heads, self.head_width).swapaxes(1, 2)
        k, v = kept.reshape(batch, length, 2, self.heads, self.head_width).transpose(2, 0, 3, 1, 4)
        scores = self._buffers.take("scores", length, batch, self.heads, count)
        by_text = scores.transpose(1, 2, 0, 3)
        np.matmul(k, q.swapaxes(2, 3), out=by_text)
        _softmax(scores, self.future[:count, None, None, :count])
        mixed = self._buffers.take("mixed", batch, count, self.heads, self.head_width)
        np.matmul(by_text.swapaxes(2, 3), v, out=mixed.swapaxes(1, 2))
        return mixed.reshape(batch * count, -1)

    def _feed_forward(self, x: Floats, layer: LayerWeights) -> Floats:
        """SwiGLU, by silu(2h) = h + h tanh h, which cannot overflow; the 2 is part of the weights."""
        normed = self.arithmetic.operand(self._normed(x))
        half = self.arithmetic.product(normed, layer.gate, "half")
        up = self.arithmetic.product(normed, layer.up, "up")
        up *= half
        gate = np.tanh(half, out=half)
        gate *= up
        gate += up
        return self._product(gate, layer.down, "down")

    def _look_up(self, tokens: TokenArray) -> Floats:
        """Return the first layer's queries, keys and values of tokens."""
        out = self._buffers.take("looked up", len(tokens), 3 * self.width)
        return np.take(self.table, tokens, axis=0, out=out, mode="clip")  # "raise", the default, would copy

    def _product(self, x: Floats, matrix: Any, name: str) -> Floats:
        return self.arithmetic.product(self.arithmetic.operand(x), matrix, name)

    def _normed(self, x: Floats) -> Floats:
        """RMSNorm without its weights."""
        scale = np.einsum("ij,ij->i", x, x)
        scale /= self.width
        scale += self.epsilon
        np.sqrt(scale, out=scale)
        return np.divide(x, scale[:, None], out=self._buffers.take("normed", *x.shape))

    def _rotate(self, qkv: Floats, turns: NDArray[np.complex64]) -> None:
        """Apply the rotary embedding, in place."""
        pairs = qkv.view(np.complex64)
        np.multiply(pairs, turns, out=pairs)

    def _turns(self, theta: float) -> NDArray[np.complex64]:
        """Return the rotation of every pair at every position, (positions, 3/2 width): of queries and keys alike, none of values."""
        angles = np.outer(np.arange(CONTEXT), theta ** -(np.arange(0, self.head_width, 2) / self.head_width))
        # Values come along, by one: rows in one piece are several times as fast.
        turned = np.tile(np.exp(1j * angles), 2 * self.heads)
        return np.hstack([turned, np.ones((CONTEXT, self.width // 2))]).astype(np.complex64)

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
            qkv=self._matrix(np.concatenate([queries, keys, own["self_attn.v_proj.weight"]]), before),
            out=self._matrix(own["self_attn.o_proj.weight"]),
            gate=self._matrix(own["mlp.gate_proj.weight"] / 2, between),
            up=self._matrix(own["mlp.up_proj.weight"], between),
            down=self._matrix(own["mlp.down_proj.weight"]),
        )

    def _matrix(self, weight: Floats, norm: Floats | None = None) -> Any:
        """Turn a checkpoint's (out, in) matrix into (in, out), with the weights of the norm before it."""
        folded = weight.T if norm is None else weight.T * norm[:, None]
        return self.arithmetic.matrix(np.ascontiguousarray(folded))

    def _paired(self, weight: Floats) -> Floats:
        """Put the two rows that are rotated together side by side: they lie half a head apart."""
        halves = weight.reshape(self.heads, 2, self.head_width // 2, -1)
        return halves.swapaxes(1, 2).reshape(weight.shape)


def _draw(logits: Floats, answers: Sequence[Generation], positions: TokenArray) -> TokenArray:
    """Draw the tokens at `positions` of the answers: (batch, positions)."""
    batch, count = logits.shape[:2]
    drawn = choose_tokens(logits.reshape(batch * count, -1), *_quantiles(answers, positions))
    return drawn.reshape(batch, count)


def _quantiles(answers: Sequence[Generation], positions: TokenArray) -> tuple[Floats, NDArray[np.float64]]:
    """Return the temperature and the quantile of the token at each of the `positions` of each answer."""
    seeds = np.array([answer.seed for answer in answers], np.uint64)[:, None]
    temperatures = np.array([answer.temperature for answer in answers], np.float32)
    at = uniform(seeds, positions)
    return temperatures.repeat(at.shape[1]), at.reshape(-1)


def _alike(answers: Sequence[Generation]) -> Iterator[list[Generation]]:
    """Cut answers into parts that are read in one pass: of one shape, so that nothing is padded, the least known first."""
    ordered = sorted(answers, key=lambda one: (one.shape, len(one.known)))
    for (prompt, guess), found in groupby(ordered, lambda one: one.shape):
        same = list(found)
        while same:
            size = max(1, TILE // (prompt + guess - BLOCK * len(same[0].known)))
            yield same[:size]
            del same[:size]


def _softmax(scores: Floats, hidden: Floats) -> None:
    """Softmax over the first axis, in place; `hidden`, for the last positions, is 0 where one is seen and minus infinity where not.

    Over the first, since numpy goes along the last: a few long rows are faster than many short ones.
    """
    scores[-len(hidden) :] += hidden
    scores -= scores.max(axis=0)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=0)


def _hidden(seen: NDArray[Any]) -> Floats:
    """Return what is added to scores so that only what is seen counts."""
    return np.where(seen, np.float32(0), np.float32(-np.inf))

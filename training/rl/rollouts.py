"""Responses drawn in batches from a Llama-architecture model that is being trained, and how TRL gets them.

TRL's own `generate` asks transformers for one token after the other: masks, caches and checks are made anew at each.  Here the weights
that act on the same input are joined, keys and values lie in one block that is written in place, prompts are read once a problem, rows
that have ended are dropped, and each part of the batch has a core of its own.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from surefoot.errors import BadInput

from .rewards import Uncertainty

PARTS = 2
"""Parts of a batch on a CPU, each on a thread of its own; a part's draws depend on no other."""
EVERY = 8
"""Tokens between two looks for rows that have ended."""
DROPPED = 0.125
"""Share of rows that have ended from which they are dropped: that copies the others."""


class Drawn(NamedTuple):
    """What was drawn for one prompt."""

    tokens: list[int]
    """With the end token, if it was drawn."""
    logprobs: list[float]
    """Of the distribution at the temperature; 0 for a token from outside."""
    forced: int | None
    """The place of the token that was written from outside."""
    uncertainties: list[float]
    """Of each token, if that was asked for."""


class FusedLayer(NamedTuple):
    """One layer's weights."""

    attention_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    norm: Tensor
    gate_up: Tensor
    down: Tensor


class FusedLlama:
    """A transformers model of the Llama architecture as it is now, its weights joined for decoding: a copy, of which later steps change nothing.

    Raises `BadInput` for another architecture: whose layers have anything that is not computed here.
    """

    def __init__(self, model: Any) -> None:
        config = model.config
        if config.model_type not in ("llama", "qwen2") or config.hidden_act != "silu":
            raise BadInput(f"rollouts know the architectures llama and qwen2, not {config.model_type!r}")
        self.heads = config.num_attention_heads
        self.kv_heads = config.num_key_value_heads
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.epsilon = config.rms_norm_eps
        self.embedding = model.model.embed_tokens.weight.detach()
        self.norm = model.model.norm.weight.detach()
        self.head = model.lm_head.weight.detach()
        self.rotary = model.model.rotary_emb
        self.layers = [_fused(layer) for layer in model.model.layers]

    @torch.inference_mode()
    def draw(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        group: int,
        limit: int,
        temperature: float,
        end: int,
        seed: int,
        forced: tuple[int, int] | None = None,
        uncertainty: Uncertainty | None = None,
    ) -> list[Drawn]:
        """Draw `group` responses to each prompt, of at most `limit` tokens, until `end`.

        `forced` is a place and a token: responses that have not written the token by then get it there.  The same seed draws the same.
        """
        on_cpu = self.embedding.device.type == "cpu"
        size = -(-len(prompts) // (PARTS if on_cpu else 1))
        parts = [prompts[first : first + size] for first in range(0, len(prompts), size)]

        def one(number: int) -> list[Drawn]:
            generator = torch.Generator(self.embedding.device).manual_seed(seed * PARTS + number)
            part = _Part(self, parts[number], group, limit, end)
            with torch.inference_mode():
                return part.draw(generator, temperature, forced, uncertainty)

        if not on_cpu:
            return one(0)
        with ThreadPoolExecutor(PARTS, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return [drawn for found in pool.map(one, range(len(parts))) for drawn in found]

    def logits(
        self,
        tokens: Tensor,
        positions: Tensor,
        cache: "list[tuple[Tensor, Tensor]]",
        place: int,
        mask: Tensor | None,
    ) -> Tensor:
        """Return the logits after the last of `tokens` (rows, new), which are put into the cache from `place` on.

        `mask` (rows, 1, new, place + new) says which places each new token sees; None: all.
        """
        x = self.embedding[tokens]
        cosine, sine = (part[:, :, None] for part in self.rotary(x, positions))
        rows, new, _ = x.shape
        until = place + new
        for layer, (keys, values) in zip(self.layers, cache, strict=True):
            h = functional.rms_norm(x, x.shape[-1:], layer.attention_norm, self.epsilon)
            mixed = functional.linear(h, layer.qkv, layer.qkv_bias).view(rows, new, -1, self.width)
            turned, v = mixed.split((self.heads + self.kv_heads, self.kv_heads), 2)
            first, second = turned.chunk(2, -1)
            turned = turned * cosine + torch.cat((-second, first), -1) * sine
            q, k = turned.split((self.heads, self.kv_heads), 2)
            keys[:, :, place:until] = k.transpose(1, 2)
            values[:, :, place:until] = v.transpose(1, 2)
            seen = self._seen(q, keys[:, :, :until], values[:, :, :until], mask)
            x = x + functional.linear(seen, layer.out)
            h = functional.rms_norm(x, x.shape[-1:], layer.norm, self.epsilon)
            gate, up = functional.linear(h, layer.gate_up).chunk(2, -1)
            x = x + functional.linear(functional.silu(gate) * up, layer.down)
        last = functional.rms_norm(x[:, -1], x.shape[-1:], self.norm, self.epsilon)
        return functional.linear(last, self.head).float()

    def _seen(self, q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return what queries (rows, new, heads, width) see, (rows, new, heads x width)."""
        rows, new = q.shape[:2]
        if new > 1:
            many = functional.scaled_dot_product_attention(
                q.transpose(1, 2), keys, values, attn_mask=mask, enable_gqa=self.heads != self.kv_heads
            )
            return many.transpose(1, 2).reshape(rows, new, -1)
        # For one query a row the fused operation takes longer on a CPU than its two products.
        grouped = q.view(rows, self.kv_heads, -1, self.width) * self.width**-0.5
        scores = grouped @ keys.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return (scores.softmax(-1) @ values).reshape(rows, new, -1)


class _Part:
    """Rows that are drawn together: every prompt `group` times."""

    def __init__(
        self, model: FusedLlama, prompts: Sequence[Sequence[int]], group: int, limit: int, end: int
    ) -> None:
        self.model, self.limit, self.end = model, limit, end
        device, kind = model.embedding.device, model.embedding.dtype
        longest = max(map(len, prompts))
        # Prompts end at one place, so that all rows write to the same one; what is before a shorter prompt is never seen.
        self.before = torch.tensor([longest - len(prompt) for prompt in prompts], device=device)
        padded = [[end] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        tokens = torch.tensor(padded, device=device)
        places = torch.arange(longest, device=device)
        shape = (len(prompts), model.kv_heads, longest + limit, model.width)
        cache = [
            (torch.zeros(shape, device=device, dtype=kind), torch.zeros(shape, device=device, dtype=kind))
            for _ in model.layers
        ]
        visible = places[None, None, None] >= self.before[:, None, None, None]
        # A place before its prompt sees itself, since a softmax over nothing is no number.
        mask = (visible & places[None, None, :, None].ge(places)) | torch.eye(
            longest, dtype=torch.bool, device=device
        )
        positions = (places - self.before[:, None]).clamp(min=0)
        first = model.logits(tokens, positions, cache, 0, mask)
        self.place = longest
        self.first = first.repeat_interleave(group, 0)
        self.before = self.before.repeat_interleave(group)
        self.cache = [(k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)) for k, v in cache]
        self.padded = bool(self.before.any())

    def draw(
        self,
        generator: torch.Generator,
        temperature: float,
        forced: tuple[int, int] | None,
        uncertainty: Uncertainty | None,
    ) -> list[Drawn]:
        rows = len(self.first)
        device = self.first.device
        written = torch.full((rows, self.limit), self.end, device=device)
        logprobs = torch.zeros((rows, self.limit), device=device)
        unsure = torch.zeros((rows, self.limit if uncertainty else 0), device=device)
        by_force = torch.zeros(rows, dtype=torch.bool, device=device)
        here = torch.arange(rows, device=device)
        ended = torch.zeros(rows, dtype=torch.bool, device=device)
        logits = self.first
        for number in range(self.limit):
            scaled = (logits / temperature).log_softmax(-1)
            tokens = _sampled(scaled, generator)
            chosen = scaled.gather(1, tokens)
            if forced and number == forced[0]:
                open_rows = ~(written[here, :number] == forced[1]).any(1) & ~ended
                tokens[open_rows], chosen[open_rows] = forced[1], 0.0
                by_force[here] = open_rows
            written[here, number] = tokens[:, 0]
            logprobs[here, number] = chosen[:, 0]
            if uncertainty:
                unsure[here, number] = _uncertain(scaled, uncertainty)
            ended |= tokens[:, 0] == self.end
            if number + 1 == self.limit:
                break
            if number % EVERY == EVERY - 1 and (left := int((~ended).sum())) <= (1 - DROPPED) * len(here):
                if not left:
                    break
                kept = (~ended).nonzero()[:, 0]
                here, ended, tokens = here[kept], ended[kept], tokens[kept]
                self._keep(kept)
            logits = self._next(tokens)
        return _read(written, logprobs, unsure, by_force, self.end, forced)

    def _next(self, tokens: Tensor) -> Tensor:
        mask = None
        if self.padded:
            places = torch.arange(self.place + 1, device=tokens.device)
            mask = (places >= self.before[:, None])[:, None, None]
        positions = self.place - self.before[:, None]
        logits = self.model.logits(tokens, positions, self.cache, self.place, mask)
        self.place += 1
        return logits

    def _keep(self, kept: Tensor) -> None:
        self.before = self.before[kept]
        self.cache = [(keys[kept], values[kept]) for keys, values in self.cache]


def _sampled(logprobs: Tensor, generator: torch.Generator) -> Tensor:
    """Return a token a row, (rows, 1): where the sum of probabilities passes a random share of their whole.

    `torch.multinomial` draws a number for every token of the vocabulary, which takes longer than a layer.
    """
    sums = logprobs.exp().cumsum(-1)
    shares = torch.rand((len(sums), 1), generator=generator, device=sums.device)
    # Tokens of no probability add nothing to the sum: `right` passes them by.
    found = torch.searchsorted(sums, shares * sums[:, -1:], right=True)
    return found.clamp(max=sums.shape[-1] - 1)


def _uncertain(logprobs: Tensor, kind: Uncertainty) -> Tensor:
    """Return how unsure each row's distribution is, (rows,)."""
    chances = logprobs.exp()
    if kind == "entropy":
        return torch.special.entr(chances).sum(-1)
    first, second = chances.topk(2).values.unbind(-1)
    return 1 - (first - second)


def _fused(layer: Any) -> FusedLayer:
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    others = (attention.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj)
    if hasattr(attention, "q_norm") or any(each.bias is not None for each in others):
        raise BadInput("rollouts know no norms of queries, and biases of queries, keys and values alone")
    biases = [each.bias for each in projections if each.bias is not None]
    return FusedLayer(
        layer.input_layernorm.weight.detach(),
        torch.cat([each.weight.detach() for each in projections]),
        torch.cat([bias.detach() for bias in biases]) if biases else None,
        attention.o_proj.weight.detach(),
        layer.post_attention_layernorm.weight.detach(),
        torch.cat([mlp.gate_proj.weight.detach(), mlp.up_proj.weight.detach()]),
        mlp.down_proj.weight.detach(),
    )


def _read(
    written: Tensor,
    logprobs: Tensor,
    unsure: Tensor,
    by_force: Tensor,
    end: int,
    forced: tuple[int, int] | None,
) -> list[Drawn]:
    """Return each row up to its end token."""
    drawn = []
    rows = zip(written.tolist(), logprobs.tolist(), unsure.tolist(), by_force.tolist(), strict=True)
    for tokens, chances, uncertainties, outside in rows:
        length = tokens.index(end) + 1 if end in tokens else len(tokens)
        place = forced[0] if forced and outside else None
        drawn.append(Drawn(tokens[:length], chances[:length], place, uncertainties[:length]))
    return drawn

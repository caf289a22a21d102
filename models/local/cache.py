"""Keys and values of many texts at once, and the attention over them.  Needs torch.

It stands in the place of transformers' cache and attention (`AttentionInterface`), because there every text of a batch has the length of the
longest, and every head of a layer the same.  Here each row has its own length, and a windowed head a store of its own:

    whole      (rows, heads, positions, width)         a key lies at its position
    windowed   (rows, heads, sinks + window, width)    the first `sinks` positions, then a ring

A text is read at once when it begins (`ForwardPass.begins`), and then token by token, together with others.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from surefoot.errors import BadInput

from .heads import CacheShape, CompressedKV

BLOCK = 64
"""Positions are added by so many.  A row's sums then go over the same zeros whoever is beside it, so that it gets the same numbers."""
NAME = "surefoot"
"""What transformers calls this attention."""


class RowCache:
    """The cache of any number of texts, a row each."""

    def __init__(self, shape: CacheShape, kv: CompressedKV | None, like: Tensor) -> None:
        self.shape, self.kv = shape, kv
        self.rows = self.length = 0
        """Rows, and positions of each, that there is room for."""
        self.layers = [_LayerCache(self, layer, like) for layer in range(1, shape.layers + 1)]

    def grow(self, rows: int, length: int) -> None:
        """Make room for so many texts of so many tokens."""
        if rows <= self.rows and length <= self.length:
            return
        if rows > self.rows:
            self.rows = max(rows, 2 * self.rows)
        if length > self.length:
            self.length = max(-(-length // BLOCK) * BLOCK, min(2 * self.length, self.length + 16 * BLOCK))
        for layer in self.layers:
            layer.grow(self.rows, self.length)


class _LayerCache:
    def __init__(self, cache: RowCache, layer: int, like: Tensor) -> None:
        self._cache = cache
        windowed = cache.kv.of_layer(layer) if cache.kv else ()
        whole = [head for head in range(cache.shape.heads) if head not in windowed]
        self._heads = [
            torch.tensor(heads, dtype=torch.long, device=like.device) for heads in (whole, windowed)
        ]
        self._all_whole = not windowed
        kept = cache.kv.sinks + cache.kv.window if cache.kv else 0
        # First keys, then values, so that one assignment writes both.
        self.whole = like.new_zeros(2, 0, len(whole), 0, cache.shape.width)
        self.windowed = like.new_zeros(2, 0, len(windowed), kept, cache.shape.width)

    def grow(self, rows: int, length: int) -> None:
        self.whole = _grown(self.whole, rows, length)
        self.windowed = _grown(self.windowed, rows, self.windowed.shape[3])

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, forward_pass: "ForwardPass", scale: float
    ) -> Tensor:
        """Store the new keys and values, (n, kv heads, tokens, width), and return (n, heads, tokens, width)."""
        if self._all_whole:
            return self._over_whole(query, torch.stack((key, value)), forward_pass, scale)
        n, heads, tokens, width = query.shape
        grouped = query.view(n, self._cache.shape.heads, -1, tokens, width)
        mixed = torch.empty_like(grouped)
        for heads_of, over in zip(self._heads, (self._over_whole, self._over_windowed), strict=True):
            if len(heads_of):
                asked = grouped[:, heads_of].reshape(n, -1, tokens, width)
                new = torch.stack((key[:, heads_of], value[:, heads_of]))
                told = over(asked, new, forward_pass, scale)
                mixed[:, heads_of] = told.view(n, len(heads_of), -1, tokens, width)
        return mixed.view(n, heads, tokens, width)

    def _over_whole(self, query: Tensor, new: Tensor, forward_pass: "ForwardPass", scale: float) -> Tensor:
        if forward_pass.begins:
            self.whole[:, forward_pass.row, :, : new.shape[3]] = new[:, 0]
            return _attention(query, new, None, scale, causal=True)
        positions = forward_pass.positions[:, 0]
        self.whole[:, forward_pass.rows, :, positions] = new[:, :, :, 0].permute(1, 0, 2, 3)
        kept = self.whole[:, forward_pass.looked_at, :, : forward_pass.span]
        return _attention(forward_pass.placed(query), kept, forward_pass.seen, scale)[forward_pass.back]

    def _over_windowed(self, query: Tensor, new: Tensor, forward_pass: "ForwardPass", scale: float) -> Tensor:
        kv = self._cache.kv
        assert kv is not None
        sinks, window = kv.sinks, kv.window
        if forward_pass.begins:
            places = forward_pass.positions[0]
            back = places[:, None] - places[None, :]
            seen = (back >= 0) & ((back < window) | (places[None, :] < sinks))
            told = _attention(query, new, seen, scale)
            last = places[-1]
            stays = (places < sinks) | (places > last - window)
            row = self.windowed[:, forward_pass.row]
            row[:, :, _slots(places[stays], sinks, window)] = new[:, 0][:, :, stays]
            return told
        positions = forward_pass.positions[:, 0]
        slots = _slots(positions, sinks, window)
        self.windowed[:, forward_pass.rows, :, slots] = new[:, :, :, 0].permute(1, 0, 2, 3)
        kept, places = self.windowed[:, forward_pass.looked_at], forward_pass.places
        # Slots are filled in order: a slot holds something when the position of its number has come.
        seen = (torch.arange(sinks + window, device=places.device) <= places)[:, None, None]
        return _attention(forward_pass.placed(query), kept, seen, scale)[forward_pass.back]


def _grown(kept: Tensor, rows: int, length: int) -> Tensor:
    grown = kept.new_zeros(2, rows, kept.shape[2], length, kept.shape[4])
    grown[:, : kept.shape[1], :, : kept.shape[3]] = kept
    return grown


def _slots(positions: Tensor, sinks: int, window: int) -> Tensor:
    """Return where a windowed head keeps positions: the newest takes the place of the one that leaves the window."""
    return torch.where(positions < sinks, positions, sinks + (positions - sinks) % window)


def _attention(
    query: Tensor, kept: Tensor, seen: Tensor | None, scale: float, *, causal: bool = False
) -> Tensor:
    grouped = query.shape[1] != kept.shape[2]
    told: Tensor = scaled_dot_product_attention(
        query, kept[0], kept[1], attn_mask=seen, is_causal=causal, scale=scale, enable_gqa=grouped
    )
    return told


@dataclass(slots=True)
class ForwardPass:
    """One pass over tokens: whose they are, where they stand, and what is to be done at which layer."""

    cache: RowCache
    rows: Tensor
    """(n,) rows of the cache."""
    positions: Tensor
    """(n, tokens) from 0."""
    begins: bool
    """One row, from its first token on; otherwise one token of each row."""
    wanted: frozenset[int] = frozenset()
    """Layers whose states at the last token are wanted."""
    added: dict[int, Tensor] = field(default_factory=dict)
    """For each layer what is added to its states, (n, tokens, width of the model)."""
    states: dict[int, Tensor] = field(default_factory=dict)
    """What was wanted, (n, width of the model)."""
    row: int = 0
    """The row, if it is one that begins."""
    span: int = 0
    """Positions of the cache that are looked at, a whole number of blocks."""
    looked_at: slice | Tensor = field(default_factory=lambda: slice(0))
    """Rows of the cache that are looked at."""
    back: slice | Tensor = field(default_factory=lambda: slice(None))
    """Which of these are the ones that are read."""
    places: Tensor = field(init=False)
    """(rows looked at, 1): the position of each."""
    seen: Tensor = field(init=False)
    """(rows looked at, 1, 1, span): which positions have come."""

    def __post_init__(self) -> None:
        most = int(self.rows.max()) + 1
        longest = int(self.positions.max()) + 1
        self.cache.grow(most, longest)
        if self.begins:
            self.row = most - 1
            return
        self.span = -(-longest // BLOCK) * BLOCK
        self.places = self.positions
        if most <= 2 * len(self.rows):
            # To look at a row too many costs less than to copy the others out.
            self.looked_at, self.back = slice(most), self.rows
            self.places = self.positions.new_zeros(most, 1)
            self.places[self.rows] = self.positions
        else:
            self.looked_at = self.rows
        self.seen = (torch.arange(self.span, device=self.places.device) <= self.places)[:, None, None]

    def placed(self, query: Tensor) -> Tensor:
        """Return the queries of the rows that are looked at."""
        if isinstance(self.back, slice):
            return query
        placed = query.new_zeros(len(self.places), *query.shape[1:])
        placed[self.back] = query
        return placed


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    forward_pass: ForwardPass | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers asks for it, (n, heads, tokens, width) -> (n, tokens, heads, width)."""
    special = [
        name for name in ("sliding_window", "softcap", "s_aux", "position_bias") if more.get(name) is not None
    ]
    if forward_pass is None or special:
        why = special[0] if special else "another way from the model to its attention"
        raise BadInput(f"a model whose attention has {why} cannot be run in this process: use a server")
    layer = forward_pass.cache.layers[module.layer_idx]
    told = layer.attend(query, key, value, forward_pass, scaling or query.shape[-1] ** -0.5)
    return told.transpose(1, 2).contiguous(), None

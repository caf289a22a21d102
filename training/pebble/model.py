"""pebble's network: a Llama-architecture decoder whose parameters carry the names that transformers gives them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot.models.embedded.worker_protocol import VOCABULARY


@dataclass(frozen=True)
class Shape:
    """The sizes of a network; the defaults are the committed one's."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 352
    vocabulary: int = VOCABULARY
    positions: int = 256
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


def rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the rotary embedding, each (positions, head width), halves repeated."""
    half = torch.arange(0, shape.head_width, 2, dtype=torch.float64) / shape.head_width
    angles = torch.outer(torch.arange(shape.positions, dtype=torch.float64), shape.rope_theta**-half)
    angles = torch.cat((angles, angles), dim=1)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Apply the rotary embedding to (batch, heads, tokens, head width), in the half-split layout."""
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Causal attention of queries, keys and values, each (batch, heads, tokens, head width)."""


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend in float32, under autocast too: the bfloat16 backward pass of this operation takes a third of a CPU step."""
    return functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=True)


def matrix_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend by matrix products, in bfloat16 under autocast: for long texts the fastest way on a CPU, and less exact."""
    later = torch.full((q.shape[2], q.shape[2]), -torch.inf).triu(1)
    scores = q @ k.transpose(2, 3) * q.shape[3] ** -0.5 + later
    return scores.softmax(dim=-1).to(v.dtype) @ v


class Attention(nn.Module):
    """Causal multi-head self-attention."""

    def __init__(self, shape: Shape, attend: Attend) -> None:
        super().__init__()
        self.shape = shape
        self.attend = attend
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.v_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        batch, tokens, width = x.shape

        def by_head(projected: Tensor) -> Tensor:
            return projected.view(batch, tokens, self.shape.heads, self.shape.head_width).transpose(1, 2)

        q = rotate(by_head(self.q_proj(x)), cosine, sine)
        k = rotate(by_head(self.k_proj(x)), cosine, sine)
        mixed = self.attend(q, k, by_head(self.v_proj(x)))
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    """One pre-norm decoder layer."""

    def __init__(self, shape: Shape, attend: Attend) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        self.self_attn = Attention(shape, attend)
        self.post_attention_layernorm = nn.RMSNorm(shape.width, eps=shape.norm_eps)
        self.mlp = FeedForward(shape)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Map (batch, tokens, width) to the same shape."""
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Decoder(nn.Module):
    """Embedding, layers and last norm: what transformers calls `model`."""

    def __init__(self, shape: Shape, attend: Attend) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape, attend) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_eps)


class Pebble(nn.Module):
    """The language model; `state_dict()` is the `LlamaForCausalLM` checkpoint."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, shape: Shape | None = None, attend: Attend = fused) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.model = Decoder(self.shape, attend)
        self.lm_head = nn.Linear(self.shape.width, self.shape.vocabulary, bias=False)
        cosine, sine = rotations(self.shape)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return what the head reads: (batch, tokens, width)."""
        length = tokens.shape[1]
        x = self.model.embed_tokens(tokens)
        for layer in self.model.layers:
            x = layer(x, self.cosine[:length], self.sine[:length])
        normed: Tensor = self.model.norm(x)
        return normed

    def forward(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Return the logits (batch, tokens - first, vocabulary) at positions `first` and later."""
        logits: Tensor = self.lm_head(self.hidden(tokens)[:, first:])
        return logits

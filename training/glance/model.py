"""glance's network for training, the twin of `surefoot.models.embedded.glance` in torch."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from surefoot.models.embedded.glance import EPSILON, ROOM

WIDTH, HEADS, BLOCKS = 112, 4, 2
CHANNELS, SIDES, STRIDES = (3, 32, 64, 96, WIDTH), (4, 4, 4, 3), (2, 2, 2, 1)
PLACES = 100
CHARACTERS = 128
CONFIG = {"heads": HEADS, "blocks": BLOCKS, "strides": STRIDES}


def normed(x: Tensor) -> Tensor:
    """RMSNorm without weights."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + float(EPSILON))


class Block(nn.Module):
    """What was written, what is seen, a feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.ask = nn.Linear(WIDTH, WIDTH, bias=False)
        self.keys = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.tell = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.down = nn.Linear(3 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """Mix (batch, length, width) characters with (batch, places, width) of what is seen."""
        q, k, v = map(by_head, self.qkv(normed(x)).chunk(3, -1))
        x = x + self.out(joined(functional.scaled_dot_product_attention(q, k, v, is_causal=True)))
        keys, values = map(by_head, self.keys(normed(places)).chunk(2, -1))
        asked = by_head(self.ask(normed(x)))
        x = x + self.tell(joined(functional.scaled_dot_product_attention(asked, keys, values)))
        return x + self.down(self.up(normed(x)).relu().square())


class GlanceNetwork(nn.Module):
    """The whole; parameters have the names that the numpy engine reads."""

    def __init__(self) -> None:
        super().__init__()
        shapes = zip(CHANNELS, CHANNELS[1:], SIDES, STRIDES, strict=False)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(into, out, side, stride, padding=1) for into, out, side, stride in shapes
        )
        self.places = nn.Parameter(torch.randn(PLACES, WIDTH) * 0.02)
        self.characters = nn.Parameter(torch.randn(CHARACTERS, WIDTH) * 0.5)
        self.positions = nn.Parameter(torch.randn(ROOM, WIDTH) * 0.1)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.head = nn.Parameter(torch.randn(CHARACTERS, WIDTH) * 0.02)

    def encode(self, pixels: Tensor) -> Tensor:
        """(batch, side, side, 3) bytes to (batch, places, width)."""
        x = (pixels.float() / 127.5 - 1).permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            x = normed(convolution(x).relu().permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x.permute(0, 2, 3, 1).flatten(1, 2) + self.places

    def forward(self, places: Tensor, codes: Tensor) -> Tensor:
        """(batch, places, width) and (batch, length) characters to logits, (batch, length, characters)."""
        x = self.characters[codes] + self.positions[: codes.shape[1]]
        for block in self.blocks:
            x = block(x, places)
        return normed(x) @ self.head.T


def by_head(x: Tensor) -> Tensor:
    """(batch, length, width) as (batch, heads, length, head width)."""
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """Undo `by_head`."""
    return x.transpose(1, 2).flatten(-2)

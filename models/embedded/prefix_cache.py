"""Keys and values of how prompts begin, kept from one pass to the next, so that a known beginning is not read again.

Automatic prefix caching as in vLLM (Kwon et al., arXiv 2309.06180): what a decoder makes of a token hangs on it and on the
tokens before it alone, so that blocks of tokens are found by everything up to their end.  Prompts of neighbouring steps
share much: over all 2^n steps of a tower of n disks a peg holds as many different stacks as the Fibonacci number says.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK = 4
"""Tokens of a block."""
BLOCKS = 4096
"""Most blocks that are kept: 64 MiB for pebble.  All are forgotten when there is no room for more."""

Floats = NDArray[np.float32]


class PrefixCache:
    """Blocks of keys and values, (layers, blocks, BLOCK, width), and the beginnings of prompts that they stand for."""

    def __init__(self, layers: int, width: int) -> None:
        # Memory is the process's own only once it is written.
        self._blocks: Floats = np.empty((layers, BLOCKS, BLOCK, width), np.float32)
        self._numbers: dict[bytes, int] = {}

    def make_room(self, prompts: int) -> None:
        """Forget everything if so many prompts might find no room; numbers of blocks mean nothing after that."""
        if len(self._numbers) + prompts > BLOCKS:
            self._numbers.clear()

    def find(self, prompt: bytes) -> list[int]:
        """Return the numbers of the known blocks that a prompt begins with; its last token is in none of them."""
        found: list[int] = []
        for end in range(BLOCK, len(prompt), BLOCK):
            number = self._numbers.get(prompt[:end])
            if number is None:
                break
            found.append(number)
        return found

    def load(self, blocks: Sequence[Sequence[int]]) -> Floats:
        """Return what is kept for prompts, as many blocks for each: (layers, batch, length, width)."""
        numbers = np.array(blocks, np.int64)
        layers, _, _, width = self._blocks.shape
        batch, count = numbers.shape
        return self._blocks[:, numbers].reshape(layers, batch, count * BLOCK, width)

    def learn(self, prompt: bytes, known: int, kept: Floats) -> None:
        """Keep one more block of a prompt of which so many are known; `kept`, (layers, length, width), is all that was read of it.

        One and not all: what only one prompt begins with takes no more than one block.
        """
        start, end = known * BLOCK, (known + 1) * BLOCK
        beginning = prompt[:end]
        if end < len(prompt) and beginning not in self._numbers and len(self._numbers) < BLOCKS:
            number = self._numbers[beginning] = len(self._numbers)
            self._blocks[:, number] = kept[:, start:end]

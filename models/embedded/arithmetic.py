"""How activations are multiplied by weights: in float32 by numpy, or in bfloat16 by NumKong, where a processor has AMX for it."""

from importlib import import_module
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LIBRARY = "numkong"
"""An extra; without it everything is float32."""

Floats = NDArray[np.float32]


class Arithmetic(Protocol):
    """The products of a network.  Results lie in buffers, and hold until the next product of the same name."""

    def matrix(self, weights: Floats) -> Any:
        """Return weights, (in, out), as `product` takes them."""

    def operand(self, x: Floats) -> Any:
        """Return activations, (rows, in), as `product` takes them; one operand serves several products."""

    def product(self, operand: Any, matrix: Any, name: str) -> Floats:
        """Return the product, (rows, out), in the buffer of that name."""


class Buffers:
    """Memory for results that are gone before their name is used again: fresh memory costs page faults."""

    def __init__(self) -> None:
        self._held: dict[str, Floats] = {}

    def take(self, name: str, *shape: int) -> Floats:
        """Return a buffer of a shape; what is in it is what was left there."""
        size = prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(size, np.float32)
        return held[:size].reshape(shape)


class Float32:
    """Products by numpy's BLAS."""

    def __init__(self) -> None:
        self._buffers = Buffers()

    def matrix(self, weights: Floats) -> Floats:
        """Return them as they are."""
        return weights

    def operand(self, x: Floats) -> Floats:
        """Return them as they are."""
        return x

    def product(self, operand: Floats, matrix: Floats, name: str) -> Floats:
        """See `Arithmetic`."""
        out = self._buffers.take(name, len(operand), matrix.shape[1])
        return np.matmul(operand, matrix, out=out)


class Bfloat16:
    """Products of numbers rounded to 8 bits, summed in float32: four times as fast on a processor with AMX, and slow on any other.

    A row of the result does not depend on the rows beside it.
    """

    def __init__(self) -> None:
        self._numkong = import_module(LIBRARY)
        self._tensors: dict[str, Any] = {}

    @classmethod
    def available(cls) -> bool:
        """Whether the library is installed, and the processor has AMX."""
        try:
            library = import_module(LIBRARY)
        except ImportError:  # not there, or not for this machine
            return False
        return bool(library.get_capabilities().get("sapphireamx", False))

    def matrix(self, weights: Floats) -> Any:
        """Return them rounded, in the order in which the processor takes them."""
        rounded = self._numkong.astype(np.ascontiguousarray(weights.T), "bf16")
        return self._numkong.dots_pack(rounded, dtype="bf16")

    def operand(self, x: Floats) -> Any:
        """Return them rounded."""
        return self._numkong.astype(x, "bf16")

    def product(self, operand: Any, matrix: Any, name: str) -> Floats:
        """See `Arithmetic`."""
        rows, columns = operand.shape[0], matrix.width
        held = self._tensors.get(name)
        if held is None or held.size < rows * columns:
            held = self._tensors[name] = self._numkong.empty((rows * columns,), dtype="float32")
        out = held[: rows * columns].reshape(rows, columns)
        return np.asarray(self._numkong.dots_packed(operand, matrix, out=out))

"""The seam of a demo: a hidden state, and visible operations that change it, after VideoReasonBench (arXiv 2505.23359).

A video shows the state at its start or at its end alone, and every operation between: the state at the other end has to be worked out.
The rules are those of the published files (questions/*.json of github.com/llyx97/video_reason_bench), whose state traces they reproduce.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import ClassVar, Generic, TypeVar

from surefoot.errors import BadInput

S = TypeVar("S", bound=Hashable)
O = TypeVar("O", bound=Hashable)  # noqa: E741 - the field's letter for an operation


class Demo(ABC, Generic[S, O]):
    """One kind of video: its states and operations are plain tuples."""

    name: ClassVar[str]
    """What the catalogue calls it."""
    sizes: ClassVar[range]
    """The sides of a square board, or how many piles, cups or paths there are."""

    @abstractmethod
    def start(self, size: int, rng: random.Random) -> S:
        """Draw the state before the first operation."""

    @abstractmethod
    def draw(self, state: S, rng: random.Random) -> O:
        """Draw a legal operation."""

    @abstractmethod
    def after(self, state: S, operation: O) -> S:
        """Return the state after a legal operation; raises `NoMove` otherwise."""

    @abstractmethod
    def write_operation(self, operation: O) -> str:
        """Write an operation, short, on one line."""

    @abstractmethod
    def read_operation(self, text: str) -> O:
        """Parse what `write_operation` writes; raises `NotAnAnswer` for anything else.  Legality is not looked at."""

    @abstractmethod
    def write_state(self, state: S) -> str:
        """Write a state, on one line."""

    @abstractmethod
    def read_state(self, text: str) -> S:
        """Parse what `write_state` writes; raises `NotAnAnswer` for anything else."""

    def check_size(self, size: int) -> int:
        """Return the size; raises `BadInput` for one that the demo does not have."""
        if size not in self.sizes:
            raise BadInput(f"the size of {self.name} is {self.sizes[0]} to {self.sizes[-1]}, not {size!r}")
        return size

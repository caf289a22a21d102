"""What is shown while something runs: a table that is drawn anew on a terminal, and lines for whoever reads a log."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.live import Live

from .terminal import Terminal

FRAMES_PER_S = 4


class LiveDisplay(ABC):
    """Shows something on standard error while the `with` block runs; without `live` by lines in any case.

    It is drawn, and its lines are printed, from threads of their own, so a busy run needs no pauses for it.
    """

    def __init__(self, terminal: Terminal | None = None, *, live: bool = True) -> None:
        self.terminal = terminal or Terminal(stderr=True)
        self.over = threading.Event()
        """Set when the block ends."""
        self.live: Live | None = None
        """None where only lines are printed."""
        if live and self.terminal.is_live:
            self.live = Live(
                get_renderable=self.frame,
                console=self.terminal,
                refresh_per_second=FRAMES_PER_S,
                transient=True,
            )
        self._thread = threading.Thread(target=self.lines, daemon=True)

    @abstractmethod
    def frame(self) -> RenderableType:
        """Return what is drawn now."""

    @abstractmethod
    def lines(self) -> None:
        """Print lines until it is over, and what is left to say then."""

    def __enter__(self) -> Self:
        if self.live is not None:
            self.live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._thread.join()
        if self.live is not None:
            self.live.stop()

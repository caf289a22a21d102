"""A model caught in a loop: the same stretch of text again and again, found while it is written."""

from collections import deque
from dataclasses import dataclass

from surefoot.errors import BadInput

_PRIME = (1 << 61) - 1
_BASE = 0x1F3D5B79A2C4E687


@dataclass(frozen=True, slots=True)
class Loops:
    """What counts as a loop: a stretch of `span` characters that comes `repeats` times, none overlapping another."""

    span: int = 80
    repeats: int = 4
    memory: int = 8192
    """Characters after which a stretch that did not come again is forgotten: the longest period that is found."""

    def __post_init__(self) -> None:
        if self.span < 1 or self.repeats < 2 or self.memory < self.span:
            raise BadInput(
                f"a loop needs span >= 1, repeats >= 2 and memory >= span, not {self.span!r}, {self.repeats!r} and "
                f"{self.memory!r}"
            )


class LoopDetector:
    """Looks for loops by a rolling hash (Karp and Rabin 1987), in constant time a character and bounded memory.

    Characters and not tokens, so that it does not matter how a server cuts its stream.
    """

    def __init__(self, loops: Loops) -> None:
        self._loops = loops
        self._last = deque[int](maxlen=loops.span)
        self._hash = 0
        self._weight = pow(_BASE, loops.span, _PRIME)
        self._at = 0
        self._recent = deque[int]()
        self._seen: dict[int, tuple[int, int]] = {}
        """Hash of a stretch to how often it has come and where it ended last."""

    def feed(self, text: str) -> bool:
        """Return whether the text so far, up to any of these characters, ends in a loop."""
        return any(self._next(ord(character)) for character in text)

    def _next(self, character: int) -> bool:
        span, last = self._loops.span, self._last
        gone = last[0] if len(last) == span else 0
        last.append(character)
        self._at += 1
        self._hash = (self._hash * _BASE + character - gone * self._weight) % _PRIME
        return self._at >= span and self._count() >= self._loops.repeats

    def _count(self) -> int:
        """Return how often the stretch that ends here has come; 0 if it overlaps its own last occurrence."""
        count, where = self._seen.get(self._hash, (0, -self._loops.span))
        apart = self._at - where >= self._loops.span
        if apart:
            self._seen[self._hash] = (count + 1, self._at)
        self._recent.append(self._hash)
        if len(self._recent) > self._loops.memory:
            self._forget(self._recent.popleft())
        return count + 1 if apart else 0

    def _forget(self, stretch: int) -> None:
        """Drop a stretch that ended `memory` characters ago, unless it has come again since."""
        if stretch in self._seen and self._seen[stretch][1] == self._at - self._loops.memory:
            del self._seen[stretch]

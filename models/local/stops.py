"""Stop strings in text that comes in pieces."""

from collections.abc import Sequence


class Stops:
    """Lets text pass up to the first stop string; what may be the beginning of one is held back.

    Each character is compared with the stop strings a bounded number of times, however the text is cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max(map(len, self._stops), default=0)
        self._held = ""
        self.stopped = False
        """Whether a stop string has come: what follows it is nobody's."""

    def feed(self, text: str) -> str:
        """Return what is certain now."""
        if self.stopped or not self._stops:
            return "" if self.stopped else text
        rest = self._held + text
        found = [place for stop in self._stops if (place := rest.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return rest[: min(found)]
        keep = len(rest) - self._begun(rest)
        self._held = rest[keep:]
        return rest[:keep]

    def end(self) -> str:
        """Return what was held back: no stop string came of it."""
        held, self._held = self._held, ""
        return held

    def _begun(self, text: str) -> int:
        """Return how many of the last characters may become a stop string."""
        most = min(len(text), self._longest - 1)
        return next(
            (n for n in range(most, 0, -1) if any(stop.startswith(text[-n:]) for stop in self._stops)), 0
        )

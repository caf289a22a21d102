"""Counters."""

from dataclasses import dataclass


@dataclass
class Stats:
    """What a cache was good for."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0

    def rate(self):
        """Return the share of hits, 0 if nobody asked."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0

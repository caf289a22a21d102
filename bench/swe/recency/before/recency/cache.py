"""A cache that forgets what was not used for longest."""

from recency.stats import Stats


class Cache:
    """Holds at most `size` entries."""

    def __init__(self, size):
        self.size, self.entries, self.counted = size, {}, Stats()

    def get(self, key, default=None):
        """Return an entry."""
        if key not in self.entries:
            self.counted.misses += 1
            return default
        self.counted.hits += 1
        return self.entries[key]

    def put(self, key, value):
        """Add or replace an entry."""
        if len(self.entries) >= self.size:
            del self.entries[next(iter(self.entries))]
            self.counted.evictions += 1
        self.entries[key] = value

    def stats(self):
        """Return what happened so far."""
        return self.counted

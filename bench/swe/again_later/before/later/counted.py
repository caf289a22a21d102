"""Calls that are counted."""


class Counted:
    """Fails so many times, then returns."""

    def __init__(self, failures):
        self.failures, self.calls = failures, 0

    def __call__(self):
        """Fail or return how many calls it took."""
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(self.calls)
        return self.calls

"""How many pieces there are."""


class Shelf:
    """Pieces by name."""

    def __init__(self, **pieces):
        self.pieces = dict(pieces)
        self.reserved = {}

    def free(self, name):
        """Return how many pieces nobody has reserved."""
        return self.pieces.get(name, 0) - self.reserved.get(name, 0)

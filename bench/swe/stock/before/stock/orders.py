"""Reserving and shipping."""

from stock.errors import NotEnough, Unknown


class Orders:
    """Reservations on a shelf."""

    def __init__(self, shelf):
        self.shelf, self.made = shelf, []

    def reserve(self, name, count):
        """Keep pieces and return the reservation's number."""
        if self.shelf.pieces.get(name, 0) < count:
            raise NotEnough(name)
        self.shelf.reserved[name] = self.shelf.reserved.get(name, 0) + count
        self.made.append((name, count))
        return len(self.made) - 1

    def _known(self, number):
        if not 0 <= number < len(self.made):
            raise Unknown(number)
        return self.made[number]

    def release(self, number):
        """Give the pieces back."""
        name, count = self._known(number)
        self.shelf.reserved[name] -= count

    def ship(self, number):
        """Send the pieces away."""
        name, count = self._known(number)
        self.shelf.reserved[name] -= count
        self.shelf.pieces[name] -= count

"""A room that can be booked."""

from booking.spans import gaps, merge


class Room:
    """Open for some hours of one day."""

    def __init__(self, opens=8, closes=18):
        self.opens, self.closes = opens, closes
        self.bookings = []

    def book(self, start, end):
        """Book it."""
        if not self.opens <= start < end <= self.closes:
            raise ValueError(f"cannot book {start} to {end}")
        self.bookings.append((start, end))

    def busy(self):
        """Return when it is booked."""
        return merge(self.bookings)

    def free(self):
        """Return when it is not."""
        return gaps(self.busy(), self.opens, self.closes)

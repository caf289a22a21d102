"""What can go wrong."""


class NotEnough(Exception):
    """There are fewer pieces than wanted."""


class Unknown(Exception):
    """There is no such reservation (any more)."""

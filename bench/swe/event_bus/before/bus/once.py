"""Handlers that are called a single time."""


def once(bus, name, handler):
    """Call a handler for the next event only."""

    def called(value):
        bus.off(name, called)
        handler(value)

    return bus.on(name, called)

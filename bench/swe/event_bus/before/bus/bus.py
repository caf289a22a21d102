"""Who wants to know of what."""


class Bus:
    """Calls handlers in the order in which they came."""

    def __init__(self):
        self.handlers = {}

    def on(self, name, handler):
        """Call a handler for every event of this name."""
        self.handlers.setdefault(name, []).append(handler)
        return handler

    def off(self, name, handler):
        """Call it no more."""
        self.handlers.get(name, []).remove(handler)

    def emit(self, name, value):
        """Call the handlers of an event."""
        for handler in self.handlers.get(name, []):
            handler(value)

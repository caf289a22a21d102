"""How long to wait."""


def waits(first, longest):
    """Return waiting times without end, each twice the one before."""
    wait = first
    while True:
        yield wait
        if wait < longest:
            wait *= 2

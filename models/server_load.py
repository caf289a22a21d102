"""What the servers behind a model have to do for it: requests, retries, and how many are in flight."""

from typing import NamedTuple, Protocol, runtime_checkable


class ServerLoad(NamedTuple):
    """What a model has asked of its servers since it was made; each number only grows."""

    requests: int = 0
    """Requests that are over, each try by itself."""
    retries: int = 0
    """Requests that were sent once more after a failure."""
    busy_s: float = 0.0
    """Seconds that requests were in flight, summed over them: over a time, divided by it, the requests in flight on average."""
    allowed_s: float = 0.0
    """The same of the requests that may be in flight."""


@runtime_checkable
class AsksServers(Protocol):
    """A model that can say what it asks of servers."""

    def server_load(self) -> ServerLoad | None:
        """Return what was asked so far; None if there is no server."""
        ...


def server_load_of(*models: object) -> ServerLoad | None:
    """Return what these models have asked of their servers, together; None if none of them has any."""
    found = [model.server_load() for model in models if isinstance(model, AsksServers)]
    known = [each for each in found if isinstance(each, ServerLoad)]
    return ServerLoad(*map(sum, zip(*known, strict=True))) if known else None

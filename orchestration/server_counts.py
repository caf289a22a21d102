"""What a runner's model asks of its servers, as a job's counters have it: written with each commit, at no command of its own.

Divided by the milliseconds of work that the same commits have counted (`wall_ms`), `busy_ms` are the requests in flight on average, and
`allowed_ms` those that its client would have let in.  Of a model that several jobs share each job counts what all of them ask.
"""

from surefoot.models.server_load import ServerLoad, server_load_of

SERVER = "server:"
"""With which the names of these counters begin: `requests`, `retries`, `busy_ms`, `allowed_ms`."""


class ServerCounts:
    """Counts what a model asks of its servers, from one call to the next; nothing if it has none."""

    def __init__(self, model: object) -> None:
        found = server_load_of(model)
        self._model = None if found is None else model  # what has no server will have none
        self._before = found or ServerLoad()

    def __call__(self) -> dict[str, int]:
        """Return what has come since the last call, by the names of the counters."""
        if self._model is None or (now := server_load_of(self._model)) is None:
            return {}
        before, self._before = self._before, now
        counts = {
            "requests": now.requests - before.requests,
            "retries": now.retries - before.retries,
            # Both rounded down, not their difference: nothing is lost over many commits.
            "busy_ms": int(1000 * now.busy_s) - int(1000 * before.busy_s),
            "allowed_ms": int(1000 * now.allowed_s) - int(1000 * before.allowed_s),
        }
        return {f"{SERVER}{name}": count for name, count in counts.items() if count}

"""What the runner of a job has asked of its model's servers in the last minute, by the counters that its commits brought along."""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from surefoot.orchestration.server_counts import SERVER

from .pace import MINUTE_S

WORK, REQUESTS, RETRIES = "wall_ms", f"{SERVER}requests", f"{SERVER}retries"
COUNTED = (WORK, REQUESTS, RETRIES, f"{SERVER}busy_ms", f"{SERVER}allowed_ms")


class LatelyAsked(NamedTuple):
    """Of the latest commits, back to a minute before the last one."""

    in_flight: float
    """Requests, on average."""
    allowed: float
    """Requests that the runner's client would have let in, on average."""
    requests_s: float
    latency_s: float | None
    """Of a request, on average; None if none was over."""
    retries: int
    over_s: float
    """Seconds of work that these are derived from."""


class ServerPace:
    """The counters of a running job as its commits brought them, one after the other."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, tuple[int, ...]]] = deque()

    def look(self, at_s: float, counters: Mapping[str, int]) -> None:
        """Remember what a job's counters are; `at_s` is of a clock that never goes back."""
        looks, found = self._looks, tuple(counters.get(name, 0) for name in COUNTED)
        if looks and any(now < before for now, before in zip(found, looks[-1][1], strict=True)):
            looks.clear()  # Redis has lost its last moments
        if not looks or found[0] > looks[-1][1][0]:
            looks.append((at_s, found))
        while len(looks) > 2 and looks[1][0] <= looks[-1][0] - MINUTE_S:
            looks.popleft()

    def lately(self) -> LatelyAsked | None:
        """Return what was asked; None before two commits were seen, and where no server is."""
        if len(self._looks) < 2:
            return None
        before, after = self._looks[0][1], self._looks[-1][1]
        work_ms, requests, retries, busy_ms, allowed_ms = (
            now - then for now, then in zip(after, before, strict=True)
        )
        if not allowed_ms:
            return None
        # Not by the dashboard's clock: a commit brings along all that was asked since the one before.
        return LatelyAsked(
            in_flight=busy_ms / work_ms,
            allowed=allowed_ms / work_ms,
            requests_s=1000 * requests / work_ms,
            latency_s=busy_ms / requests / 1000 if requests else None,
            retries=retries,
            over_s=work_ms / 1000,
        )

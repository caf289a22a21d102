"""How a run has ended, in one word of a small set."""

import asyncio

from surefoot.models.base import ModelUnavailable
from surefoot.orchestration.events import Ended
from surefoot.orchestration.graph import AuditFailed
from surefoot.orchestration.journal.journal import Fenced
from surefoot.orchestration.journal.lease import Cancelled, JobHeld
from surefoot.orchestration.redis.client import RedisUnavailable
from surefoot.voting.election import Stalled

BY_ERROR: tuple[tuple[type[BaseException], str], ...] = (
    (Stalled, "stalled"),
    (AuditFailed, "failed"),
    (Cancelled, "cancelled"),
    (Fenced, "lease_lost"),
    (JobHeld, "held"),
    (ModelUnavailable, "unavailable"),
    (RedisUnavailable, "unavailable"),
    (asyncio.CancelledError, "interrupted"),
)
"""The first that applies; a cancelled job's error is a refused write, too."""
ENDINGS = (
    "done",
    "stopped",
    "asking",
    *dict.fromkeys(word for _, word in BY_ERROR),
    "error",
)
"""All of them: what `surefoot jobs` says of a job, and how a run ends that leaves its job as it stands."""


def ending(event: Ended) -> str:
    """Return how a run has ended: the status of its job, else what kind of error it was."""
    if event.error is None:
        return "error" if event.report is None else event.report.status
    return next((word for kind, word in BY_ERROR if isinstance(event.error, kind)), "error")

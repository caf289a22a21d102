"""What `surefoot.models.replicas` offers."""

from .replica import BreakerState, ReplicaCounts
from .several import Replicas

__all__ = [
    "BreakerState",
    "ReplicaCounts",
    "Replicas",
]

"""What `surefoot.agents.perception` offers."""

from .looking import Looking
from .looking_state import Answered, Described, LookingState, Observation, Queries, Query
from .seen_towers import SeenTowers
from .tracking import Track

__all__ = [
    "Answered",
    "Described",
    "Looking",
    "LookingState",
    "Observation",
    "Queries",
    "Query",
    "SeenTowers",
    "Track",
]

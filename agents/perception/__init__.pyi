"""What `surefoot.agents.perception` offers."""

from .difficulty import looking_difficulty
from .looking import Looking
from .looking_state import (
    Answered,
    Captioned,
    Described,
    ExtendingState,
    LookingState,
    Observation,
    Queries,
    Query,
    RatedQueries,
    Rephrased,
)
from .seen_towers import SeenTowers
from .tracking import Track

__all__ = [
    "Answered",
    "Captioned",
    "Described",
    "ExtendingState",
    "Looking",
    "LookingState",
    "Observation",
    "Queries",
    "Query",
    "RatedQueries",
    "Rephrased",
    "SeenTowers",
    "Track",
    "looking_difficulty",
]

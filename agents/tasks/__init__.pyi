"""What `surefoot.agents.tasks` offers."""

from .codec import Codec, Typed
from .columns import Columns
from .failures import NotPlain, TaskFailed
from .optional import (
    Acts,
    AsksAhead,
    Attempt,
    Calibrates,
    Case,
    DecisionNeeded,
    Guesses,
    NoCases,
    Offers,
    Recurs,
    Shortens,
    Stakes,
)
from .task import Task
from .towers import Towers

__all__ = [
    "Acts",
    "AsksAhead",
    "Attempt",
    "Calibrates",
    "Case",
    "Codec",
    "Columns",
    "DecisionNeeded",
    "Guesses",
    "NoCases",
    "NotPlain",
    "Offers",
    "Recurs",
    "Shortens",
    "Stakes",
    "Task",
    "TaskFailed",
    "Towers",
    "Typed",
]

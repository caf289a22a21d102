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
from .puzzles import Blocks, Checkers, Crossing
from .sorting import Sorting
from .task import Task
from .towers import Towers

__all__ = [
    "Acts",
    "AsksAhead",
    "Attempt",
    "Blocks",
    "Calibrates",
    "Case",
    "Checkers",
    "Codec",
    "Columns",
    "Crossing",
    "DecisionNeeded",
    "Guesses",
    "NoCases",
    "NotPlain",
    "Offers",
    "Recurs",
    "Shortens",
    "Sorting",
    "Stakes",
    "Task",
    "TaskFailed",
    "Towers",
    "Typed",
]

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
    Classifies,
    DecisionNeeded,
    Guesses,
    NoCases,
    Offers,
    Recurs,
    Rephrases,
    Reuses,
    Shortens,
    Splits,
    Stakes,
)
from .part_of import PartOf
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
    "Classifies",
    "Codec",
    "Columns",
    "Crossing",
    "DecisionNeeded",
    "Guesses",
    "NoCases",
    "NotPlain",
    "Offers",
    "PartOf",
    "Recurs",
    "Rephrases",
    "Reuses",
    "Shortens",
    "Sorting",
    "Splits",
    "Stakes",
    "Task",
    "TaskFailed",
    "Towers",
    "Typed",
]

"""What `surefoot.agents.swe.decomposed` offers."""

from .state import Ending, State
from .task import DecomposedTask
from .workspace import PatchFails, WorkspaceLost

__all__ = [
    "DecomposedTask",
    "Ending",
    "PatchFails",
    "State",
    "WorkspaceLost",
]

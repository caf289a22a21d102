"""What `surefoot.agents.swe.decomposed` offers."""

from .state import DecomposedState, StageEnding
from .task import DecomposedTask
from .workspace import PatchFails, WorkspaceLost

__all__ = [
    "DecomposedState",
    "DecomposedTask",
    "PatchFails",
    "StageEnding",
    "WorkspaceLost",
]

"""What `surefoot.agents.actions` offers."""

from .chain import ActionChain
from .checks import Check, arithmetic
from .state import ActionStep, ChainAnswer, ChainState, Preferred, Reflection

__all__ = [
    "ActionChain",
    "ActionStep",
    "ChainAnswer",
    "ChainState",
    "Check",
    "Preferred",
    "Reflection",
    "arithmetic",
]

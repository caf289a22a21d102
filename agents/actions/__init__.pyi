"""What `surefoot.agents.actions` offers."""

from .chain import ActionChain
from .checks import Check, arithmetic
from .state import ChainAnswer, ChainState, Finding, Preferred, Step

__all__ = [
    "ActionChain",
    "ChainAnswer",
    "ChainState",
    "Check",
    "Finding",
    "Preferred",
    "Step",
    "arithmetic",
]

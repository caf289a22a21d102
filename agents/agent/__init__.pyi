"""What `surefoot.agents.agent` offers."""

from .exit_status import ExitStatus
from .state import Allowed, Answer, Decided, Ending, Seen, State, Summary, Turn
from .task import AgentTask, Votes

__all__ = [
    "AgentTask",
    "Allowed",
    "Answer",
    "Decided",
    "Ending",
    "ExitStatus",
    "Seen",
    "State",
    "Summary",
    "Turn",
    "Votes",
]

"""What `surefoot.agents.agent` offers."""

from .exit_status import ExitStatus
from .state import AgentTurn, Allowed, Conversation, DecidedCalls, Ending, Seen, Summary, TurnAnswer
from .task import AgentTask, Votes

__all__ = [
    "AgentTask",
    "AgentTurn",
    "Allowed",
    "Conversation",
    "DecidedCalls",
    "Ending",
    "ExitStatus",
    "Seen",
    "Summary",
    "TurnAnswer",
    "Votes",
]

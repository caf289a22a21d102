"""What `surefoot.orchestration` offers."""

from .agent_as_graph import AgentState, agent_graph
from .budget import OverBudget, Paused
from .events import (
    Asking,
    AuditBegan,
    Audited,
    Back,
    Began,
    Calibrating,
    Committed,
    Counts,
    Ended,
    Event,
    GoneBack,
    Missed,
    Noted,
    Repaired,
    SegmentBegan,
    StepDecided,
    Undecided,
    Waiting,
)
from .graph import AuditFailed
from .monitoring import FREE, Monitor, MonitorState, monitor_node
from .plan import Unsupported
from .record import Record
from .reporting import records

__all__ = [
    "FREE",
    "AgentState",
    "Asking",
    "AuditBegan",
    "AuditFailed",
    "Audited",
    "Back",
    "Began",
    "Calibrating",
    "Committed",
    "Counts",
    "Ended",
    "Event",
    "GoneBack",
    "Missed",
    "Monitor",
    "MonitorState",
    "Noted",
    "OverBudget",
    "Paused",
    "Record",
    "Repaired",
    "SegmentBegan",
    "StepDecided",
    "Undecided",
    "Unsupported",
    "Waiting",
    "agent_graph",
    "monitor_node",
    "records",
]

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
    Climbed,
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
    StitchedStands,
    Undecided,
    Waiting,
    current_run,
)
from .graph import AuditFailed
from .looks import VotedObservation
from .monitoring import FREE, Monitor, MonitorState, monitor_node
from .plan import Unsupported
from .problem_as_graph import problem_graph
from .record import Record
from .reporting import records
from .solving import NodeRun

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
    "Climbed",
    "Committed",
    "Counts",
    "Ended",
    "Event",
    "GoneBack",
    "Missed",
    "Monitor",
    "MonitorState",
    "NodeRun",
    "Noted",
    "OverBudget",
    "Paused",
    "Record",
    "Repaired",
    "SegmentBegan",
    "StepDecided",
    "StitchedStands",
    "Undecided",
    "Unsupported",
    "VotedObservation",
    "Waiting",
    "agent_graph",
    "current_run",
    "monitor_node",
    "problem_graph",
    "records",
]

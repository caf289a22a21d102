"""What `surefoot.agents.monitor` offers."""

from .agreement import Agreement, read_labels
from .failures import tells_failure
from .judge import Judge, Judged, NoJudgment, open_judge
from .live import Followed, Memory, follow
from .policies import CutBudget, ForceToolCall, Nudge, Policy, PolicyDecision, RestartTurn, Stop
from .readers.formats import parse, read, read_each
from .rubric import Finding, Judgment
from .selection import Kept, NothingScored, expected_gain, lowest_of_n
from .signals import SignalReading, Signals, readings
from .trajectory import Action, Trajectory, Turn, action, turn

__all__ = [
    "Action",
    "Agreement",
    "CutBudget",
    "Finding",
    "Followed",
    "ForceToolCall",
    "Judge",
    "Judged",
    "Judgment",
    "Kept",
    "Memory",
    "NoJudgment",
    "NothingScored",
    "Nudge",
    "Policy",
    "PolicyDecision",
    "RestartTurn",
    "SignalReading",
    "Signals",
    "Stop",
    "Trajectory",
    "Turn",
    "action",
    "expected_gain",
    "follow",
    "lowest_of_n",
    "open_judge",
    "parse",
    "read",
    "read_each",
    "read_labels",
    "readings",
    "tells_failure",
    "turn",
]

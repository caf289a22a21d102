"""What `surefoot.models.doubles` offers."""

from .behaved import BehavedDouble, Effect
from .double import Double, Garbage, Latency, goal_double, looking_double, puzzle_double, towers_double
from .faults import Fault
from .fixes import Fix, read_fixes
from .gateway import CachingGateway
from .hostile import HostileServer
from .issue_workers import Conduct, issue_worker
from .repairs import Repair, Repairer
from .script import Scripted
from .server import DoubleServer
from .thinking import ThinkingDouble
from .thoughts import ScriptedThought, overthinker, scripted

__all__ = [
    "BehavedDouble",
    "CachingGateway",
    "Conduct",
    "Double",
    "DoubleServer",
    "Effect",
    "Fault",
    "Fix",
    "Garbage",
    "HostileServer",
    "Latency",
    "Repair",
    "Repairer",
    "Scripted",
    "ScriptedThought",
    "ThinkingDouble",
    "goal_double",
    "issue_worker",
    "looking_double",
    "overthinker",
    "puzzle_double",
    "read_fixes",
    "scripted",
    "towers_double",
]

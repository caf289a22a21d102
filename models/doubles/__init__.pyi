"""What `surefoot.models.doubles` offers."""

from .actions import ActionDouble
from .behaved import BehavedDouble, Effect
from .chains import chain_answer, chain_problem
from .double import Double, Garbage, Latency, goal_double, looking_double, puzzle_double, towers_double
from .faults import Fault
from .fixes import Fix, read_fixes
from .gateway import CachingGateway
from .hostile import HostileServer
from .inspectable import InspectableDouble
from .issue_workers import Conduct, issue_worker
from .paraphrases import ParaphraseDouble, equivalence_double, town_answer, town_in, town_problem
from .repairs import Repair, Repairer
from .script import Scripted
from .server import DoubleServer
from .tastes import PreferenceDouble, TastingUser
from .thinking import ThinkingDouble
from .thoughts import ScriptedThought, overthinker, scripted

__all__ = [
    "ActionDouble",
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
    "InspectableDouble",
    "Latency",
    "ParaphraseDouble",
    "PreferenceDouble",
    "Repair",
    "Repairer",
    "Scripted",
    "ScriptedThought",
    "TastingUser",
    "ThinkingDouble",
    "chain_answer",
    "chain_problem",
    "equivalence_double",
    "goal_double",
    "issue_worker",
    "looking_double",
    "overthinker",
    "puzzle_double",
    "read_fixes",
    "scripted",
    "towers_double",
    "town_answer",
    "town_in",
    "town_problem",
]

"""What `surefoot.agents.planner` offers."""

from .goal import Goal, Outlining
from .mermaid import NodeCost, flowchart
from .outlines import Outline, read_outline
from .state import Chosen, GoalState, Node, Part, PlannerAnswer, Proposal, Solved, outline
from .trees import Branch, tree

__all__ = [
    "Branch",
    "Chosen",
    "Goal",
    "GoalState",
    "Node",
    "NodeCost",
    "Outline",
    "Outlining",
    "Part",
    "PlannerAnswer",
    "Proposal",
    "Solved",
    "flowchart",
    "outline",
    "read_outline",
    "tree",
]
